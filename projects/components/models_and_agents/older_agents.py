"""The agents that exports before Agent have: a connected model, connected tools, and the history only where it is connected."""

from __future__ import annotations

from projects.components import placeholders
from projects.components.conversion import plain_text, records_of
from projects.components.models_and_agents.agent import Agent
from projects.components.models_and_agents.message_parts import chat_messages_of
from projects.engine.component import Input, InputKind, Output
from projects.engine.values import Message
from projects.models.chat import ChatMessage

_INSTRUCTIONS = "You are a helpful assistant that can use tools to answer questions and perform tasks."
_LATER = frozenset(
    ("n_messages", "context_id", "add_current_date_tool", "add_calculator_tool", "format_instructions", "output_schema", "system_prompt")
)


class ToolCallingAgent(Agent):
    """`user_prompt` is what the model is asked, with the input at `{input}`."""

    type = "ToolCallingAgent"
    display_name = "Tool Calling Agent"
    aliases = ("ToolCallingAgentComponent", "OpenAIToolsAgent", "OpenAIToolsAgentComponent")
    legacy = True
    declared_inputs = (
        *(declared for declared in Agent.declared_inputs if declared.name not in _LATER),
        Input("system_prompt", display_name="System Prompt", info="How the agent works.", default=_INSTRUCTIONS, multiline=True),
        Input("llm", InputKind.HANDLE, "Language Model", "The model to ask.", types=("LanguageModel",), field_type="other"),
        Input("user_prompt", display_name="Prompt", info="What is asked, with {input} in it.", default="{input}", show=False),
        Input(
            "chat_history",
            InputKind.DATA,
            "Chat Memory",
            "What was said before.",
            default=[],
            advanced=True,
            is_list=True,
            types=("Data", "JSON"),
            field_type="other",
        ),
    )
    declared_outputs = (Output("response", "message_response", display_name="Response"),)

    async def before_outputs(self) -> None:
        prompt = plain_text(self.inputs.get("user_prompt")) or "{input}"
        if prompt != "{input}":
            asked = self.inputs.get("input_value")
            message = asked if isinstance(asked, Message) else Message(text=plain_text(asked))
            filled = placeholders.fill(prompt, lambda name: message.text if name == "input" else "")
            self.inputs["input_value"] = message.copy(text=filled)

    async def _history(self) -> list[ChatMessage]:
        said = [
            Message(text=plain_text(row.get("text")), sender=plain_text(row.get("sender")))
            for row in records_of(self.inputs.get("chat_history") or [])
        ]
        return await chat_messages_of(said, self.context)
