"""Language Model: one question to a chat model, or the model itself for other nodes to ask."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from projects.components.conversion import plain_text
from projects.components.models_and_agents.message_parts import chat_message_of
from projects.components.models_and_agents.model_fields import MODEL_INPUTS, chat_model_of, chat_options_of
from projects.components.models_and_agents.reply import reply_as_message
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Message
from projects.models.chat import ChatMessage, ChatModel, ChatOptions
from projects.models.preset import PresetChatModel

QUESTION_INPUTS = (
    Input("input_value", InputKind.MESSAGE, "Input", "What the model is asked.", types=("Message",), tool_mode=True),
    Input("system_message", display_name="System Message", info="How the model is to answer.", multiline=True),
)
STREAM_INPUT = Input(
    "stream",
    InputKind.BOOLEAN,
    "Stream",
    "Kept for older flows: an answer before Chat Output always comes token by token where somebody reads along.",
    default=False,
    advanced=True,
    field_type="bool",
)
MAX_TOKENS_INPUT = Input("max_tokens", InputKind.INTEGER, "Max Tokens", "0 for no bound.", default=0, advanced=True, field_type="int")


class LanguageModel(Component):
    """Older nodes of single providers are this one with other fields (`older_models.py`)."""

    type = "LanguageModelComponent"
    display_name = "Language Model"
    description = "Answers with a language model."
    category = "models_and_agents"
    icon = "brain-circuit"
    aliases: ClassVar[tuple[str, ...]] = ("LanguageModel",)
    takes_more_fields = True  # what older nodes name otherwise
    reads_world = True
    declared_inputs: ClassVar[tuple[Input, ...]] = (
        *MODEL_INPUTS,
        *QUESTION_INPUTS,
        STREAM_INPUT,
        Input(
            "temperature",
            InputKind.NUMBER,
            "Temperature",
            "0 for answers as alike as can be.",
            default=0.1,
            advanced=True,
            field_type="slider",
        ),
        MAX_TOKENS_INPUT,
    )
    declared_outputs = (
        Output("text_output", "text_response", display_name="Model Response"),
        Output("model_output", "build_model", ("LanguageModel",), "Language Model", tool_mode=False),
    )
    own_provider: ClassVar[str] = ""  # what an older node's type already says

    async def text_response(self) -> Message:
        turns = await self._turns()
        return await reply_as_message(self, await self._model(), turns, self._options())

    async def build_model(self) -> ChatModel:
        """With the node's own temperature and bounds, which whoever asks it may change."""
        return PresetChatModel(await self._model(), self._options())

    async def _model(self) -> ChatModel:
        return await chat_model_of(self, provider=self.own_provider)

    def _options(self) -> ChatOptions:
        options = chat_options_of(self)
        top_p = self.inputs.get("top_p")
        if isinstance(top_p, int | float) and not isinstance(top_p, bool) and 0 < top_p < 1 and "Google" not in self.own_provider:
            options = replace(options, extra={"top_p": float(top_p)})
        return options

    async def _turns(self) -> list[ChatMessage]:
        asked = self.inputs.get("input_value")
        question = await chat_message_of(asked if isinstance(asked, Message) else Message(text=plain_text(asked)), self.context)
        system = plain_text(self.inputs.get("system_message"))
        if not question.text.strip() and not question.images:
            if not system.strip():
                raise ComponentError("The message you want to send to the model is empty.")
            return [ChatMessage("user", system)]  # a prompt on the system message alone is the question
        if question.role != "user":
            question = ChatMessage("user", question.text)  # another model's answer is this one's question
        return [*([ChatMessage("system", system)] if system.strip() else []), question]
