"""How a node says which chat model it wants, in the fields of any age, read once for every component that asks a model.

class Translate(Component):
    declared_inputs = (*MODEL_INPUTS, Input("input_value"))

    async def answer(self) -> Message:
        model = await chat_model_of(self)
        reply = await model.reply([ChatMessage("user", ...)], options=chat_options_of(self))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from pydantic_core import from_json

from projects.engine.component import Component, Input, InputKind
from projects.errors import ModelMissing
from projects.models.chat import ChatModel, ChatOptions, ModelChoice, Usage

MODEL_INPUTS = (
    Input(
        "model",
        InputKind.ANY,
        "Language Model",
        "The model to ask. Empty: the model that this server uses by default.",
        types=("LanguageModel",),
        field_type="model",
    ),
    Input(
        "api_key", InputKind.STRING, "API Key", "Empty: the provider's key of this server.", advanced=True, password=True, falls_back=True
    ),
    Input("provider", InputKind.STRING, "Provider", "Older form of the model field.", advanced=True),
    Input("model_name", InputKind.STRING, "Model Name", "Older form of the model field.", advanced=True),
    Input("ollama_base_url", InputKind.STRING, "Ollama API URL", "Empty: the server's own.", advanced=True, protected=True),
    Input("base_url_ibm_watsonx", InputKind.STRING, "watsonx API Endpoint", advanced=True, protected=True),
    Input("project_id", InputKind.STRING, "watsonx Project ID", advanced=True),
)

HANDLES = ("model", "llm", "agent_llm")  # fields that older and newer nodes connect a model to
_PROVIDERS = ("agent_llm", "provider", "model_provider")
_NAMES = ("model_name", "model_id", "model")
_KEYS = (
    "api_key",
    "openai_api_key",
    "anthropic_api_key",
    "groq_api_key",
    "google_api_key",
    "mistral_api_key",
    "nvidia_api_key",
    "xai_api_key",
    "cohere_api_key",
    "huggingfacehub_api_token",
)
_ADDRESSES = (
    "base_url",
    "openai_api_base",
    "api_base",
    "azure_endpoint",
    "groq_api_base",
    "mistral_api_base",
    "anthropic_api_url",
    "aiml_api_base",
)
_OPTIONS = ("api_version", "azure_deployment", "organization", "project_id", "region", "max_retries", "model_kwargs", "default_headers")
_OWN_ADDRESSES = {"ollama": "ollama_base_url", "ibm watsonx": "base_url_ibm_watsonx", "ibm watsonx.ai": "base_url_ibm_watsonx"}
_CONNECTED = frozenset(("connect_other_models", "connect other models", "custom"))  # the author chose to connect a model


def is_chat_model(value: Any) -> TypeGuard[ChatModel]:
    """Whether an edge brought a model that is ready to be asked."""
    return hasattr(value, "reply") and hasattr(value, "stream")


async def chat_model_of(component: Component, *, provider: str = "") -> ChatModel:
    """The model connected to the component, else the one its fields name, else the server's default.

    `provider`: what the node's type already says (an OpenAI node of an older export).
    Raises ModelMissing, which names the ways to get a model, and PackageMissing, which names the install line.
    """
    for name in HANDLES:
        if is_chat_model(value := component.inputs.get(name)):
            return value
    shown = f"{component.vertex.display_name} ({component.vertex.id})"
    if waits_for_connection(component.inputs):
        raise ModelMissing(f"{shown} expects a model on its model field, and nothing is connected there. Connect one or choose one.")
    return await component.context.models.chat_model(model_choice(component.inputs, provider=provider, node=shown))


def count_usage(component: Component, usage: Usage | None) -> None:
    """Add what a call of a model took to what the component took so far; for calls whose usage stands on no message."""
    if usage is not None:
        counted = component.token_usage or {}
        component.token_usage = {name: counted.get(name, 0) + count for name, count in usage.to_dict().items()}


def model_choice(fields: Mapping[str, Any], *, provider: str = "", node: str = "") -> ModelChoice:
    """What the fields of a node name: `model` as a list with one entry, an entry, or a plain name; before that provider and name."""
    fields = {**fields, "model": _entries(fields.get("model"))}
    named_provider, model = _named(fields["model"])
    if not model:
        model = _first(fields, _NAMES)
    if not named_provider:
        named_provider = provider or _first(fields, _PROVIDERS)
    own = _OWN_ADDRESSES.get(named_provider.lower(), "")
    return ModelChoice(
        provider=named_provider,
        model=model,
        api_key=_first(fields, _KEYS),
        base_url=_text(fields.get(own)) or _first(fields, _ADDRESSES),
        options={name: value for name in _OPTIONS if (value := fields.get(name)) not in (None, "", [], {})},
        node=node,
    )


def waits_for_connection(fields: Mapping[str, Any]) -> bool:
    """The author chose to connect a model instead of naming one."""
    return any(_text(fields.get(name)).lower() in _CONNECTED for name in ("model", "agent_llm"))


def chat_options_of(component: Component) -> ChatOptions:
    """Temperature, bounds and the like from the fields that nodes of any age keep them in. Zero tokens mean no bound."""
    inputs = component.inputs
    return ChatOptions(
        temperature=_number(inputs.get("temperature")),
        max_tokens=_whole(inputs.get("max_tokens")) or _whole(inputs.get("max_output_tokens")),
        seed=_whole(inputs.get("seed")),
        json_mode=inputs.get("json_mode") is True,
        timeout_seconds=_number(inputs.get("timeout")) or None,
    )


def _entries(value: Any) -> Any:
    """A list or an entry that was kept or sent as text, as what it says."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            return from_json(value)
        except ValueError:
            return value
    return value


def _named(value: Any) -> tuple[str, str]:
    """(provider, name) of a model field; both empty when it is empty."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, Mapping):
        return _text(value.get("provider")), _text(value.get("name")) or _text(value.get("model_name"))
    return "", _text(value)


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := _text(fields.get(name)))), "")


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
