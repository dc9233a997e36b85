"""Google's Gemini models, over its SDK (extra `google`)."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from projects.errors import HeadwaterError
from projects.models.chat import ChatMessage, ChatOptions, Reply, TextChunk, ToolCall, ToolSpec, Usage
from projects.models.failures import Asked, deadline_told, each_within, sdk, within
from projects.outgoing.guard import refusal_behind

if TYPE_CHECKING:
    import httpx2
    from google.genai.client import AsyncClient

PROVIDER = "Google Generative AI"
TEXTS_AT_ONCE = 100
_NO_OPTIONS = ChatOptions()
_FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}


def make_client(
    *, key: str, base_url: str, http_client: httpx2.AsyncClient, timeout_seconds: float, max_retries: int, node: str
) -> AsyncClient:
    """Raises PackageMissing."""
    genai = sdk("google.genai", extra="google", node=node)
    options = {
        "base_url": base_url,
        "timeout": int(timeout_seconds * 1000),
        "httpx_async_client": http_client,
        "retry_options": {"attempts": max_retries + 1},
    }
    client: AsyncClient = genai.Client(api_key=key or "none", http_options=genai.types.HttpOptions(**options)).aio
    return client


class GoogleChatModel:
    """Implements `projects.models.chat.ChatModel`."""

    def __init__(self, client: AsyncClient, *, key: str, model: str, timeout_seconds: float) -> None:
        self._client = client
        self._asked = Asked(PROVIDER, model.removeprefix("models/"), key)
        self._timeout_seconds = timeout_seconds

    @property
    def name(self) -> str:
        return self._asked.model

    @property
    def provider(self) -> str:
        return PROVIDER

    async def reply(self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NO_OPTIONS) -> Reply:
        seconds = options.timeout_seconds or self._timeout_seconds
        so_far = _SoFar(self.name)
        with _told(self._asked), deadline_told(self._asked, seconds):
            request = self._request(messages, tools, options)
            so_far.add(await within(seconds, self._client.models.generate_content(**request)))
        return so_far.reply(self._asked)

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NO_OPTIONS
    ) -> AsyncIterator[TextChunk | Reply]:
        seconds = options.timeout_seconds or self._timeout_seconds
        so_far = _SoFar(self.name)
        with _told(self._asked), deadline_told(self._asked, seconds):
            request = self._request(messages, tools, options)
            chunks = await within(seconds, self._client.models.generate_content_stream(**request))
            async for chunk in each_within(seconds, aiter(chunks)):
                if text := so_far.add(chunk):
                    yield TextChunk(text)
        yield so_far.reply(self._asked)

    def _request(self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec], options: ChatOptions) -> dict[str, Any]:
        config: dict[str, Any] = {"automatic_function_calling": {"disable": True}}
        if system := "\n\n".join(message.text for message in messages if message.role == "system" and message.text):
            config["system_instruction"] = system
        for ours, theirs in (("temperature", "temperature"), ("max_tokens", "max_output_tokens"), ("seed", "seed")):
            if (value := getattr(options, ours)) is not None:
                config[theirs] = value
        if tools:
            declared = [
                {"name": tool.name, "description": tool.description, "parameters_json_schema": dict(tool.parameters)} for tool in tools
            ]
            config["tools"] = [{"function_declarations": declared}]
        elif options.json_mode or options.response_schema is not None:
            config["response_mime_type"] = "application/json"
            if options.response_schema is not None:
                config["response_json_schema"] = dict(options.response_schema)
        return {"model": self.name, "contents": _contents(messages), "config": config}


class GoogleEmbeddingModel:
    """Implements `projects.models.chat.EmbeddingModel`."""

    def __init__(self, client: AsyncClient, *, key: str, model: str, timeout_seconds: float, dimensions: int | None) -> None:
        self._client = client
        self._asked = Asked(PROVIDER, model.removeprefix("models/"), key)
        self._timeout_seconds = timeout_seconds
        self._dimensions = dimensions

    @property
    def name(self) -> str:
        return self._asked.model

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        config: Any = {"output_dimensionality": self._dimensions} if self._dimensions else None
        vectors: list[list[float]] = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part: Any = [text if text.strip() else " " for text in texts[start : start + TEXTS_AT_ONCE]]
            with _told(self._asked), deadline_told(self._asked, self._timeout_seconds):
                waiting = self._client.models.embed_content(model=self.name, contents=part, config=config)
                answer = await within(self._timeout_seconds, waiting)
            found = [list(item.values or ()) for item in answer.embeddings or ()]
            if len(found) != len(part):
                raise self._asked.unreadable()
            vectors.extend(found)
        return vectors


class _SoFar:
    def __init__(self, model: str) -> None:
        self._model = model
        self._texts: list[str] = []
        self._calls: list[ToolCall] = []
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._is_empty = True

    def add(self, answer: Any) -> str:
        """Take an answer or a piece of one in; the text it brought."""
        self._model = answer.model_version or self._model
        if (counted := answer.usage_metadata) is not None:
            self._is_empty = False
            written = (counted.candidates_token_count or 0) + (counted.thoughts_token_count or 0)
            self._usage = Usage(counted.prompt_token_count or 0, written)
        blocked = getattr(answer.prompt_feedback, "block_reason", None)
        if blocked is not None:
            self._is_empty, self._finish_reason = False, "content_filter"
        text = ""
        for candidate in (answer.candidates or ())[:1]:
            self._is_empty = False
            if candidate.finish_reason is not None:
                self._finish_reason = candidate.finish_reason.value
            for part in (candidate.content.parts if candidate.content is not None else None) or ():
                if part.function_call is not None:
                    call = part.function_call
                    # The API names calls only at times; what answers one needs a name to refer to.
                    self._calls.append(ToolCall(call.id or f"call_{len(self._calls) + 1}", call.name or "", dict(call.args or {})))
                elif part.text and not part.thought:
                    text += part.text
        self._texts.append(text)
        return text

    def reply(self, asked: Asked) -> Reply:
        if self._is_empty:
            raise asked.unreadable()
        if self._finish_reason is None:
            raise asked.broke_off()
        finish_reason = "tool_calls" if self._calls else _FINISH.get(self._finish_reason, self._finish_reason.lower())
        return Reply("".join(self._texts), tuple(self._calls), self._usage, self._model, finish_reason)


def _contents(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    contents: list[dict[str, Any]] = []
    for message in messages:
        parts = _parts(message, names)
        if message.role == "system" or not parts:
            continue
        role = "model" if message.role == "assistant" else "user"
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].extend(parts)
        else:
            contents.append({"role": role, "parts": parts})
    return contents


def _parts(message: ChatMessage, names: dict[str, str]) -> list[dict[str, Any]]:
    if message.role == "tool":
        name = names.get(message.tool_call_id or "", "")
        return [{"function_response": {"name": name, "response": {"result": message.text}}}]
    parts: list[dict[str, Any]] = [{"text": message.text}] if message.text else []
    parts += [_image(image) for image in message.images]
    parts += [{"function_call": {"name": call.name, "args": dict(call.arguments)}} for call in message.tool_calls]
    return parts


def _image(image: str) -> dict[str, Any]:
    if image.startswith("data:"):
        head, _, content = image.partition(",")
        return {"inline_data": {"mime_type": head.removeprefix("data:").split(";")[0], "data": b64decode(content)}}
    return {"file_data": {"file_uri": image}}


@contextmanager
def _told(asked: Asked) -> Iterator[None]:
    """The SDK's errors as ours."""
    import httpx2
    from google.genai import errors

    try:
        yield
    except HeadwaterError:
        raise
    except errors.APIError as error:
        headers = getattr(error.response, "headers", None)
        raise asked.failed(error.code or None, error.message or str(error), headers=headers) from error
    except httpx2.TimeoutException as error:
        raise asked.timed_out(0) from error
    except httpx2.TransportError as error:
        if (refusal := refusal_behind(error)) is not None:
            raise refusal from None
        if isinstance(error, httpx2.ConnectError):
            raise asked.unreachable(str(error)) from error
        raise asked.broke_off() from error
    except (ValueError, TypeError, AttributeError) as error:  # a body that is no answer; pydantic's error is a ValueError
        raise asked.unreadable() from error
