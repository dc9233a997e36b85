"""Messages that runs left behind: a conversation's history for runs, and lists of them for people."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from projects.access.caller import Caller
from projects.engine.values import Message, Source
from projects.errors import InvalidInput, NotFound
from projects.kept_text import can_be_kept, check_text, find_uuid, json_text, refused
from projects.storage_paths import find_storage_path
from projects.unit_of_work import reading, writing
from storage.database import Database, MissingReference
from storage.ids import new_id
from storage.messages import MessageRepository
from storage.tables import MessageRow

DEFAULT_LIMIT = 100
MAX_LIMIT = 200
MAX_OF_RUNS = 1_000
INTERNAL_SESSION = "agentic_"  # sessions whose ids start so are the server's own


class AttachmentRefused(InvalidInput):
    """A file that does not belong to the message's flow."""

    code = "attachment_refused"


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message with its id and everything that was kept as its properties."""

    id: str
    message: Message
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MessageChanges:
    """What a person may correct of a message."""

    text: str | None = None
    sender: str | None = None
    sender_name: str | None = None
    session_id: str | None = None
    context_id: str | None = None
    category: str | None = None
    is_error: bool | None = None
    is_edited: bool | None = None
    content_blocks: list[dict[str, Any]] | None = None
    files: list[str] | None = None  # storage paths of the message's flow or of its owner
    properties: dict[str, Any] | None = None  # how it is shown; what is left out stays
    session_metadata: dict[str, Any] | None = None


# Of a message's properties, what a person or the page that shows it may set.
SHOWN_PROPERTIES = frozenset(
    (
        "text_color",
        "background_color",
        "edited",
        "source",
        "icon",
        "allow_markdown",
        "positive_feedback",
        "state",
        "targets",
        "usage",
        "build_duration",
    )
)
MAX_PROPERTIES_LENGTH = 100_000
MAX_FILES = 1_000

_LIMITS = {"text": 10_000_000, "sender": 1_000, "sender_name": 1_000, "session_id": 1_000, "context_id": 1_000, "category": 32}

_ORDERS = {
    "timestamp": lambda message: message.timestamp,
    "sender": lambda message: message.sender,
    "sender_name": lambda message: message.sender_name,
    "session_id": lambda message: message.session_id,
    "text": lambda message: message.text,
}


class MessageService:
    """Reads and deletes. Messages are written by runs, together with everything else a run leaves behind."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_messages(
        self,
        caller: Caller,
        *,
        flow_id: str | None = None,
        session_id: str | None = None,
        sender: str | None = None,
        sender_name: str | None = None,
        order_by: str = "timestamp",
        descending: bool = False,
        limit: int | None = DEFAULT_LIMIT,
        offset: int = 0,
    ) -> list[StoredMessage]:
        """The newest `limit` (at most 200) of the caller's messages, after passing over `offset`; then sorted for showing."""
        order = _ORDERS.get(order_by)
        if order is None:
            raise refused("order_by", f"order_by must be one of {', '.join(_ORDERS)}.", kind="enum")
        window = _window(limit, offset)
        known_flow_id = None if flow_id is None else find_uuid(flow_id)
        if flow_id is not None and known_flow_id is None:
            return []
        if not all(can_be_kept(text) for text in (session_id, sender, sender_name) if text is not None):
            return []
        async with reading(self._database) as session:
            rows = await MessageRepository(session).list_newest(
                owner_id=caller.user_id,
                limit=window,
                offset=offset,
                flow_id=known_flow_id,
                session_id=session_id,
                sender=sender,
                sender_name=sender_name,
            )
        messages = [stored_message(row) for row in reversed(rows)]
        # The sort is stable, so that equal keys stay in the order in which they were said.
        messages.sort(key=lambda stored: order(stored.message), reverse=descending)
        return messages

    async def read_history(
        self, owner_id: str, flow_id: str, session_id: str, context_id: str, limit: int, *, except_run_id: str | None = None
    ) -> list[Message]:
        """The last `limit` messages of one conversation of one flow, oldest first. No session or no limit means none, never all."""
        if not session_id or limit <= 0 or not (can_be_kept(session_id) and can_be_kept(context_id)):
            return []
        async with reading(self._database) as session:
            rows = await MessageRepository(session).list_history(
                owner_id=owner_id,
                flow_id=flow_id,
                session_id=session_id,
                context_id=context_id,
                limit=min(limit, 2**31),
                except_run_id=except_run_id,
            )
        return [_message(row, from_json(row.properties)) for row in reversed(rows)]

    async def read_newest(
        self,
        owner_id: str,
        flow_id: str,
        *,
        limit: int,
        session_id: str | None = None,
        session_beginning: str = "",
        except_run_id: str | None = None,
    ) -> list[Message]:
        """The newest messages of one flow, in one session, in those whose ids begin so, or in all of them, newest first."""
        if session_id is not None and not can_be_kept(session_id):
            return []
        async with reading(self._database) as session:
            rows = await MessageRepository(session).list_newest(
                owner_id=owner_id, limit=limit, flow_id=flow_id, session_id=session_id, session_beginning=session_beginning
            )
        return [_message(row, from_json(row.properties)) for row in rows if row.run_id != except_run_id or except_run_id is None]

    async def list_of_runs(self, caller: Caller, run_ids: Collection[str]) -> list[Message]:
        """What these runs of the caller's have stored, oldest first; at most a thousand messages."""
        if not run_ids:
            return []
        async with reading(self._database) as session:
            rows = await MessageRepository(session).list_of_runs(run_ids, owner_id=caller.user_id, limit=MAX_OF_RUNS)
        return [stored_message(row).message for row in rows]

    async def list_visit(
        self, owner_id: str, flow_id: str, space: str, *, session_id: str | None, limit: int, offset: int
    ) -> list[StoredMessage]:
        """One visitor's messages with one flow, in one session or all of the visitor's, oldest first."""
        if session_id is not None and not can_be_kept(session_id):
            return []
        async with reading(self._database) as session:
            rows = await MessageRepository(session).list_newest(
                owner_id=owner_id,
                limit=_window(limit, offset),
                offset=offset,
                flow_id=flow_id,
                session_id=session_id,
                session_beginning=space,
            )
        return [stored_message(row) for row in reversed(rows)]

    async def list_sessions(
        self, caller: Caller, *, flow_id: str | None = None, limit: int | None = DEFAULT_LIMIT, offset: int = 0
    ) -> list[str]:
        """Session ids, the one spoken in last first; the server's own are not listed."""
        window = _window(limit, offset)
        known_flow_id = None if flow_id is None else find_uuid(flow_id)
        if flow_id is not None and known_flow_id is None:
            return []
        async with reading(self._database) as session:
            return list(
                await MessageRepository(session).list_sessions(
                    owner_id=caller.user_id, flow_id=known_flow_id, limit=window, offset=offset, except_beginning=INTERNAL_SESSION
                )
            )

    async def keep_said(self, owner_id: str, flow_id: str, session_id: str, *, sender: str, sender_name: str, text: str) -> None:
        """Store what was said beside the flow's runs, by voice for example. Raises NotFound when the flow is gone."""
        row = MessageRow(
            id=new_id(),
            owner_id=owner_id,
            flow_id=flow_id,
            session_id=session_id,
            sender=sender,
            sender_name=sender_name,
            text=text.replace("\x00", "").encode(errors="replace").decode()[: _LIMITS["text"]],
            files="[]",
            properties=json_text({"source": {"id": None, "display_name": None, "source": None}, "state": "complete"}, "properties"),
            category="message",
            content_blocks="[]",
            created_at=datetime.now(UTC),
        )
        try:
            async with writing(self._database) as session:
                session.add(row)
        except MissingReference:
            raise NotFound("flow", flow_id) from None

    async def update_message(self, caller: Caller, message_id: str, changes: MessageChanges) -> StoredMessage:
        """What is None stays; another text marks the message as edited. Raises NotFound, InvalidInput."""
        for name, limit in _LIMITS.items():
            if (value := getattr(changes, name)) is not None:
                check_text(value, name, max_length=limit)
        if changes.session_id == "":
            raise refused("session_id", "A message belongs to a session; its id may not be empty.")
        known = find_uuid(message_id)
        async with writing(self._database) as session:
            row = None if known is None else await MessageRepository(session).find(known, owner_id=caller.user_id)
            if row is None:
                raise NotFound("message", message_id)
            if changes.files is not None:
                _check_files(changes.files, already=from_json(row.files), scopes=(row.flow_id, caller.user_id))
                row.files = json_text(changes.files, "files")
            if changes.properties is not None or changes.session_metadata is not None:
                row.properties = _changed_properties(from_json(row.properties), changes)
            if changes.text is not None and changes.text != row.text:
                row.is_edited = True
            for name in _LIMITS:
                if (value := getattr(changes, name)) is not None:
                    setattr(row, name, value)
            if changes.content_blocks is not None:
                row.content_blocks = json_text(changes.content_blocks, "content_blocks")
            if changes.is_error is not None:
                row.is_error = changes.is_error
            if changes.is_edited:
                row.is_edited = True
            await session.flush()
            return stored_message(row)

    async def rename_session(self, caller: Caller, session_id: str, new_session_id: str) -> list[StoredMessage]:
        """Move the caller's messages of a session to another one; the newest 200 of them, oldest first. Raises NotFound."""
        check_text(new_session_id, "new_session_id", max_length=_LIMITS["session_id"])
        if not new_session_id:
            raise refused("new_session_id", "The new session's id may not be empty.")
        if not session_id or not can_be_kept(session_id):
            raise NotFound("session", session_id)
        async with writing(self._database) as session:
            messages = MessageRepository(session)
            moved = await messages.rename_session(session_id, new_session_id, owner_id=caller.user_id)
            if not moved:
                raise NotFound("session", session_id)
            newest = sorted(moved, reverse=True)[:MAX_LIMIT]  # ids grow with time
            rows = await messages.list_by_ids(newest, owner_id=caller.user_id, limit=MAX_LIMIT)
            return [stored_message(row) for row in reversed(rows)]

    async def delete_sessions(self, caller: Caller, session_ids: list[str]) -> int:
        """How many messages were deleted; sessions that are not the caller's are passed over."""
        known = {each for each in session_ids if each and can_be_kept(each)}
        async with writing(self._database) as session:
            return await MessageRepository(session).delete_sessions(known, owner_id=caller.user_id)

    async def delete_messages(self, caller: Caller, message_ids: list[str]) -> int:
        """How many were deleted; those that are not the caller's are passed over."""
        known = {id for each in message_ids if (id := find_uuid(each)) is not None}
        async with writing(self._database) as session:
            return await MessageRepository(session).delete_many(known, owner_id=caller.user_id)

    async def delete_session(self, caller: Caller, session_id: str) -> int:
        """All of the caller's messages in this session, in whatever flow."""
        if not session_id or not can_be_kept(session_id):
            return 0
        async with writing(self._database) as session:
            return await MessageRepository(session).delete_session(session_id, owner_id=caller.user_id)


def stored_message(row: MessageRow) -> StoredMessage:
    properties = from_json(row.properties)
    return StoredMessage(id=row.id, message=_message(row, properties), properties=properties)


def _message(row: MessageRow, properties: dict[str, Any]) -> Message:
    source = properties.get("source") or {}
    return Message(
        text=row.text,
        sender=row.sender,
        sender_name=row.sender_name,
        session_id=row.session_id,
        context_id=row.context_id,
        files=from_json(row.files),
        timestamp=row.created_at,
        flow_id=row.flow_id,
        run_id=row.run_id,
        id=row.id,
        source=Source(id=source.get("id"), display_name=source.get("display_name"), source=source.get("source")),
        category=row.category,
        content_blocks=from_json(row.content_blocks),
        error=row.is_error,
        edit=row.is_edited,
        state=properties.get("state") or "complete",
        usage=properties.get("usage"),
        duration=row.duration_seconds,
        icon=properties.get("icon"),
    )


def _check_files(files: list[str], *, already: list[Any], scopes: tuple[str, ...]) -> None:
    """Attachments are uploads of the message's flow or of its owner, or what the message has already."""
    if len(files) > MAX_FILES:
        raise refused("files", f"A message has at most {MAX_FILES:,} files; these are {len(files):,}.", kind="too_long")
    for path in files:
        if path in already:
            continue
        place = find_storage_path(path)
        if place is None or place.scope_id not in scopes:
            raise AttachmentRefused(f"{path[:200]!r} is no file of this message's flow. Upload it there and send the path of the answer.")


def _changed_properties(properties: dict[str, Any], changes: MessageChanges) -> str:
    for name, value in (changes.properties or {}).items():
        if name in SHOWN_PROPERTIES:
            properties[name] = value
    source = properties.get("source")
    if not isinstance(source, dict) or not all(value is None or isinstance(value, str) for value in source.values()):
        raise refused("properties", "properties.source is an object of texts: id, display_name, source.")
    if properties.get("state") not in ("partial", "complete"):
        raise refused("properties", "properties.state is partial or complete.")
    if not isinstance(properties.get("icon"), str | None) or not isinstance(properties.get("usage"), dict | None):
        raise refused("properties", "properties.icon is a text, properties.usage an object, or null.")
    if changes.session_metadata is not None:
        properties["session_metadata"] = changes.session_metadata
    text = json_text(properties, "properties")
    if len(text) > MAX_PROPERTIES_LENGTH:
        raise refused("properties", f"The properties have {len(text):,} characters; at most {MAX_PROPERTIES_LENGTH:,} are kept.")
    return text


def _window(limit: int | None, offset: int) -> int:
    if limit is None:
        limit = DEFAULT_LIMIT
    if limit < 1:
        raise refused("limit", f"limit must be 1 to {MAX_LIMIT}.", kind="greater_than_equal")
    if not 0 <= offset < 2**31:
        raise refused("offset", "offset must be 0 or more.", kind="greater_than_equal")
    return min(limit, MAX_LIMIT)
