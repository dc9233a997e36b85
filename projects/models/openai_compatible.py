"""OpenAI and everything that speaks its API at another base address, over the `openai` SDK."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from projects.errors import ProviderFailed
from projects.models.chat import ChatMessage, ChatOptions, Reply, TextChunk, ToolCall, ToolSpec, Usage
from projects.models.failures import Asked, deadline_told, each_within, within
from projects.outgoing.guard import refusal_behind

if TYPE_CHECKING:
    from openai import AsyncOpenAI  # 240 ms that only a run with a model pays

_NO_OPTIONS = ChatOptions()
TEXTS_AT_ONCE = 128

# What some models refuse although others need it: the request goes out again without it, or under its other name.
_ADJUSTABLE = ("temperature", "seed", "max_tokens", "stream_options", "response_format", "parallel_tool_calls")


class OpenAIChatModel:
    """One model behind one client. Implements `projects.models.chat.ChatModel`."""

    def __init__(self, client: AsyncOpenAI, *, provider: str, model: str, timeout_seconds: float, extra: Mapping[str, Any] | None = None):
        self._client = client
        self._asked = Asked(provider, model, client.api_key)
        self._timeout_seconds = timeout_seconds
        self._extra = dict(extra or {})

    @property
    def name(self) -> str:
        return self._asked.model

    @property
    def provider(self) -> str:
        return self._asked.provider

    async def reply(self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NO_OPTIONS) -> Reply:
        seconds = options.timeout_seconds or self._timeout_seconds
        with _told(self._asked), deadline_told(self._asked, seconds):
            answer = await within(seconds, self._ask(self._request(messages, tools, options)))
        return self._read(answer)

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NO_OPTIONS
    ) -> AsyncIterator[TextChunk | Reply]:
        seconds = options.timeout_seconds or self._timeout_seconds
        request = self._request(messages, tools, options) | {"stream": True, "stream_options": {"include_usage": True}}
        so_far = _SoFar()
        with _told(self._asked), deadline_told(self._asked, seconds):
            chunks = await within(seconds, self._ask(request))
            if not hasattr(chunks, "__aiter__"):
                raise self._asked.unreadable()
            async with chunks:
                async for chunk in each_within(seconds, aiter(chunks)):
                    if text := so_far.add(chunk):
                        yield TextChunk(text)
        if so_far.is_empty:
            raise self._asked.unreadable()
        if so_far.finish_reason is None:
            raise self._asked.broke_off()
        yield so_far.reply(self.name)

    def _request(self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec], options: ChatOptions) -> dict[str, Any]:
        request: dict[str, Any] = {"model": self.name, "messages": [_wire_message(message) for message in messages]}
        if tools:
            request["tools"] = [
                {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}}
                for tool in tools
            ]
        for name in ("temperature", "max_tokens", "seed"):
            if (value := getattr(options, name)) is not None:
                request[name] = value
        if options.response_schema is not None:
            schema = {"name": "answer", "schema": dict(options.response_schema)}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif options.json_mode:
            request["response_format"] = {"type": "json_object"}
        if extra := {**self._extra, **options.extra}:
            request["extra_body"] = extra
        return request

    async def _ask(self, request: dict[str, Any]) -> Any:
        import openai

        for _ in _ADJUSTABLE:
            try:
                return await self._client.chat.completions.create(**request)
            except openai.BadRequestError as error:
                if not _adjust(request, error):
                    raise
        return await self._client.chat.completions.create(**request)

    def _read(self, answer: Any) -> Reply:
        choices = getattr(answer, "choices", None)
        message = getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
        if message is None or choices is None:
            raise self._asked.unreadable()
        calls = tuple(
            tool_call(call.id, call.function.name, call.function.arguments)
            for call in message.tool_calls or ()
            if getattr(call, "function", None) is not None
        )
        return Reply(
            text=message.content or getattr(message, "refusal", None) or "",
            tool_calls=calls,
            usage=_usage(getattr(answer, "usage", None)),
            model=answer.model or self.name,
            finish_reason=choices[0].finish_reason or "stop",
        )


class OpenAIEmbeddingModel:
    """Implements `projects.models.chat.EmbeddingModel`."""

    def __init__(
        self, client: AsyncOpenAI, *, provider: str, model: str, timeout_seconds: float, dimensions: int | None = None, at_once: int = 0
    ):
        self._client = client
        self._asked = Asked(provider, model, client.api_key)
        self._timeout_seconds = timeout_seconds
        self._dimensions = dimensions
        self._at_once = min(at_once, TEXTS_AT_ONCE) if at_once > 0 else TEXTS_AT_ONCE

    @property
    def name(self) -> str:
        return self._asked.model

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        vectors: list[list[float]] = []
        for start in range(0, len(texts), self._at_once):
            # An empty text is refused by most providers; a blank means as much.
            part = [text if text.strip() else " " for text in texts[start : start + self._at_once]]
            vectors.extend(await self._embed(part))
        return vectors

    async def _embed(self, texts: list[str]) -> list[list[float]]:
        request: dict[str, Any] = {"model": self.name, "input": texts, "encoding_format": "float"}
        if self._dimensions:
            request["dimensions"] = self._dimensions
        with _told(self._asked), deadline_told(self._asked, self._timeout_seconds):
            answer = await within(self._timeout_seconds, self._client.embeddings.create(**request))
        data = getattr(answer, "data", None)
        if not isinstance(data, list) or len(data) != len(texts):
            raise self._asked.unreadable()
        return [list(item.embedding) for item in sorted(data, key=lambda item: item.index)]


async def served_models(client: AsyncOpenAI, *, provider: str, timeout_seconds: float) -> list[str]:
    """The models that a server offers. Raises ProviderFailed."""
    asked = Asked(provider, "the list of models", client.api_key)
    with _told(asked), deadline_told(asked, timeout_seconds):
        page = await within(timeout_seconds, client.models.list())
    return [model.id for model in getattr(page, "data", None) or () if isinstance(getattr(model, "id", None), str)]


class _SoFar:
    """What the chunks of a stream have brought."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._usage: Usage | None = None
        self._model = ""
        self.finish_reason: str | None = None
        self.is_empty = True

    def add(self, chunk: Any) -> str:
        """Take a chunk in; the text it brought."""
        self.is_empty = False
        self._model = getattr(chunk, "model", None) or self._model
        self._usage = _usage(getattr(chunk, "usage", None)) or self._usage
        text = ""
        for choice in getattr(chunk, "choices", None) or ():
            self.finish_reason = choice.finish_reason or self.finish_reason
            delta = choice.delta
            if delta is None:
                continue
            text += delta.content or getattr(delta, "refusal", None) or ""
            for call in delta.tool_calls or ():
                self._add_call(call)
        if text:
            self._texts.append(text)
        return text

    def _add_call(self, call: Any) -> None:
        known = self._calls.setdefault(call.index if call.index is not None else len(self._calls), {"id": "", "name": "", "arguments": ""})
        known["id"] = call.id or known["id"]
        if call.function is not None:
            known["name"] = call.function.name or known["name"]
            known["arguments"] += call.function.arguments or ""

    def reply(self, model: str) -> Reply:
        calls = tuple(
            tool_call(call["id"] or f"call_{index}", call["name"], call["arguments"]) for index, call in sorted(self._calls.items())
        )
        return Reply("".join(self._texts), calls, self._usage, self._model or model, self.finish_reason or "stop")


def tool_call(id: str, name: str, arguments: str | None) -> ToolCall:
    """A call as the model wrote it; text that is no JSON object is told as a problem, not raised."""
    text = (arguments or "").strip()
    try:
        parsed = json.loads(text) if text else {}
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        return ToolCall(id, name, parsed)
    return ToolCall(id, name, {}, problem=f"The arguments are no JSON object: {text[:200]}")


def _wire_message(message: ChatMessage) -> dict[str, Any]:
    match message.role:
        case "tool":
            return {"role": "tool", "tool_call_id": message.tool_call_id or "", "content": message.text}
        case "assistant" if message.tool_calls:
            calls = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))}}
                for call in message.tool_calls
            ]
            return {"role": "assistant", "content": message.text or None, "tool_calls": calls}
        case "user" if message.images:
            parts: list[dict[str, Any]] = [{"type": "text", "text": message.text}] if message.text else []
            parts += [{"type": "image_url", "image_url": {"url": image}} for image in message.images]
            return {"role": "user", "content": parts}
        case role:
            return {"role": role, "content": message.text}


def _adjust(request: dict[str, Any], error: Any) -> bool:
    """Change the request by what this model refused of it; whether there was anything to change."""
    said = str(error)
    for name in _ADJUSTABLE:
        if name not in request or (getattr(error, "param", None) != name and name not in said):
            continue
        value = request.pop(name)
        if name == "max_tokens":
            request["max_completion_tokens"] = value
        elif name == "response_format" and value["type"] == "json_schema":
            request["response_format"] = {"type": "json_object"}
        return True
    return False


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    return Usage(getattr(usage, "prompt_tokens", None) or 0, getattr(usage, "completion_tokens", None) or 0)


@contextmanager
def _told(asked: Asked) -> Iterator[None]:
    """The SDK's errors as ours."""
    import httpx2
    import openai

    try:
        yield
    except ProviderFailed:
        raise
    except openai.APITimeoutError as error:
        raise asked.timed_out(_seconds_of(error)) from error
    except openai.APIStatusError as error:
        code = error.code if isinstance(error.code, str) else ""
        raise asked.failed(error.status_code, _reason(error), headers=error.response.headers, code=code) from error
    except openai.APIResponseValidationError as error:
        raise asked.unreadable(status=error.status_code) from error
    except openai.APIConnectionError as error:
        if (refusal := refusal_behind(error)) is not None:
            raise refusal from None
        if isinstance(error.__cause__, httpx2.RemoteProtocolError | httpx2.ReadError):
            raise asked.broke_off() from error
        raise asked.unreachable(str(error.__cause__ or error)) from error
    except openai.APIError as error:  # an error event in the middle of a stream
        code = error.code if isinstance(error.code, str) else ""
        raise asked.failed(None, error.message, code=code) from error
    except httpx2.TransportError as error:
        if (refusal := refusal_behind(error)) is not None:
            raise refusal from None
        raise asked.broke_off() from error
    except (ValueError, openai.OpenAIError) as error:  # a body that is no JSON
        raise asked.unreadable() from error


def _seconds_of(error: Any) -> float:
    timeout = error.request.extensions.get("timeout", {}) if getattr(error, "request", None) is not None else {}
    return float(timeout.get("read") or 0)


def _reason(error: Any) -> str:
    body = error.body
    if isinstance(body, Mapping):
        found = body.get("message") or body.get("error") or body.get("detail")
        if isinstance(found, Mapping):
            found = found.get("message")
        if isinstance(found, str) and found:
            return found
    return str(error.message)
