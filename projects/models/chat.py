"""What a component may ask of a chat model, whoever provides it.

Above: components and agents. Below: a file a provider, each over that provider's own SDK, imported when first needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model wants. `arguments` is the parsed object, `{}` when the model's text was none; `problem` then says so."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn. `role`: system, user, assistant, tool. Images are data: or https: addresses and belong to user turns."""

    role: str
    text: str = ""
    images: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None  # role tool: which call this answers


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it: name (at most 64 of A-Za-z0-9_-), description, JSON schema of the arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, summed by `+`."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)

    def to_dict(self) -> dict[str, int]:
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens, "total_tokens": self.total_tokens}


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of the answer's text, as it comes."""

    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The whole answer; always the last thing a stream yields."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    model: str = ""
    finish_reason: str = "stop"


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What a caller may set; None leaves the provider's default. `response_schema` asks for JSON of that schema where the provider can."""

    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    json_mode: bool = False
    response_schema: Mapping[str, Any] | None = None
    timeout_seconds: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


class ChatModel(Protocol):
    """One model, ready to be asked. Raises the `ProviderFailed` family of `projects.errors`."""

    @property
    def name(self) -> str: ...

    @property
    def provider(self) -> str: ...

    async def reply(self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = ...) -> Reply:
        """The whole answer at once."""
        ...

    def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = ...
    ) -> AsyncIterator[TextChunk | Reply]:
        """Text as it comes, then one `Reply`."""
        ...


class EmbeddingModel(Protocol):
    """Texts to vectors of one length."""

    @property
    def name(self) -> str: ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]: ...


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model a node names. Empty `provider` and `model`: the node leaves it to the server (`projects/models/choice.py`)."""

    provider: str = ""  # Langflow's word: OpenAI, Anthropic, Google Generative AI, Groq, Ollama, Azure OpenAI …
    model: str = ""
    api_key: str = ""
    base_url: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)  # provider's own: api_version, azure_deployment, organization …
    node: str = ""  # display name and id, for messages


class ModelAccess(Protocol):
    """A run's way to models: keys by request header, stored variable, then the environment names the operator listed."""

    async def chat_model(self, choice: ModelChoice) -> ChatModel:
        """Raises ModelMissing, naming the ways to get one; PackageMissing, naming the install line."""
        ...

    async def embedding_model(self, choice: ModelChoice) -> EmbeddingModel: ...
