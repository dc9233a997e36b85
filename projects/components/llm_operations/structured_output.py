"""Structured Output: records of a given schema out of a text, by a model."""

from __future__ import annotations

from projects.components.conversion import plain_text
from projects.components.models_and_agents.model_fields import MODEL_INPUTS, chat_model_of, chat_options_of, count_usage
from projects.components.models_and_agents.structured import SCHEMA_INPUT, StructuredAnswer, ask_for_records, schema_fields
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Table
from projects.models.chat import ChatMessage

_INSTRUCTIONS = (
    "You turn unstructured text into records. Find every thing in the text that the schema describes and give one record for each, "
    "in the order of the text. Take values from the text only; leave a field null when the text does not say. Never invent values."
)


class StructuredOutput(Component):
    """Asks once for all outputs. One record is that record, several go under `results`; as a table they are its rows."""

    type = "StructuredOutput"
    display_name = "Structured Output"
    description = "Lets a model extract records of a schema from text."
    category = "llm_operations"
    icon = "braces"
    aliases = ("StructuredOutputComponent",)
    reads_world = True
    declared_inputs = (
        *MODEL_INPUTS,
        Input("llm", InputKind.HANDLE, "Language Model", "Older form of the model field.", types=("LanguageModel",), field_type="other"),
        Input("input_value", display_name="Input Message", info="The text to read.", required=True, tool_mode=True, multiline=True),
        Input("system_prompt", display_name="Format Instructions", info="What the model is told.", default=_INSTRUCTIONS, multiline=True),
        Input("schema_name", display_name="Schema Name", info="What one record is.", advanced=True),
        SCHEMA_INPUT,
        Input("multiple", InputKind.BOOLEAN, "Generate Multiple", "Older form: always a list.", default=False, field_type="bool"),
    )
    declared_outputs = (
        Output("structured_output", "build_structured_output", ("Data", "JSON"), "Structured Output"),
        Output("dataframe_output", "build_structured_dataframe", ("DataFrame", "Table"), "Structured Output"),
    )
    _answer: StructuredAnswer | None = None

    async def build_structured_output(self) -> Data:
        records = await self._records()
        if len(records) == 1 and not self.inputs.get("multiple"):
            return Data(records[0])
        return Data({"results": records})

    async def build_structured_dataframe(self) -> Table:
        return Table(rows=await self._records())

    async def _records(self) -> list[dict[str, object]]:
        if self._answer is None:
            fields = schema_fields(self.inputs.get("output_schema") or [])
            text = plain_text(self.inputs.get("input_value"))
            if not text.strip():
                raise ComponentError("There is no text to read: connect or type an input message.")
            messages = [ChatMessage("system", plain_text(self.inputs.get("system_prompt")) or _INSTRUCTIONS), ChatMessage("user", text)]
            model = await chat_model_of(self)
            title = plain_text(self.inputs.get("schema_name"))
            self._answer = await ask_for_records(model, messages, fields, title=title, options=chat_options_of(self))
            count_usage(self, self._answer.usage)
            if not self._answer.records:
                raise ComponentError("The model found nothing in the text that the schema describes.")
            self.log(f"{self._answer.model}: {len(self._answer.records)} records, {self._answer.usage.total_tokens} tokens.")
        return [dict(record) for record in self._answer.records]
