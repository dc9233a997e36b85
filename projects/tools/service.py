"""The tools of a project, or of everything a caller has: listed, called and linted from one kept map."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from projects.access.caller import Caller
from projects.access.session_spaces import session_for
from projects.engine.events import OnEvent, ignore
from projects.errors import InvalidInput, NotFound, Unavailable
from projects.flows.import_report import STOPS_A_RUN
from projects.flows.library import Flow, FlowLibrary
from projects.flows.prepared import FlowCache
from projects.guests import GuestRules
from projects.invocation import Invocation, InvocationResult, InvocationService
from projects.lifecycle import Project, ProjectService
from projects.tools.kept_names import keep_names, kept_names
from projects.tools.lint import Finding, findings_of
from projects.tools.names import assigned_names
from projects.tools.tool import Tool, make_tool, wanted_name
from projects.unit_of_work import catalogue_version
from storage.database import Database

logger = logging.getLogger(__name__)

MAPS_LIMIT = 1_000  # projects whose tool maps are kept


@dataclass(frozen=True, slots=True)
class ToolMap:
    """Name → tool, in listing order, and the flows that could not be tools with the reason."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)  # flow id → reason
    project: Project | None = None  # None for the global server


class ToolService:
    """Lists and calls the tools of one project, or with project None every flow of the caller."""

    def __init__(
        self,
        *,
        database: Database,
        projects: ProjectService,
        library: FlowLibrary,
        flows: FlowCache,
        invocations: InvocationService,
        guests: GuestRules,
    ) -> None:
        self._database = database
        self._projects = projects
        self._library = library
        self._flows = flows
        self._invocations = invocations
        self._guests = guests
        self._version = -1
        self._maps: dict[tuple[str, str | None, bool], ToolMap] = {}
        self._made: dict[tuple[str, int, str], Tool] = {}  # by flow, version and what its listing depends on
        self._global_names: dict[str, dict[str, str]] = {}  # user → flow → name on the global server, which has no row to keep them in

    async def list_tools(self, caller: Caller, project_id: str | None) -> Sequence[Tool]:
        """In a stable order. Raises NotFound for a project that is not the caller's."""
        return tuple((await self.tool_map(caller, project_id)).tools.values())

    async def call_tool(
        self,
        caller: Caller,
        project_id: str | None,
        name: str,
        arguments: Mapping[str, Any],
        *,
        request_variables: Mapping[str, str] | None = None,
        depth: int = 0,
        on_event: OnEvent = ignore,
    ) -> InvocationResult:
        """Run the flow behind a listed name. Raises NotFound("tool", …), InvalidInput, and what `invoke` raises."""
        tool, invocation = await self.prepare_call(caller, project_id, name, arguments, request_variables=request_variables, depth=depth)
        return await self._invocations.invoke_prepared(caller, tool.prepared, invocation, on_event=on_event)

    async def prepare_call(
        self,
        caller: Caller,
        project_id: str | None,
        name: str,
        arguments: Mapping[str, Any],
        *,
        request_variables: Mapping[str, str] | None = None,
        depth: int = 0,
    ) -> tuple[Tool, Invocation]:
        """The tool behind a listed name and what a call of it would run. Raises NotFound("tool", …) and InvalidInput."""
        tool = (await self.tool_map(caller, project_id)).tools.get(name)
        if tool is None:
            raise NotFound("tool", name)
        if request_variables and caller.is_confined:
            # With them a caller could send the owner's secrets to an address of its own choice.
            raise InvalidInput("Variables in headers are for the project's owner; leave out the X-LANGFLOW-GLOBAL-VAR-… headers.")
        session_id, given = tool.bind(arguments)
        return tool, Invocation(
            arguments=given,
            output_type="end",
            session_id=session_for(caller, session_id),
            request_variables=request_variables or {},
            kind="tool",
            project_id=project_id,
            depth=depth,
        )

    async def lint(self, caller: Caller, project_id: str) -> list[Finding]:
        """What clients may stumble over in the tools of a project, the worst first. Raises NotFound."""
        kept = await self.tool_map(caller, project_id)
        assert kept.project is not None
        flows = await self._library.list_flows(caller, project_id=kept.project.id, components=False, with_documents=False)
        return findings_of(kept.project.name, list(kept.tools.values()), kept.excluded, {flow.id: flow for flow in flows})

    async def tool_map(self, caller: Caller, project_id: str | None) -> ToolMap:
        """The kept map; made anew after any change of the catalogue. Guests see the flows that guests may run, and no reasons.

        Raises NotFound for a project that is not the caller's, or not the one that a confined caller may use.
        """
        if caller.is_confined and caller.project_id != project_id:
            raise NotFound("project", project_id or "")
        version = await catalogue_version(self._database)
        if version != self._version or len(self._maps) > MAPS_LIMIT:
            self._maps.clear()
            self._version = version
        key = (caller.user_id, project_id, caller.is_guest)
        found = self._maps.get(key)
        if found is None:
            found = await self._make_map(caller, project_id)
            if caller.is_guest:
                against = await self._against_guests(caller.user_id, found)
                tools = {name: tool for name, tool in found.tools.items() if tool.flow_id not in against}
                found = ToolMap(tools, {}, found.project)
            if version == self._version:
                self._maps[key] = found
        return found

    async def find_tool_of(self, caller: Caller, project_id: str | None, flow_id: str) -> Tool | None:
        """The tool that a flow is here. Raises NotFound for a project that is not the caller's."""
        kept = await self.tool_map(caller, project_id)
        return next((tool for tool in kept.tools.values() if tool.flow_id == flow_id), None)

    async def reasons_against_tools(self, caller: Caller, flows: Sequence[Flow]) -> dict[str, str]:
        """Flow id → why it cannot be a tool that runs, for those of the caller's flows that cannot."""
        reasons = {}
        for flow in flows:
            made = await self._made_or_reason(flow, wanted_name(flow, is_global=False), is_global=False)
            if isinstance(made, str):
                reasons[flow.id] = made
            elif stopping := [node for node in made.prepared.report.nodes if node.status in STOPS_A_RUN]:
                told = (f"{node.display_name} ({node.id}): {node.reason or node.status} {node.hint or ''}" for node in stopping)
                reasons[flow.id] = "Its calls would fail. " + " ".join(each.rstrip() for each in told)
        return reasons

    async def reasons_against_guests(self, caller: Caller, project_id: str) -> dict[str, str]:
        """Flow id → why guests may not run it, for the tools of a project. Raises NotFound."""
        return await self._against_guests(caller.user_id, await self.tool_map(caller, project_id))

    async def _against_guests(self, owner_id: str, kept: ToolMap) -> dict[str, str]:
        reasons = {tool.flow_id: await self._guests.refusal(owner_id, tool.prepared) for tool in kept.tools.values()}
        return {flow_id: reason for flow_id, reason in reasons.items() if reason is not None}

    async def _make_map(self, caller: Caller, project_id: str | None) -> ToolMap:
        project = await self._projects.get(caller, project_id) if project_id is not None else None
        flows = await self._library.list_flows(caller, project_id=project_id, components=False, with_documents=False)
        if project_id is not None:
            flows = [flow for flow in flows if flow.is_tool]
        flows = sorted(flows, key=lambda flow: flow.id)
        names = await self._names(caller, project, flows)
        tools: dict[str, Tool] = {}
        excluded: dict[str, str] = {}
        for flow in flows:
            made = await self._made_or_reason(flow, names[flow.id], is_global=project_id is None)
            if isinstance(made, Tool):
                tools[made.name] = made
            else:
                excluded[flow.id] = made
        return ToolMap(tools, excluded, project)

    async def _names(self, caller: Caller, project: Project | None, flows: Sequence[Flow]) -> dict[str, str]:
        """Flow id → name. Who had a name before keeps it: calls must not change hands because another flow is renamed."""
        wanted = [(flow.id, wanted_name(flow, is_global=project is None)) for flow in flows]
        if project is None:
            if len(self._global_names) > MAPS_LIMIT:
                self._global_names.clear()
            names = assigned_names(wanted, self._global_names.get(caller.user_id, {}))
            self._global_names[caller.user_id] = names
            return names
        known = kept_names(project)
        names = assigned_names(wanted, known)
        if names != known:
            try:
                await keep_names(self._database, project, names)
            except Unavailable:
                logger.warning("The names of the tools of project %s could not be kept now", project.id)
        return names

    async def _made_or_reason(self, flow: Flow, name: str, *, is_global: bool) -> Tool | str:
        """The tool, or why the flow cannot be one."""
        try:
            return await self._make_tool(flow, name, is_global=is_global)
        except InvalidInput as error:
            return error.message
        except Exception:
            # A boundary: one flow. The others are tools all the same, and its owner learns that this one is not.
            logger.exception("Flow %s could not be made a tool", flow.id)
            return "The server failed to make a tool of this flow; its log has the reason."

    async def _make_tool(self, flow: Flow, name: str, *, is_global: bool) -> Tool:
        said = (name, is_global, flow.project_id, flow.name, flow.description, flow.tool_description, flow.icon, flow.icon_background)
        key = (flow.id, flow.version, repr(said))
        prepared = await self._flows.prepare(flow)  # compiled anew when its code has been trusted since
        made = self._made.get(key)
        if made is None or made.prepared.graph is not prepared.graph:
            if len(self._made) > MAPS_LIMIT * 10:
                self._made.clear()
            made = self._made[key] = make_tool(prepared, name, is_global=is_global)
        return made
