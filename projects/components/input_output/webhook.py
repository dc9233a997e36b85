"""Webhook: the body of the request that started the run, as a record."""

from __future__ import annotations

from projects.components.conversion import plain_text, read_json
from projects.engine.component import Component, Input, Output
from projects.engine.values import Data


class Webhook(Component):
    """JSON objects become the record; any other body is kept under `payload`; no body is an empty record."""

    type = "Webhook"
    display_name = "Webhook"
    description = "Takes the body of an HTTP request into the flow."
    category = "input_output"
    icon = "webhook"
    aliases = ("WebhookComponent",)
    is_input = True
    declared_inputs = (
        Input("data", display_name="Payload", info="The body; filled by the request.", advanced=True, multiline=True),
        Input(
            "curl",
            display_name="cURL",
            info="An example request; shown in the editor only.",
            default="CURL_WEBHOOK",
            advanced=True,
            multiline=True,
        ),
        Input(
            "endpoint",
            display_name="Endpoint",
            info="The address to call; shown in the editor only.",
            default="BACKEND_URL",
            multiline=True,
        ),
    )
    declared_outputs = (Output("output_data", "build_data", ("Data", "JSON"), "Data"),)

    async def build_data(self) -> Data:
        body = plain_text(self.inputs.get("data"))
        if not body:
            return Data()
        try:
            parsed = read_json(body)
        except ValueError:
            self.log("The body is no JSON; it is passed on as text.")
            return Data(data={"payload": body})
        return Data(data=parsed if isinstance(parsed, dict) else {"payload": parsed})
