"""Values on their way between the engine and components' texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from projects.custom_code.surface.message_parts import Properties, Source
from projects.custom_code.surface.messages import Message
from projects.custom_code.surface.records import Data
from projects.engine import values


def from_engine(value: Any) -> Any:
    """An engine value as components know it; lists and dicts element by element."""
    match value:
        case values.Message():
            return _message_from_engine(value)
        case values.Data():
            return Data(data=value.data, text_key=value.text_key, default_value=value.default_value)
        case values.Table():
            from projects.custom_code.surface import tables

            return tables.from_engine(value)
        case list():
            return [from_engine(item) for item in value]
        case dict():
            return {key: from_engine(item) for key, item in value.items()}
        case _:
            return value


def to_engine(value: Any) -> Any:
    """The engine's value for what a component gave; what has none is returned as it is."""
    match value:
        case Message():
            return _message_to_engine(value)
        case Data():
            return values.Data(to_engine(value.data), value.text_key, "" if value.default_value is None else str(value.default_value))
        case list():
            return [to_engine(item) for item in value]
        case tuple():
            return tuple(to_engine(item) for item in value)
        case dict():
            return {key: to_engine(item) for key, item in value.items()}
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        from projects.custom_code.surface import tables

        return tables.to_engine(value)
    return value


def _message_from_engine(message: values.Message) -> Message:
    return Message(
        text=message.text,
        sender=message.sender,
        sender_name=message.sender_name,
        session_id=message.session_id,
        context_id=message.context_id,
        files=message.files,
        timestamp=message.timestamp,
        flow_id=message.flow_id,
        run_id=message.run_id,
        id=message.id,
        error=message.error,
        edit=message.edit,
        category=message.category,
        content_blocks=message.content_blocks,
        duration=message.duration,
        properties=Properties(
            source=Source(message.source.id, message.source.display_name, message.source.source),
            icon=message.icon,
            state=message.state,
            usage=message.usage,
        ),
        data=message.data,
    )


def _message_to_engine(message: Message) -> values.Message:
    properties = message.properties
    source = properties.get("source") or {}
    if not isinstance(source, Mapping):
        source = {"source": str(source)}
    usage = properties.get("usage")
    made = values.Message(
        text=message.get_text() if not isinstance(message.text, int | float) else str(message.text),
        sender=message.sender or "",
        sender_name=message.sender_name or "",
        session_id=message.session_id or "",
        context_id=message.context_id or "",
        files=[item if isinstance(item, str) else str(getattr(item, "path", item)) for item in message.files],
        flow_id=message.flow_id,
        run_id=message.run_id,
        id=message.id,
        source=values.Source(source.get("id"), source.get("display_name"), source.get("source")),
        category=message.category,
        content_blocks=[json.loads(json.dumps(block, default=str)) for block in message.content_blocks],
        error=message.error,
        edit=message.edit,
        state=properties.get("state") or "complete",
        usage=dict(usage) if isinstance(usage, Mapping) else None,
        duration=message.duration,
        icon=properties.get("icon"),
        data={key: to_engine(value) for key, value in message.__dict__["_more"].items()},
    )
    shown, exact = message.__dict__["_exact"]
    if (moment := exact if exact is not None and message.timestamp == shown else _moment(message.timestamp)) is not None:
        made.timestamp = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return made


def _moment(text: Any) -> datetime | None:
    if isinstance(text, datetime):
        return text if text.tzinfo else text.replace(tzinfo=UTC)
    try:
        found = datetime.fromisoformat(str(text).removesuffix(" UTC"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
