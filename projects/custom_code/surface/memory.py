"""The messages of the run's flow, as components read and write them; each function once to await and once plain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from projects.custom_code.surface import calls
from projects.custom_code.surface.crossing import from_engine, to_engine
from projects.custom_code.surface.messages import Message

_FIRST_HUNDRED = 100
_MOST = 10_000


async def aget_messages(
    sender: str | None = None,
    sender_name: str | None = None,
    session_id: Any = None,
    context_id: str | None = None,
    order_by: str | None = "timestamp",
    order: str | None = "DESC",
    flow_id: Any = None,
    limit: int | None = None,
) -> list[Message]:
    """Messages of this flow that earlier runs kept; without a session those of the run's own."""
    run = calls.current()
    found = await run.ask(
        run.host.read_messages(
            session_id=str(session_id or run.description.session_id),
            limit=limit or _FIRST_HUNDRED if not (sender or sender_name) else _MOST,
            context_id=context_id or "",
            newest_first=(order or "").upper() != "ASC",
        )
    )
    chosen = [item for item in found if (not sender or item.sender == sender) and (not sender_name or item.sender_name == sender_name)]
    return [from_engine(item) for item in (chosen[:limit] if limit else chosen)]


async def astore_message(message: Message, flow_id: Any = None, **_more: Any) -> list[Message]:
    """Keep a message with the run; as a list, as it was."""
    run = calls.current()
    if not message.session_id:
        message.session_id = run.description.session_id
    kept = await run.ask(run.host.send_message(to_engine(message), keep=True))
    message.id = kept.id
    return [from_engine(kept)]


async def aadd_messages(messages: Message | Sequence[Message], **_more: Any) -> list[Message]:
    return [kept for item in ([messages] if isinstance(messages, Message) else messages) for kept in await astore_message(item)]


async def aupdate_messages(messages: Message | Sequence[Message]) -> list[Message]:
    """A message that the run has announced or kept, told anew."""
    return await aadd_messages(messages)


async def adelete_messages(*_given: Any, **_more: Any) -> None:
    raise RuntimeError("Components cannot delete messages here; their owner does, by the monitor API.")


async def delete_message(*_given: Any, **_more: Any) -> None:
    await adelete_messages()


def delete_messages(*_given: Any, **_more: Any) -> None:
    calls.run_until_complete(adelete_messages())


def get_messages(*given: Any, **more: Any) -> list[Message]:
    found: list[Message] = calls.run_until_complete(aget_messages(*given, **more))
    return found


def store_message(message: Message, **more: Any) -> list[Message]:
    found: list[Message] = calls.run_until_complete(astore_message(message, **more))
    return found
