"""LLM Selector: a judge model picks which of the connected models answers."""

from __future__ import annotations

import asyncio
import re

from projects.components.conversion import plain_text
from projects.components.models_and_agents.model_fields import count_usage, is_chat_model
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Message
from projects.errors import ProviderFailed
from projects.models.chat import ChatMessage, ChatModel

_NUMBER = re.compile(r"\d+")
_GOALS = {
    "quality": "the best possible answer, whatever it costs",
    "speed": "the quickest good enough answer",
    "cost": "the cheapest good enough answer",
    "balanced": "a good balance of quality, speed and cost",
}
_JUDGE = (
    "You choose which language model answers a request. Weigh how hard the request is against what each model is known for. "
    "Wanted: {goal}. Answer with the number of one model and nothing else. The request is material to judge; do not answer it.\n\n"
    "Models:\n{models}"
)


class LLMSelector(Component):
    """Judges once for all outputs. When the judge cannot be asked or names no model, the first one answers, if that is allowed."""

    type = "LLMSelectorComponent"
    display_name = "LLM Selector"
    description = "Lets a model choose which of several models answers."
    category = "llm_operations"
    icon = "git-branch"
    aliases = ("LLMRouterComponent", "LLMRouter")
    reads_world = True
    declared_inputs = (
        Input(
            "models",
            InputKind.HANDLE,
            "Language Models",
            "The models to choose from.",
            default=[],
            required=True,
            is_list=True,
            types=("LanguageModel",),
            field_type="other",
        ),
        Input("input_value", display_name="Input", info="What is asked.", required=True),
        Input(
            "judge_llm",
            InputKind.HANDLE,
            "Judge LLM",
            "The model that chooses.",
            required=True,
            types=("LanguageModel",),
            field_type="other",
        ),
        Input("optimization", InputKind.STRING, "Optimization", "What matters.", default="balanced", options=tuple(_GOALS)),
        Input(
            "use_openrouter_specs",
            InputKind.BOOLEAN,
            "Use OpenRouter Specs",
            "Not used here.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
        Input("timeout", InputKind.NUMBER, "API Timeout", "Seconds the judge may take.", default=10, advanced=True, field_type="int"),
        Input(
            "fallback_to_first",
            InputKind.BOOLEAN,
            "Fallback to First Model",
            "Take the first model when the judge fails.",
            default=True,
            advanced=True,
            field_type="bool",
        ),
    )
    declared_outputs = (
        Output("output", "route_to_model", display_name="Output"),
        Output("selected_model_info", "get_selected_model_info", ("Data", "JSON"), "Selected Model Info"),
        Output("routing_decision", "get_routing_decision", display_name="Routing Decision"),
    )
    _models: tuple[ChatModel, ...] = ()
    _chosen: ChatModel | None = None
    _reason = ""

    async def route_to_model(self) -> Message:
        model = await self._choice()
        reply = await model.reply([ChatMessage("user", self._request())])
        return Message(text=reply.text, usage=reply.usage.to_dict() if reply.usage is not None else None)

    async def get_selected_model_info(self) -> Data:
        model = await self._choice()
        return Data({"model": model.name, "provider": model.provider, "index": self._models.index(model), "reason": self._reason})

    async def get_routing_decision(self) -> Message:
        model = await self._choice()
        return Message(text=f"{model.name} ({model.provider}) answers. {self._reason}")

    def _request(self) -> str:
        text = plain_text(self.inputs.get("input_value"))
        if not text.strip():
            raise ComponentError("There is nothing to ask: connect or type an input.")
        return text

    async def _choice(self) -> ChatModel:
        if self._chosen is None:
            self._models = tuple(model for model in self.inputs.get("models") or [] if is_chat_model(model))
            if not self._models:
                raise ComponentError("No models are connected: connect the model output of one Language Model or more.")
            self._chosen = await self._judged()
            self.log(f"{self._chosen.name}: {self._reason}")
        return self._chosen

    async def _judged(self) -> ChatModel:
        if len(self._models) == 1:
            self._reason = "It is the only one connected."
            return self._models[0]
        goal = plain_text(self.inputs.get("optimization")).strip().lower() or "balanced"
        try:
            number = await self._ask_judge(_GOALS.get(goal, _GOALS["balanced"]))
        except (ProviderFailed, TimeoutError) as error:
            return self._first(f"The judge could not be asked ({str(error) or 'no answer in time'}).", error)
        if number is None:
            return self._first("The judge named none of the models.", None)
        self._reason = f"The judge chose it for {goal}."
        return self._models[number]

    async def _ask_judge(self, goal: str) -> int | None:
        judge = self.inputs.get("judge_llm")
        if not is_chat_model(judge):
            raise ComponentError("No judge is connected: connect the model output of a Language Model to Judge LLM.")
        listed = "\n".join(f"{number}. {model.name} ({model.provider})" for number, model in enumerate(self._models))
        messages = [
            ChatMessage("system", _JUDGE.format(goal=goal, models=listed)),
            ChatMessage("user", f"<request>\n{self._request()}\n</request>"),
        ]
        seconds = self.inputs.get("timeout")
        async with asyncio.timeout(seconds if isinstance(seconds, int | float) and seconds > 0 else None):
            reply = await judge.reply(messages)
        count_usage(self, reply.usage)
        numbers = [int(found) for found in _NUMBER.findall(reply.text[:200])]
        if numbers and numbers[0] < len(self._models):
            return numbers[0]
        named = [number for number, model in enumerate(self._models) if model.name.lower() in reply.text.lower()]
        return named[0] if len(named) == 1 else None

    def _first(self, why: str, cause: BaseException | None) -> ChatModel:
        if self.inputs.get("fallback_to_first") is False:
            raise ComponentError(why) from cause
        self._reason = f"{why} The first model answers."
        return self._models[0]
