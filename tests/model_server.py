"""A model provider on loopback that speaks OpenAI's API and does what a test tells it, in a thread of its own.

    async with model_server() as server:            # or plain `with`
        server.script("a-model", Says("Hello!"))                       # every request to this model
        server.script("b-model", Calls(("add", {"a": 1})), Says("2"))  # one after the other; the last one stays
        server.script("c-model", lambda request: Says(request.last_text.upper()))
        ... openai client with base_url=server.address, any key ...
        assert server.requests[0].messages[-1]["content"] == "Hi"

A model without a script says "<model> heard: <last user text>". Answers: Says, Calls, Fails, Busy, TooLong, Hangs, Breaks, Garbage. Each
works with and without `stream`. `/embeddings` gives vectors of 8 numbers that are alike for alike words (`dimensions` changes the length);
Fails, Busy, Hangs and Garbage count there too. Anthropic's and Google's APIs
answer too, at `origin`. `/models` lists the scripted names. `/api/tags` answers as Ollama does.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.loopback import LoopbackServer


@dataclass(frozen=True)
class Says:
    """A text, streamed word by word. `delay_seconds` waits before each piece."""

    text: str
    input_tokens: int = 7
    output_tokens: int = 5
    delay_seconds: float = 0.0
    finish_reason: str = "stop"


class Calls:
    """Tool calls: (name, arguments) each; arguments may be a text, to send what is no JSON. `text` is said before them."""

    def __init__(self, *calls: tuple[str, Mapping[str, Any] | str], text: str = "", input_tokens: int = 11, output_tokens: int = 3) -> None:
        self.calls = calls
        self.text = text
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens


@dataclass(frozen=True)
class Fails:
    """An error answer."""

    status: int = 500
    message: str = "The model broke down."
    code: str | None = None


@dataclass(frozen=True)
class Busy:
    """429; `retry_after` None sends no such header."""

    retry_after: int | None = 3


@dataclass(frozen=True)
class TooLong:
    """The context length error as OpenAI words it."""


@dataclass(frozen=True)
class Hangs:
    """Never answers. `after` pieces of `text` come first when streaming. `server.hung_up` counts clients that went away."""

    after: int = 0
    text: str = "one two three four"


@dataclass(frozen=True)
class Breaks:
    """Sends `after` pieces of a stream and closes the connection in the middle; without streaming half a JSON body."""

    after: int = 2
    text: str = "one two three four"


@dataclass(frozen=True)
class Garbage:
    """Status 200 and no JSON."""

    body: str = "<html>This is a proxy's page, no model.</html>"


Answer: TypeAlias = Says | Calls | Fails | Busy | TooLong | Hangs | Breaks | Garbage
Script: TypeAlias = "Answer | Callable[[Received], Answer]"


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body.get("messages", []))

    @property
    def tools(self) -> list[str]:
        """Names of the offered tools."""
        return [tool["function"]["name"] for tool in self.body.get("tools", [])]

    @property
    def key(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ") or self.headers.get("api-key", "")

    @property
    def last_text(self) -> str:
        """The text of the last user turn."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return _text_of(message.get("content"))
        return ""


@dataclass
class ModelServer:
    """The running server; use `model_server()`."""

    requests: list[Received] = field(default_factory=list)
    hung_up: int = 0  # clients that left while they were kept waiting
    open_requests: int = 0
    _scripts: dict[str, list[Script]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _calls_made: int = 0

    def __post_init__(self) -> None:
        self._idle = threading.Condition(self._lock)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(64)
        self.port: int = self._socket.getsockname()[1]
        routes = [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/embeddings", self._embeddings, methods=["POST"]),
            Route("/v1/models", self._models),
            Route("/api/tags", self._tags),
            Route("/v1/messages", self._anthropic, methods=["POST"]),
            Route("/{version}/models/{call}", self._google, methods=["POST"]),
            # Azure's addresses: the deployment stands in the path.
            Route("/openai/deployments/{deployment}/chat/completions", self._chat, methods=["POST"]),
            Route("/openai/deployments/{deployment}/embeddings", self._embeddings, methods=["POST"]),
        ]
        app = Starlette(routes=routes)
        config = uvicorn.Config(
            app, log_level=100, lifespan="off", ws="none", loop="asyncio", access_log=False, timeout_graceful_shutdown=0
        )
        self._server = LoopbackServer(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """What `OPENAI_BASE_URL` and `base_url` take."""
        return f"{self.origin}/v1"

    def script(self, model: str, *answers: Script) -> None:
        """What requests to this model get, in order; the last answer is given again and again. Replaces an earlier script."""
        with self._lock:
            self._scripts[model] = list(answers)

    def requests_to(self, model: str) -> list[Received]:
        return [request for request in self.requests if request.model == model]

    def wait_until_idle(self, seconds: float = 5.0) -> bool:
        """Until no client is kept waiting any more; False when one still is. From async code: `asyncio.to_thread`."""
        with self._lock:
            return self._idle.wait_for(lambda: self.open_requests == 0, timeout=seconds)

    def _next(self, received: Received) -> Answer:
        with self._lock:
            self.requests.append(received)
            answers = self._scripts.get(received.model)
            if not answers:
                return Says(f"{received.model} heard: {received.last_text}")
            script = answers.pop(0) if len(answers) > 1 else answers[0]
        return script(received) if callable(script) else script

    async def _received(self, request: Request) -> Received:
        try:
            body = json.loads(await request.body())
        except ValueError:
            body = {}
        if deployment := request.path_params.get("deployment"):
            body.setdefault("model", deployment)
        return Received(request.url.path, dict(request.headers), body)

    async def _chat(self, request: Request) -> Response:
        received = await self._received(request)
        answer = self._next(received)
        streams = bool(received.body.get("stream"))
        if (refused := await self._refused(answer, request, streams=streams)) is not None:
            return refused
        if streams:
            return StreamingResponse(self._stream(answer, received, request), media_type="text/event-stream")
        if isinstance(answer, Breaks):
            return StreamingResponse(_half(), media_type="application/json", headers={"content-length": "4000"})
        assert isinstance(answer, Says | Calls)
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
        if isinstance(answer, Calls):
            message["tool_calls"] = self._tool_calls(answer)
        elif answer.delay_seconds:
            await asyncio.sleep(answer.delay_seconds)
        choice = {"index": 0, "message": message, "finish_reason": _finish_reason(answer), "logprobs": None}
        return JSONResponse({**_head(received, "chat.completion"), "choices": [choice], "usage": _usage(answer)})

    async def _refused(self, answer: Answer, request: Request, *, streams: bool) -> Response | None:
        match answer:
            case Fails():
                return _error(answer.status, answer.message, answer.code)
            case Busy():
                headers = {} if answer.retry_after is None else {"retry-after": str(answer.retry_after)}
                return _error(429, "Rate limit reached.", "rate_limit_exceeded", headers)
            case TooLong():
                return _error(
                    400,
                    "This model's maximum context length is 8192 tokens. However, your messages resulted in 90210 tokens.",
                    "context_length_exceeded",
                )
            case Garbage():
                return Response(answer.body, media_type="text/event-stream" if streams else "application/json")
            case Hangs() if not (streams and answer.after):
                await self._wait_until_gone(request)
                return Response(status_code=499)
            case _:
                return None

    async def _wait_until_gone(self, request: Request) -> None:
        with self._lock:
            self.open_requests += 1
        try:
            while (await request.receive())["type"] != "http.disconnect":
                pass
        finally:
            with self._lock:
                self.hung_up += 1
                self.open_requests -= 1
                self._idle.notify_all()

    async def _stream(self, answer: Answer, received: Received, request: Request) -> AsyncIterator[str]:
        def chunk(delta: Mapping[str, Any], finish_reason: str | None = None) -> str:
            choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
            return _event({**_head(received, "chat.completion.chunk"), "choices": [choice]})

        yield chunk({"role": "assistant", "content": ""})
        if isinstance(answer, Breaks | Hangs):
            for piece in _pieces(answer.text)[: answer.after]:
                yield chunk({"content": piece})
            if isinstance(answer, Hangs):
                await self._wait_until_gone(request)
                return
            raise ConnectionError("The test asked for a broken stream.")
        assert isinstance(answer, Says | Calls)
        for piece in _pieces(answer.text):
            if isinstance(answer, Says) and answer.delay_seconds:
                await asyncio.sleep(answer.delay_seconds)
            yield chunk({"content": piece})
        if isinstance(answer, Calls):
            for index, call in enumerate(self._tool_calls(answer)):
                function = call["function"]
                yield chunk({"tool_calls": [{"index": index, **call, "function": {"name": function["name"], "arguments": ""}}]})
                for piece in re.findall(r"(?s).{1,12}", function["arguments"]):
                    yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        yield chunk({}, _finish_reason(answer))
        if (received.body.get("stream_options") or {}).get("include_usage"):
            yield _event({**_head(received, "chat.completion.chunk"), "choices": [], "usage": _usage(answer)})
        yield "data: [DONE]\n\n"

    def _tool_calls(self, answer: Calls) -> list[dict[str, Any]]:
        calls = []
        for name, arguments in answer.calls:
            with self._lock:
                self._calls_made += 1
                number = self._calls_made
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            calls.append({"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": text}})
        return calls

    async def _embeddings(self, request: Request) -> Response:
        received = await self._received(request)
        answer = self._next(received)
        if (refused := await self._refused(answer, request, streams=False)) is not None:
            return refused
        given = received.body.get("input", [])
        texts: Iterable[Any] = [given] if isinstance(given, str) else given
        length = int(received.body.get("dimensions") or 8)
        data = [{"object": "embedding", "index": index, "embedding": vector_of(str(text), length)} for index, text in enumerate(texts)]
        return JSONResponse(
            {"object": "list", "model": received.model, "data": data, "usage": {"prompt_tokens": len(data), "total_tokens": len(data)}}
        )

    async def _anthropic(self, request: Request) -> Response:
        received = await self._received(request)
        answer = self._next(received)
        streams = bool(received.body.get("stream"))
        if (refused := await self._refused(answer, request, streams=streams)) is not None:
            return refused
        blocks: list[dict[str, Any]] = []
        if isinstance(answer, Says | Calls | Breaks) and answer.text:
            blocks.append({"type": "text", "text": answer.text})
        if isinstance(answer, Calls):
            for number, (name, arguments) in enumerate(answer.calls):
                blocks.append({"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments})
        usage = {"input_tokens": 7, "output_tokens": 5}
        reason = "tool_use" if isinstance(answer, Calls) else "end_turn"
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": received.model}
        if not streams:
            return JSONResponse({**head, "content": blocks, "stop_reason": reason, "stop_sequence": None, "usage": usage})
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}}
        ]
        for index, block in enumerate(blocks):
            is_text = block["type"] == "text"
            start = {"type": "text", "text": ""} if is_text else {**block, "input": {}}
            events.append({"type": "content_block_start", "index": index, "content_block": start})
            for piece in _pieces(block["text"]) if is_text else re.findall(r"(?s).{1,7}", json.dumps(block["input"])):
                delta = {"type": "text_delta", "text": piece} if is_text else {"type": "input_json_delta", "partial_json": piece}
                events.append({"type": "content_block_delta", "index": index, "delta": delta})
            events.append({"type": "content_block_stop", "index": index})
        if not isinstance(answer, Breaks):
            ended = {"stop_reason": reason, "stop_sequence": None}
            events += [{"type": "message_delta", "delta": ended, "usage": {"output_tokens": 5}}, {"type": "message_stop"}]
        text = "".join(f"event: {event['type']}\n{_event(event)}" for event in events)
        return Response(text, media_type="text/event-stream")

    async def _google(self, request: Request) -> Response:
        received = await self._received(request)
        model, _, method = str(request.path_params["call"]).partition(":")
        received = Received(received.path, received.headers, {**received.body, "model": model})
        answer = self._next(received)
        streams = method == "streamGenerateContent"
        if (refused := await self._refused(answer, request, streams=streams)) is not None:
            return refused
        texts = _pieces(answer.text) if isinstance(answer, Says | Calls | Breaks) else []
        parts: list[dict[str, Any]] = [{"text": piece} for piece in texts]
        if isinstance(answer, Calls):
            parts += [{"functionCall": {"name": name, "args": arguments}} for name, arguments in answer.calls]
        usage = {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12}
        last: dict[str, Any] = {"modelVersion": model}
        if not isinstance(answer, Breaks):
            last["usageMetadata"] = usage
        ended = {} if isinstance(answer, Breaks) else {"finishReason": "STOP"}
        if not streams:
            return JSONResponse({**last, "candidates": [{"content": {"role": "model", "parts": parts}, **ended}]})
        chunks = [{"modelVersion": model, "candidates": [{"content": {"role": "model", "parts": [part]}}]} for part in parts]
        chunks.append({**last, "candidates": [{"content": {"role": "model", "parts": []}, **ended}]})
        return Response("".join(_event(chunk) for chunk in chunks), media_type="text/event-stream")

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in self._scripts]})

    async def _tags(self, request: Request) -> Response:
        return JSONResponse({"models": [{"name": name, "model": name} for name in self._scripts]})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._server.stop()
        self._thread.join(timeout=10)
        self._socket.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with contextlib.suppress(RuntimeError):
            await asyncio.to_thread(self.__exit__, None, None, None)


def model_server() -> ModelServer:
    return ModelServer()


def vector_of(text: str, length: int = 8) -> list[float]:
    """A unit vector in which each word counts, so that texts that share words are near each other."""
    vector = [0.0] * length
    for word in re.findall(r"\w+", text.lower()) or [""]:
        digest = hashlib.sha256(word.encode()).digest()
        for index in range(length):
            vector[index] += digest[index % 32] / 127.5 - 1.0
    size = math.sqrt(sum(number * number for number in vector)) or 1.0
    return [number / size for number in vector]


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content if part.get("type") == "text")
    return str(content or "")


def _pieces(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)


def _head(received: Received, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_750_000_000, "model": received.model}


def _usage(answer: Says | Calls) -> dict[str, int]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }


def _finish_reason(answer: Says | Calls) -> str:
    return "tool_calls" if isinstance(answer, Calls) else answer.finish_reason


def _error(status: int, message: str, code: str | None, headers: Mapping[str, str] | None = None) -> Response:
    body = {"error": {"message": message, "type": "server_error" if status >= 500 else "invalid_request_error", "code": code}}
    return JSONResponse(body, status, headers=dict(headers or {}))


def _event(payload: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(payload)}\n\n"


async def _half() -> AsyncIterator[str]:
    yield '{"id": "chatcmpl-1", "choices": [{"index": 0, "mess'
    raise ConnectionError("The test asked for a broken answer.")
