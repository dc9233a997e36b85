"""Prompt Template: a text with named places, each an input of its own."""

from __future__ import annotations

from projects.components import placeholders
from projects.components.conversion import plain_text
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Message


class PromptTemplate(Component):
    """Fills `{variable}` (or `{{variable}}` with `use_double_brackets`). A variable nobody set is empty text."""

    type = "Prompt Template"
    display_name = "Prompt Template"
    description = "Fills a template with variables."
    category = "models_and_agents"
    icon = "prompts"
    aliases = ("Prompt", "PromptComponent")
    takes_more_fields = True
    declared_inputs = (
        Input("template", InputKind.PROMPT, "Template", "The text, with variables in braces.", field_type="prompt", multiline=True),
        Input(
            "use_double_brackets",
            InputKind.BOOLEAN,
            "Use Double Brackets",
            "Variables are written {{variable}}.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
        Input(
            "tool_placeholder",
            display_name="Tool Placeholder",
            info="Has no effect; lets an agent call the prompt.",
            advanced=True,
            tool_mode=True,
        ),
    )
    declared_outputs = (Output("prompt", "build_prompt", display_name="Prompt"),)

    async def build_prompt(self) -> Message:
        fill = placeholders.fill_double if self.inputs.get("use_double_brackets") else placeholders.fill
        text = fill(plain_text(self.inputs.get("template")), self._variable)
        files = [path for value in self.inputs.values() if isinstance(value, Message) for path in value.files]
        return Message(text=text, files=files, flow_id=self.context.flow_id, run_id=self.context.run_id)

    def _variable(self, name: str) -> str:
        return "" if name in _OWN_FIELDS else plain_text(self.inputs.get(name))


_OWN_FIELDS = frozenset(("template", "use_double_brackets"))
