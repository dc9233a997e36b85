"""Anthropic's models, over its SDK (extra `anthropic`)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from projects.errors import ProviderFailed
from projects.models.chat import ChatMessage, ChatOptions, Reply, TextChunk, ToolCall, ToolSpec, Usage
from projects.models.failures import Asked, deadline_told, each_within, sdk, within
from projects.models.openai_compatible import tool_call
from projects.outgoing.guard import refusal_behind

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

PROVIDER = "Anthropic"
MAX_TOKENS = 4096  # the API wants a bound; this is its models' usual one
_NO_OPTIONS = ChatOptions()


def make_client(
    *, key: str, base_url: str, http_client: httpx2.AsyncClient, timeout_seconds: float, max_retries: int, node: str
) -> AsyncAnthropic:
    """Raises PackageMissing."""
    anthropic = sdk("anthropic", extra="anthropic", node=node)
    client: AsyncAnthropic = anthropic.AsyncAnthropic(
        api_key=key or "none", base_url=base_url, http_client=http_client, timeout=timeout_seconds, max_retries=max_retries
    )
    return client


class AnthropicChatModel:
    """Implements `projects.models.chat.ChatModel`."""

    def __init__(self, client: AsyncAnthropic, *, key: str, model: str, timeout_seconds: float) -> None:
        self._client = client
        self._asked = Asked(PROVIDER, model, key)
        self._timeout_seconds = timeout_seconds

    @property
    def name(self) -> str:
        return self._asked.model

    @property
    def provider(self) -> str:
        return PROVIDER

    async def reply(self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NO_OPTIONS) -> Reply:
        seconds = options.timeout_seconds or self._timeout_seconds
        request = self._request(messages, tools, options)
        with _told(self._asked), deadline_told(self._asked, seconds):
            answer: Any = await within(seconds, self._sent(request))
        blocks = getattr(answer, "content", None)
        if not isinstance(blocks, list):
            raise self._asked.unreadable()
        calls = tuple(ToolCall(block.id, block.name, dict(block.input or {})) for block in blocks if block.type == "tool_use")
        text = "".join(block.text for block in blocks if block.type == "text")
        usage = Usage(answer.usage.input_tokens, answer.usage.output_tokens) if answer.usage is not None else None
        return Reply(text, calls, usage, answer.model or self.name, _FINISH.get(answer.stop_reason or "", "stop"))

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NO_OPTIONS
    ) -> AsyncIterator[TextChunk | Reply]:
        seconds = options.timeout_seconds or self._timeout_seconds
        request = self._request(messages, tools, options) | {"stream": True}
        texts: list[str] = []
        calls: dict[int, dict[str, str]] = {}
        model, read, written = self.name, 0, 0
        finish_reason: str | None = None
        is_empty = True
        with _told(self._asked), deadline_told(self._asked, seconds):
            events: Any = await within(seconds, self._sent(request))
            async with events:
                async for event in each_within(seconds, aiter(events)):
                    is_empty = False
                    match event.type:
                        case "message_start":
                            model, read = event.message.model or model, event.message.usage.input_tokens
                        case "content_block_start" if event.content_block.type == "tool_use":
                            calls[event.index] = {"id": event.content_block.id, "name": event.content_block.name, "arguments": ""}
                        case "content_block_delta" if event.delta.type == "text_delta":
                            texts.append(event.delta.text)
                            yield TextChunk(event.delta.text)
                        case "content_block_delta" if event.delta.type == "input_json_delta" and event.index in calls:
                            calls[event.index]["arguments"] += event.delta.partial_json
                        case "message_delta":
                            finish_reason = event.delta.stop_reason or finish_reason
                            written = event.usage.output_tokens or written
                        case _:
                            pass
        if is_empty:
            raise self._asked.unreadable()
        if finish_reason is None:
            raise self._asked.broke_off()
        made = tuple(tool_call(call["id"], call["name"], call["arguments"]) for _, call in sorted(calls.items()))
        yield Reply("".join(texts), made, Usage(read, written), model, _FINISH.get(finish_reason, "stop"))

    async def _sent(self, request: dict[str, Any]) -> Any:
        """The SDK's answer. A model that takes no temperature or the like is asked once more without."""
        import anthropic

        try:
            return await self._client.messages.create(**request)
        except anthropic.BadRequestError as error:
            refused = [name for name in request["extra_body"] if name in _SAMPLING and name in _reason(error)]
            if not refused:
                raise
            kept = {name: value for name, value in request["extra_body"].items() if name not in _SAMPLING}
        return await self._client.messages.create(**{**request, "extra_body": kept})

    def _request(self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec], options: ChatOptions) -> dict[str, Any]:
        system = "\n\n".join(message.text for message in messages if message.role == "system" and message.text)
        request: dict[str, Any] = {
            "model": self.name,
            "max_tokens": options.max_tokens or MAX_TOKENS,
            "messages": _turns(messages),
            # The SDK no longer knows temperature and its like by name, though models still take them.
            "extra_body": dict(options.extra),
        }
        if options.json_mode or options.response_schema is not None:
            # There is no such mode, so the model is told.
            shape = f" of this JSON schema: {json.dumps(dict(options.response_schema))}" if options.response_schema is not None else ""
            system = f"{system}\n\nAnswer with one JSON value{shape} and nothing else.".strip()
        if system:
            request["system"] = system
        if options.temperature is not None:
            request["extra_body"]["temperature"] = min(options.temperature, 1.0)
        if tools:
            request["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)} for tool in tools
            ]
        return request


_SAMPLING = frozenset(("temperature", "top_p", "top_k"))
_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}


def _turns(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """User and assistant in turn, as the API wants them; tools answer in the user's turn."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: ChatMessage) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id or "", "content": message.text}]
    blocks: list[dict[str, Any]] = [{"type": "image", "source": _source(image)} for image in message.images]
    if message.text.strip():
        blocks.append({"type": "text", "text": message.text})
    for call in message.tool_calls:
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)})
    return blocks


def _source(image: str) -> dict[str, str]:
    if image.startswith("data:"):
        head, _, content = image.partition(",")
        return {"type": "base64", "media_type": head.removeprefix("data:").split(";")[0], "data": content}
    return {"type": "url", "url": image}


@contextmanager
def _told(asked: Asked) -> Iterator[None]:
    """The SDK's errors as ours."""
    import anthropic
    import httpx2

    try:
        yield
    except ProviderFailed:
        raise
    except anthropic.APIStatusError as error:
        raise asked.failed(error.status_code, _reason(error), headers=error.response.headers) from error
    except anthropic.APIResponseValidationError as error:
        raise asked.unreadable(status=error.status_code) from error
    except anthropic.APITimeoutError as error:
        raise asked.timed_out(0) from error
    except anthropic.APIConnectionError as error:
        if (refusal := refusal_behind(error)) is not None:
            raise refusal from None
        raise asked.unreachable(str(error.__cause__ or error)) from error
    except anthropic.APIError as error:
        raise asked.failed(None, error.message) from error
    except httpx2.TransportError as error:
        raise (refusal_behind(error) or asked.broke_off()) from error
    except (ValueError, AttributeError, anthropic.AnthropicError) as error:  # a body that is no message
        raise asked.unreadable() from error


def _reason(error: Any) -> str:
    body = error.body
    if isinstance(body, Mapping) and isinstance(inner := body.get("error"), Mapping):
        return str(inner.get("message") or error.message)
    return str(error.message)
