"""Sub Flow: what Run Flow was before."""

from __future__ import annotations

from projects.components.flow_controls import child_flow
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Data


class SubFlow(Component):
    """Its further fields are `<vertex id>|<field>` of the other flow; it gives a record for each of that flow's outputs."""

    type = "SubFlow"
    display_name = "Sub Flow"
    description = "Runs another flow and gives its outputs as records."
    category = "flow_controls"
    icon = "workflow"
    legacy = True
    takes_more_fields = True
    reads_world = True
    writes_world = True
    declared_inputs = (Input("flow_name", InputKind.STRING, "Flow Name", "The name of the flow to run.", required=True),)
    declared_outputs = (Output("flow_outputs", "generate_results", ("Data", "JSON"), "Flow Outputs"),)

    async def generate_results(self) -> list[Data]:
        child = await child_flow.find(self.context, self.inputs.get("flow_name"))
        result = await self.context.flows.run_flow(
            child.id, input_value=None, values=child_flow.fields_for(self.inputs, "|"), session_id=self.context.session_id
        )
        return [child_flow.as_record(value) for value in child_flow.all_values(result)]
