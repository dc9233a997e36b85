"""Queries on the table trusted_code, and the ones that look for code in everybody's flows: what the operator asks, not an owner."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import FlowRow, TrustedCodeRow, UserRow


class TrustedCodeRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: TrustedCodeRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def find(self, hash: str) -> TrustedCodeRow | None:
        return await self._session.get(TrustedCodeRow, hash)

    async def list_all(self) -> Sequence[TrustedCodeRow]:
        """Oldest first."""
        return (
            (await self._session.execute(select(TrustedCodeRow).order_by(TrustedCodeRow.trusted_at, TrustedCodeRow.hash))).scalars().all()
        )

    async def list_hashes(self) -> Sequence[str]:
        return (await self._session.execute(select(TrustedCodeRow.hash))).scalars().all()

    async def delete(self, hash: str) -> bool:
        query = delete(TrustedCodeRow).where(TrustedCodeRow.hash == hash).returning(TrustedCodeRow.hash)
        return (await self._session.execute(query)).scalar_one_or_none() is not None

    async def list_flows(self) -> Sequence[tuple[str, str, str]]:
        """(id, name, owner's name) of every flow there is, whosever it is, oldest first."""
        query = select(FlowRow.id, FlowRow.name, UserRow.username).join(UserRow, UserRow.id == FlowRow.owner_id)
        rows = (await self._session.execute(query.order_by(FlowRow.created_at, FlowRow.id))).all()
        return [(id, name, username) for id, name, username in rows]

    async def find_document(self, flow_id: str) -> str | None:
        """Of whosever flow; None also when there is no such flow."""
        return (await self._session.execute(select(FlowRow.document).where(FlowRow.id == flow_id))).scalar_one_or_none()
