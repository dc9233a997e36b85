"""Queries on the messages table. Rows are inserted by the run writer, together with the run they belong to."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import MessageRow


class MessageRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_newest(
        self,
        *,
        owner_id: str,
        limit: int,
        offset: int = 0,
        flow_id: str | None = None,
        session_id: str | None = None,
        session_beginning: str = "",
        sender: str | None = None,
        sender_name: str | None = None,
    ) -> Sequence[MessageRow]:
        """Newest first. A filter that is None does not filter; an empty text matches only an empty text."""
        query = select(MessageRow).where(MessageRow.owner_id == owner_id)
        if flow_id is not None:
            query = query.where(MessageRow.flow_id == flow_id)
        if session_id is not None:
            query = query.where(MessageRow.session_id == session_id)
        if session_beginning:
            query = query.where(func.substr(MessageRow.session_id, 1, len(session_beginning)) == session_beginning)
        if sender is not None:
            query = query.where(MessageRow.sender == sender)
        if sender_name is not None:
            query = query.where(MessageRow.sender_name == sender_name)
        query = query.order_by(MessageRow.created_at.desc(), MessageRow.id.desc()).limit(limit).offset(offset)
        return (await self._session.execute(query)).scalars().all()

    async def list_history(
        self, *, owner_id: str, flow_id: str, session_id: str, context_id: str, limit: int, except_run_id: str | None = None
    ) -> Sequence[MessageRow]:
        """Newest first: one conversation of one flow."""
        conditions: list[ColumnElement[bool]] = [
            MessageRow.owner_id == owner_id,
            MessageRow.flow_id == flow_id,
            MessageRow.session_id == session_id,
            MessageRow.context_id == context_id,
        ]
        if except_run_id is not None:
            conditions.append(MessageRow.run_id.is_distinct_from(except_run_id))
        query = select(MessageRow).where(*conditions).order_by(MessageRow.created_at.desc(), MessageRow.id.desc()).limit(limit)
        return (await self._session.execute(query)).scalars().all()

    async def list_sessions(
        self, *, owner_id: str, limit: int, offset: int = 0, flow_id: str | None = None, except_beginning: str = ""
    ) -> Sequence[str]:
        """Session ids, the one spoken in last first; without those that start with `except_beginning`."""
        query = select(MessageRow.session_id).where(MessageRow.owner_id == owner_id)
        if except_beginning:
            query = query.where(func.substr(MessageRow.session_id, 1, len(except_beginning)) != except_beginning)
        if flow_id is not None:
            query = query.where(MessageRow.flow_id == flow_id)
        latest = func.max(MessageRow.created_at)
        query = query.group_by(MessageRow.session_id).order_by(latest.desc(), MessageRow.session_id).limit(limit).offset(offset)
        return (await self._session.execute(query)).scalars().all()

    async def list_of_runs(self, run_ids: Collection[str], *, owner_id: str, limit: int) -> Sequence[MessageRow]:
        """Oldest first."""
        query = select(MessageRow).where(MessageRow.owner_id == owner_id, MessageRow.run_id.in_(run_ids))
        return (await self._session.execute(query.order_by(MessageRow.created_at, MessageRow.id).limit(limit))).scalars().all()

    async def find(self, message_id: str, *, owner_id: str) -> MessageRow | None:
        query = select(MessageRow).where(MessageRow.id == message_id, MessageRow.owner_id == owner_id)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def rename_session(self, session_id: str, new_session_id: str, *, owner_id: str) -> Sequence[str]:
        """The ids of the messages that moved."""
        query = update(MessageRow).where(MessageRow.owner_id == owner_id, MessageRow.session_id == session_id)
        return (await self._session.execute(query.values(session_id=new_session_id).returning(MessageRow.id))).scalars().all()

    async def list_by_ids(self, message_ids: Collection[str], *, owner_id: str, limit: int) -> Sequence[MessageRow]:
        """Newest first."""
        query = select(MessageRow).where(MessageRow.owner_id == owner_id, MessageRow.id.in_(message_ids))
        query = query.order_by(MessageRow.created_at.desc(), MessageRow.id.desc()).limit(limit)
        return (await self._session.execute(query)).scalars().all()

    async def delete_sessions(self, session_ids: Collection[str], *, owner_id: str) -> int:
        query = delete(MessageRow).where(MessageRow.owner_id == owner_id, MessageRow.session_id.in_(session_ids)).returning(MessageRow.id)
        return len((await self._session.execute(query)).scalars().all())

    async def delete_many(self, message_ids: Collection[str], *, owner_id: str) -> int:
        query = delete(MessageRow).where(MessageRow.owner_id == owner_id, MessageRow.id.in_(message_ids)).returning(MessageRow.id)
        return len((await self._session.execute(query)).scalars().all())

    async def delete_session(self, session_id: str, *, owner_id: str) -> int:
        query = delete(MessageRow).where(MessageRow.owner_id == owner_id, MessageRow.session_id == session_id).returning(MessageRow.id)
        return len((await self._session.execute(query)).scalars().all())
