"""The three values that travel along edges: Message, Data and Table. Plain, cheap, and free of any wire shape.

Faces shape them for the wire; `text_of` and `jsonable` are the only conversions everyone shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]

SENDER_USER = "User"
SENDER_MACHINE = "Machine"


@dataclass(slots=True)
class Source:
    """Which component (and model) a message comes from. All None for what a person wrote."""

    id: str | None = None
    display_name: str | None = None
    source: str | None = None


@dataclass(slots=True)
class Message:
    """One chat message. `timestamp` is aware UTC; empty strings mean "not set" for the session and the sender."""

    text: str = ""
    sender: str = ""
    sender_name: str = ""
    session_id: str = ""
    context_id: str = ""
    files: list[str] = field(default_factory=list)
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    flow_id: str | None = None
    run_id: str | None = None
    id: str | None = None  # set when the message is stored
    source: Source = field(default_factory=Source)
    category: str = "message"  # or "error"
    content_blocks: list[dict[str, Any]] = field(default_factory=list)
    error: bool = False
    edit: bool = False
    state: str = "complete"  # or "partial" while it streams
    usage: dict[str, int] | None = None
    duration: float | None = None
    icon: str | None = None  # by which a chat shows who speaks
    data: dict[str, Any] = field(default_factory=dict)  # further keys of a Message that also carries data

    def copy(self, **changes: Any) -> Message:
        return replace(self, **changes)


@dataclass(slots=True)
class Data:
    """A record (Langflow: Data, later JSON). `text_key` names the key that holds its text."""

    data: dict[str, Any] = field(default_factory=dict)
    text_key: str = "text"
    default_value: str = ""

    @property
    def text(self) -> str:
        value = self.data.get(self.text_key, self.default_value)
        return value if isinstance(value, str) else str(value)


@dataclass(slots=True)
class Table:
    """Rows (Langflow: DataFrame, later Table). Columns are kept in order of first appearance when not given."""

    rows: list[Row] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.columns:
            self.columns = list(dict.fromkeys(key for row in self.rows for key in row))


Value: TypeAlias = "Message | Data | Table | str | int | float | bool | list[Any] | dict[str, Any] | None"


def jsonable(value: Any) -> Any:
    """The value as plain JSON types: Message → its text, Data → its keys, Table → its rows; unknown objects → str."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Message():
            return value.text
        case Data():
            return jsonable(value.data)
        case Table():
            return [jsonable(row) for row in value.rows]
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(key): jsonable(item) for key, item in value.items()}
        case Sequence() | set() | frozenset() if not isinstance(value, bytes):
            return [jsonable(item) for item in value]
        case _:
            return str(value)


def characters_of(value: Any, most: int) -> int:
    """How many characters the value holds, as it would be written down: what stands in several places counts in each, a container some by
    itself and one for each of its items. Counting ends soon after `most`."""
    if type(value) is Message and not value.data and not value.content_blocks:
        return len(value.text)  # nearly every value is one
    count = 0
    waiting: list[Any] = [value]
    while waiting and count <= most:
        part = waiting.pop()
        match part:
            case str():
                count += len(part)
            case Message():
                count += len(part.text)
                waiting += (part.data, part.content_blocks)
            case Data():
                waiting.append(part.data)
            case Table():
                waiting.append(part.rows)
            case list() | tuple() | Mapping():
                count += _OF_A_CONTAINER + len(part)
                items = part.values() if isinstance(part, Mapping) else part
                if count > most or _SMALL.issuperset(map(type, items)):  # vectors are long, and many
                    continue
                for item in items:
                    kind = type(item)
                    if kind is str:
                        count += len(item)
                    elif kind not in _SMALL:
                        waiting.append(item)
    return count


_OF_A_CONTAINER = 16
_SMALL = frozenset((type(None), bool, int, float))
