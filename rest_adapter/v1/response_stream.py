"""A response told while it is made, in one of two shapes.

`ChunkWriter`: Langflow's chunks (seen with 1.13). `EventWriter`: the typed events that OpenAI's own clients read. `Teller` turns what a run
tells into calls of either.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from projects.engine.events import MessageAdded, RunEvent, TokenAdded
from projects.engine.values import SENDER_USER, Message
from projects.invocation import InvocationResult
from rest_adapter.event_stream import sse_frame
from rest_adapter.v1.response_items import answer_of, message_item, response_object, tool_calls, tool_item

_DONE = sse_frame("[DONE]")


class ResponseWriter(Protocol):
    """Each call gives the frames to send, possibly none."""

    def begin(self, id: str, moment: int) -> bytes: ...

    def text(self, delta: str) -> bytes: ...

    def tool(self, block: Mapping[str, Any]) -> bytes: ...

    def end(self, result: InvocationResult) -> bytes: ...

    def fail(self, message: str) -> bytes: ...


class Teller:
    """What of a run belongs to its response: texts as they grow and tool calls as they end, each once."""

    def __init__(self, writer: ResponseWriter) -> None:
        self._writer = writer
        self._texts: dict[str, str] = {}  # message id → what was told of it
        self._tools: dict[str, int] = {}  # message id → how many of its calls were told

    def of(self, event: RunEvent) -> bytes:
        match event:
            case TokenAdded(chunk=chunk, message_id=id):
                self._texts[id] = self._texts.get(id, "") + chunk
                return self._writer.text(chunk)
            case MessageAdded(message=message) if message.category != "error" and message.sender != SENDER_USER:
                return self._tools_of(message) + self._text_of(message)
            case _:
                return b""

    def end(self, result: InvocationResult) -> bytes:
        """With what nobody told on the way: of a message that is not stored, or of a run that was over before."""
        answer = answer_of(result)
        left = self._tools_of(answer) if not any(self._tools.values()) else b""
        if answer.text and not any(self._texts.values()):
            left += self._writer.text(answer.text)
        return left + self._writer.end(result)

    def _tools_of(self, message: Message) -> bytes:
        id, calls = message.id or "", list(tool_calls(message))
        told, self._tools[id] = self._tools.get(id, 0), len(calls)
        return b"".join(self._writer.tool(block) for block in calls[told:])

    def _text_of(self, message: Message) -> bytes:
        id, text = message.id or "", message.text
        told = self._texts.get(id, "")
        if message.state != "complete" or not text or told.endswith(text):
            return b""
        self._texts[id] = text
        # What was streamed before a tool call stays as it was told; the rest of the text follows it.
        return self._writer.text(text[len(told) :] if text.startswith(told) else "")


class ChunkWriter:
    """`response.chunk` objects; tool calls and the end are named events."""

    def __init__(self, model: str, *, with_results: bool) -> None:
        self._model = model
        self._with_results = with_results
        self._id = ""
        self._moment = 0
        self._tool_count = 0

    def begin(self, id: str, moment: int) -> bytes:
        self._id, self._moment = id, moment
        return self._chunk({"content": ""})

    def text(self, delta: str) -> bytes:
        return self._chunk({"content": delta}) if delta else b""

    def tool(self, block: Mapping[str, Any]) -> bytes:
        self._tool_count += 1
        place = self._tool_count
        return _tool_frames(block, place, index=place - 1, with_results=self._with_results, begun_at=4 * place - 4)

    def end(self, result: InvocationResult) -> bytes:
        whole = response_object(
            id=self._id, model=self._model, moment=self._moment, output=(), previous_response_id=None, usage=result.token_usage
        )
        told = {name: whole[name] for name in ("id", "object", "created_at", "status", "model", "usage")}
        end = sse_frame({"type": "response.completed", "response": told}, "response.completed")
        return self._chunk({}, "completed", "stop") + end + _DONE

    def fail(self, message: str) -> bytes:
        return self._chunk({"content": message}, "failed", "error") + _DONE

    def _chunk(self, delta: Mapping[str, str], status: str | None = None, finish_reason: str | None = None) -> bytes:
        return sse_frame(
            {
                "id": self._id,
                "object": "response.chunk",
                "created": self._moment,
                "model": self._model,
                "delta": delta,
                "status": status,
                "finish_reason": finish_reason,
            }
        )


class EventWriter:
    """OpenAI's typed events, numbered."""

    def __init__(self, model: str, *, previous_response_id: str | None, with_results: bool) -> None:
        self._model = model
        self._previous = previous_response_id
        self._with_results = with_results
        self._id = ""
        self._moment = 0
        self._count = 0
        self._items: list[dict[str, Any]] = []
        self._message_index: int | None = None
        self._text = ""
        self._tool_count = 0

    def begin(self, id: str, moment: int) -> bytes:
        self._id, self._moment = id, moment
        begun = self._response("in_progress")
        return self._event("response.created", response=begun) + self._event("response.in_progress", response=begun)

    def text(self, delta: str) -> bytes:
        if not delta:
            return b""
        opening = b""
        if self._message_index is None:
            self._message_index = len(self._items)
            item = {**message_item(self._id, ""), "status": "in_progress", "content": []}
            self._items.append(item)
            opening = self._event("response.output_item.added", output_index=self._message_index, item=item)
            opening += self._event("response.content_part.added", **self._place(), part=_part(""))
        self._text += delta
        return opening + self._event("response.output_text.delta", **self._place(), delta=delta, logprobs=[])

    def tool(self, block: Mapping[str, Any]) -> bytes:
        self._tool_count += 1
        index = len(self._items)
        self._items.append(tool_item(block, self._tool_count, with_results=self._with_results))
        begun_at, self._count = self._count, self._count + 4
        return _tool_frames(block, self._tool_count, index=index, with_results=self._with_results, begun_at=begun_at)

    def end(self, result: InvocationResult) -> bytes:
        closing = b""
        if self._message_index is None:
            self._items.append(message_item(self._id, ""))
        else:
            item = self._items[self._message_index] = message_item(self._id, self._text)
            closing = self._event("response.output_text.done", **self._place(), text=self._text, logprobs=[])
            closing += self._event("response.content_part.done", **self._place(), part=_part(self._text))
            closing += self._event("response.output_item.done", output_index=self._message_index, item=item)
        whole = self._response("completed", usage=result.token_usage)
        return closing + self._event("response.completed", response=whole) + _DONE

    def fail(self, message: str) -> bytes:
        error = {"code": "server_error", "message": message}
        return self._event("response.failed", response=self._response("failed", error=error)) + _DONE

    def _place(self) -> dict[str, Any]:
        return {"item_id": f"msg_{self._id}", "output_index": self._message_index, "content_index": 0}

    def _response(self, status: str, *, usage: Mapping[str, int] | None = None, error: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return response_object(
            id=self._id,
            model=self._model,
            moment=self._moment,
            output=list(self._items),
            previous_response_id=self._previous,
            usage=usage,
            status=status,
            error=error,
        )

    def _event(self, type: str, **data: Any) -> bytes:
        self._count += 1
        return sse_frame({"type": type, **data, "sequence_number": self._count - 1}, type)


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _tool_frames(block: Mapping[str, Any], place: int, *, index: int, with_results: bool, begun_at: int) -> bytes:
    """A call that has ended, as four events: there, its arguments in one piece, its arguments again, and the whole item."""
    call = tool_item(block, place, with_results=False)
    done = tool_item(block, place, with_results=with_results)
    if with_results:
        done["inputs"] = block.get("tool_input") or {}
    begun = {**call, "status": "in_progress", "arguments": ""}
    begun.pop("error", None)
    where = {"item_id": call["id"], "output_index": index}
    events: tuple[dict[str, Any], ...] = (
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        {"type": "response.function_call_arguments.delta", **where, "delta": call["arguments"]},
        {"type": "response.function_call_arguments.done", **where, "name": call["name"], "arguments": call["arguments"]},
        {"type": "response.output_item.done", "output_index": index, "item": done},
    )
    return b"".join(sse_frame({**event, "sequence_number": begun_at + number}, event["type"]) for number, event in enumerate(events))
