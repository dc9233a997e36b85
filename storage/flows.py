"""Queries on the flows table. The document is loaded only when asked for: it is the one big column."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from storage.tables import FlowRow

HEADER_NAMES = (
    "id",
    "owner_id",
    "project_id",
    "name",
    "description",
    "endpoint_name",
    "version",
    "is_component",
    "has_webhook",
    "is_locked",
    "is_tool",
    "tool_name",
    "tool_description",
    "access",
    "flow_type",
    "icon",
    "icon_background",
    "gradient",
    "tags",
    "created_at",
    "updated_at",
)


class FlowRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: FlowRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def find(self, flow_id: str, *, owner_id: str, with_document: bool = True) -> FlowRow | None:
        query = select(FlowRow).where(FlowRow.id == flow_id, FlowRow.owner_id == owner_id)
        return (await self._session.execute(_loading(query, with_document))).scalar_one_or_none()

    async def find_by_endpoint_name(self, endpoint_name: str, *, owner_id: str, with_document: bool = True) -> FlowRow | None:
        query = select(FlowRow).where(FlowRow.owner_id == owner_id, FlowRow.endpoint_name == endpoint_name)
        return (await self._session.execute(_loading(query, with_document))).scalar_one_or_none()

    async def find_by_name(self, name: str, *, owner_id: str, with_document: bool = True) -> FlowRow | None:
        query = select(FlowRow).where(FlowRow.owner_id == owner_id, FlowRow.name == name)
        return (await self._session.execute(_loading(query, with_document))).scalars().first()

    async def find_document(self, flow_id: str, *, owner_id: str) -> tuple[str | None] | None:
        """The document in a tuple of one; None when there is no such flow."""
        query = select(FlowRow.document).where(FlowRow.id == flow_id, FlowRow.owner_id == owner_id)
        row = (await self._session.execute(query)).one_or_none()
        return None if row is None else (row[0],)

    async def find_owner(self, flow_id: str) -> str | None:
        """Whose flow has this id. The one question that crosses owners: an id is unique among all of them."""
        query = select(FlowRow.owner_id).where(FlowRow.id == flow_id)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def list_owned(
        self,
        *,
        owner_id: str,
        project_id: str | None = None,
        is_component: bool | None = None,
        flow_type: str | None = None,
        with_documents: bool = True,
    ) -> Sequence[FlowRow]:
        """Oldest first."""
        query = select(FlowRow).where(*_matching(owner_id, project_id, is_component, flow_type, None))
        query = query.order_by(FlowRow.created_at, FlowRow.id)
        return (await self._session.execute(_loading(query, with_documents))).scalars().all()

    async def list_headers(
        self,
        *,
        owner_id: str,
        project_id: str | None = None,
        is_component: bool | None = None,
        flow_type: str | None = None,
        names: Sequence[str] = HEADER_NAMES,
    ) -> Sequence[Row[Any]]:
        """The columns of these names in this order, oldest first, as plain rows: thousands of mapped objects take longer than the query."""
        columns = [FlowRow.__table__.c[name] for name in names]
        query = select(*columns).where(*_matching(owner_id, project_id, is_component, flow_type, None))
        return (await self._session.execute(query.order_by(FlowRow.created_at, FlowRow.id))).all()

    async def list_by_ids(self, flow_ids: Collection[str], *, owner_id: str, with_documents: bool = False) -> Sequence[FlowRow]:
        """Those of the flows that exist and are the owner's."""
        query = select(FlowRow).where(FlowRow.owner_id == owner_id, FlowRow.id.in_(flow_ids)).order_by(FlowRow.id)
        return (await self._session.execute(_loading(query, with_documents))).scalars().all()

    async def find_public(self, flow_id: str) -> FlowRow | None:
        """With its document, whosever it is: its owner said that everybody may read it."""
        query = select(FlowRow).where(FlowRow.id == flow_id, FlowRow.access == "PUBLIC")
        return (await self._session.execute(_loading(query, True))).scalar_one_or_none()

    async def page(
        self,
        *,
        owner_id: str,
        project_id: str,
        limit: int,
        offset: int,
        is_component: bool | None = None,
        flow_type: str | None = None,
        name_contains: str | None = None,
        with_documents: bool = True,
    ) -> tuple[Sequence[FlowRow], int]:
        """Latest change first, and how many there are in all. `name_contains` ignores case."""
        conditions = _matching(owner_id, project_id, is_component, flow_type, name_contains)
        total = (await self._session.execute(select(func.count()).select_from(FlowRow).where(*conditions))).scalar_one()
        # The ids first: a sort over whole rows would carry every document along.
        chosen = select(FlowRow.id).where(*conditions).order_by(FlowRow.updated_at.desc(), FlowRow.id.desc()).limit(limit).offset(offset)
        ids = (await self._session.execute(chosen)).scalars().all()
        query = select(FlowRow).where(FlowRow.owner_id == owner_id, FlowRow.id.in_(ids))
        rows = {row.id: row for row in (await self._session.execute(_loading(query, with_documents))).scalars()}
        return [rows[id] for id in ids if id in rows], total

    async def list_names_starting(self, beginning: str, *, owner_id: str) -> Sequence[str]:
        """Names that start with exactly this text (no pattern characters)."""
        query = select(FlowRow.name).where(FlowRow.owner_id == owner_id, func.substr(FlowRow.name, 1, len(beginning)) == beginning)
        return (await self._session.execute(query)).scalars().all()

    async def list_endpoint_names_starting(self, beginning: str, *, owner_id: str) -> Sequence[str]:
        query = select(FlowRow.endpoint_name).where(
            FlowRow.owner_id == owner_id, func.substr(FlowRow.endpoint_name, 1, len(beginning)) == beginning
        )
        return [name for name in (await self._session.execute(query)).scalars() if name is not None]

    async def name_is_taken(self, name: str, *, owner_id: str, except_id: str | None = None) -> bool:
        return await self._exists(FlowRow.owner_id == owner_id, FlowRow.name == name, FlowRow.id != (except_id or ""))

    async def endpoint_name_is_taken(self, endpoint_name: str, *, owner_id: str, except_id: str | None = None) -> bool:
        return await self._exists(FlowRow.owner_id == owner_id, FlowRow.endpoint_name == endpoint_name, FlowRow.id != (except_id or ""))

    async def delete_many(self, flow_ids: Collection[str], *, owner_id: str) -> Sequence[str]:
        """With everything of theirs; returns the ids that were really deleted."""
        query = delete(FlowRow).where(FlowRow.owner_id == owner_id, FlowRow.id.in_(flow_ids)).returning(FlowRow.id)
        return (await self._session.execute(query)).scalars().all()

    async def _exists(self, *conditions: ColumnElement[bool]) -> bool:
        return (await self._session.execute(select(FlowRow.id).where(*conditions).limit(1))).first() is not None


def _loading(query: Select[FlowRow], with_document: bool) -> Select[FlowRow]:
    return query.options(undefer(FlowRow.document)) if with_document else query


def _matching(
    owner_id: str, project_id: str | None, is_component: bool | None, flow_type: str | None, name_contains: str | None
) -> list[ColumnElement[Any]]:
    conditions: list[ColumnElement[Any]] = [FlowRow.owner_id == owner_id]
    if project_id is not None:
        conditions.append(FlowRow.project_id == project_id)
    if is_component is not None:
        conditions.append(FlowRow.is_component == is_component)
    if flow_type is not None:
        conditions.append(FlowRow.flow_type == flow_type)
    if name_contains:
        conditions.append(func.lower(FlowRow.name).contains(name_contains.lower(), autoescape=True))
    return conditions
