"""Message, as components' texts know it: a record whose text may still be coming."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from projects.custom_code.surface.message_parts import ContentBlock, Properties, Source
from projects.custom_code.surface.records import Data
from projects.engine import values

_MESSAGE_FIELDS = (
    "sender",
    "sender_name",
    "session_id",
    "context_id",
    "files",
    "timestamp",
    "flow_id",
    "run_id",
    "id",
    "error",
    "edit",
    "properties",
    "category",
    "content_blocks",
    "duration",
    "session_metadata",
)


class Message(Data):
    """A chat message; `text` may be an iterator while it streams. Always true, also when its text is empty."""

    _own = (*Data._own, "text", *_MESSAGE_FIELDS)

    def __init__(self, text: Any = "", **given: Any) -> None:
        data = given.pop("data", None)
        known = {name: given.pop(name) for name in _MESSAGE_FIELDS if name in given}
        super().__init__(data=data, text_key=given.pop("text_key", "text"), default_value=given.pop("default_value", ""), **given)
        inner = dict(self.data)
        for name in _MESSAGE_FIELDS:
            if name in inner and name not in known:
                known[name] = inner.pop(name)
        text = text if text not in ("", None) else inner.pop(self.text_key, "" if text is None else text)
        inner.pop("text", None)
        properties = known.get("properties")
        moment = known.get("timestamp") or datetime.now(UTC)
        shown = moment.strftime("%Y-%m-%d %H:%M:%S UTC") if isinstance(moment, datetime) else str(moment)
        own: dict[str, Any] = {
            "text": text,
            "sender": known.get("sender"),
            "sender_name": known.get("sender_name"),
            "session_id": str(known.get("session_id") or ""),
            "context_id": known.get("context_id") or "",
            "files": list(known.get("files") or []),
            "timestamp": shown,
            "flow_id": _text_or_none(known.get("flow_id")),
            "run_id": _text_or_none(known.get("run_id")),
            "id": _text_or_none(known.get("id")),
            "error": bool(known.get("error", False)),
            "edit": bool(known.get("edit", False)),
            "properties": properties if isinstance(properties, Properties) else Properties(**(properties or {})),
            "category": known.get("category") or "message",
            "content_blocks": [_block(item) for item in known.get("content_blocks") or []],
            "duration": known.get("duration"),
            "session_metadata": known.get("session_metadata") or {},
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)
        # The text has whole seconds; messages of one run would lose their order by it.
        object.__setattr__(self, "_exact", (shown, moment if isinstance(moment, datetime) else None))
        object.__setattr__(self, "_more", inner)
        self.__dict__.pop("data", None)

    @property
    def data(self) -> dict[str, Any]:
        """The fields and the further keys as one dict."""
        fields = {name: getattr(self, name) for name in ("text", *_MESSAGE_FIELDS) if name in self.__dict__}
        return {**fields, **self.__dict__.get("_more", self.__dict__.get("data", {}))}

    @data.setter
    def data(self, value: Mapping[str, Any]) -> None:
        self.__dict__["data"] = dict(value)  # while it is built; afterwards each key goes where it belongs
        if "_more" in self.__dict__:
            for key, item in value.items():
                setattr(self, key, item)

    def __getattr__(self, name: str) -> Any:
        more = self.__dict__.get("_more", {})
        if name.startswith("__") or name not in more:
            raise AttributeError(f"'Message' object has no attribute {name!r}")
        return more[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._own or hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            self.__dict__["_more"][name] = value

    def __bool__(self) -> bool:
        return True

    def get_text(self) -> str:
        return self.text if isinstance(self.text, str) else ""

    def set_text(self, text: str | None) -> str:
        object.__setattr__(self, "text", "" if text is None else str(text))
        return self.get_text()

    def format_text(self) -> str:
        return self.get_text()

    def get_id(self) -> str | None:
        found: str | None = self.id
        return found

    def has_id(self) -> bool:
        return self.id is not None

    def to_message(self) -> Message:
        return self

    def to_data(self) -> Data:
        return Data(data=copy.deepcopy({key: value for key, value in self.data.items() if not _is_stream(value)}), text_key="text")

    def to_lc_message(self) -> Any:
        from projects.custom_code.surface import langchain

        kind = "HumanMessage" if self.sender in (None, "", values.SENDER_USER) else "AIMessage"
        return langchain.find("langchain_core.messages", kind)(content=self.get_text())

    @classmethod
    def from_lc_message(cls, message: Any) -> Message:
        kinds = {"human": (values.SENDER_USER, "User"), "ai": (values.SENDER_MACHINE, "AI"), "system": ("System", "System")}
        sender, name = kinds.get(getattr(message, "type", ""), (getattr(message, "type", ""), getattr(message, "type", "")))
        content = message.content if isinstance(message.content, str) else json.dumps(message.content, default=str)
        return cls(text=content, sender=sender, sender_name=name)

    @classmethod
    def from_data(cls, data: Data) -> Message:
        return cls(text=data.get_text(), **{key: value for key, value in data.data.items() if key in _MESSAGE_FIELDS})

    @classmethod
    async def create(cls, **given: Any) -> Message:
        return cls(**given)

    @classmethod
    def from_template(cls, template: str, **variables: Any) -> Message:
        """The template with its `{names}` filled; doubled braces become single ones."""
        from projects.components import placeholders

        return cls(text=placeholders.fill(template, lambda name: _as_text(variables.get(name, ""))), template=template, variables=variables)

    def is_complete(self) -> bool:
        return bool(self.properties.get("state") == "complete")

    def model_dump(self, **_options: Any) -> dict[str, Any]:
        return copy.deepcopy({key: value for key, value in self.data.items() if not _is_stream(value)})

    dict = model_dump


class ErrorMessage(Message):
    """A message that tells of an error."""

    def __init__(self, exception: BaseException | None = None, **given: Any) -> None:
        given.setdefault("text", str(exception) if exception is not None else "")
        trace = given.pop("trace_name", None)
        super().__init__(category="error", error=True, **given)
        if trace:
            self.properties.source = Source(id=trace, display_name=trace, source=trace)


def _block(item: Any) -> Any:
    return item if isinstance(item, ContentBlock) else ContentBlock(**item) if isinstance(item, Mapping) else item


def _is_stream(value: Any) -> bool:
    return isinstance(value, AsyncIterator | Iterator)


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


def _as_text(value: Any) -> str:
    return value.get_text() if isinstance(value, Data) else str(value)
