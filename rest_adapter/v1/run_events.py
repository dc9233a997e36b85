"""What a run tells while it goes on, as this API words it: `add_message`, `token`, `log`, `error` (seen with Langflow 1.13)."""

from typing import Any, TypeAlias

from projects.engine.events import LogAdded, MessageAdded, RunEvent, TokenAdded, VertexFinished
from projects.engine.values import Message
from rest_adapter.v1.run_shapes import message_dump

WireEvent: TypeAlias = tuple[str, dict[str, Any]]  # name and data


class RunEvents:
    """The wire events of one run, in order. A message that is streamed is told as clients know it: `add_message` with its first piece
    once there is one, every piece as a `token`, and one `add_message` when it is complete, though two components say so."""

    def __init__(self, flow_id: str) -> None:
        self._flow_id = flow_id
        self._silent: dict[str, Message] = {}  # announced, and nothing said yet
        self._streamed: set[str] = set()
        self._complete: dict[str, Message] = {}  # streamed to the end; the Chat Output behind it will say so again if it keeps the message

    def of(self, event: RunEvent) -> list[WireEvent]:
        """None, one or several."""
        match event:
            case MessageAdded(message=message):
                return self._of_message(message)
            case TokenAdded(chunk=chunk, message_id=id):
                events = []
                if (begun := self._silent.pop(id, None)) is not None:
                    events.append(message_event(begun.copy(text=chunk), flow_id=self._flow_id))
                self._streamed.add(id)
                return [*events, ("token", {"chunk": chunk, "id": id})]
            case LogAdded(vertex_id=vertex_id, entry=entry):
                return [("log", {**entry, "component_id": vertex_id})]
            case VertexFinished(result=result) if result.component_type == "ChatOutput":
                return self.left()
            case _:
                return []

    def left(self) -> list[WireEvent]:
        """What was held back and will not be said again; ask at the run's end."""
        held, self._complete = self._complete, {}
        return [message_event(message, flow_id=self._flow_id) for message in held.values()]

    def _of_message(self, message: Message) -> list[WireEvent]:
        id = message.id or ""
        if message.state == "partial" and not message.text and not message.content_blocks:
            self._silent[id] = message
            return []
        self._silent.pop(id, None)
        if message.state == "complete" and id in self._streamed and self._complete.pop(id, None) is None:
            self._complete[id] = message
            return []
        self._streamed.discard(id)
        return [message_event(message, flow_id=self._flow_id)]


def message_event(message: Message, *, flow_id: str) -> WireEvent:
    """`add_message`; `error` for what a failed component leaves in the chat."""
    dump = message_dump(message, flow_id=flow_id)
    if message.category == "error":
        _look_like_an_error(dump, message)
    return ("error" if message.category == "error" else "add_message", {**dump, "id": message.id})


def _look_like_an_error(dump: dict[str, Any], message: Message) -> None:
    reason = message.text.strip()
    contents = {
        "type": "error",
        "duration": None,
        "header": {"title": None, "icon": None},
        "component": message.sender_name,
        "field": None,
        "reason": f"**{reason}**\n",
        "solution": None,
        "code": None,
        "traceback": None,
    }
    blocks = [{"title": "Error", "contents": [contents], "allow_markdown": True, "media_url": None}]
    for place in (dump, dump["data"]):
        place["properties"] = {**place["properties"], "text_color": "red", "background_color": "red", "icon": "error"}
        place["content_blocks"] = blocks
