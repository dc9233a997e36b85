"""Queries on the vertex builds table. Rows are inserted by the run writer."""

from collections.abc import Sequence

from sqlalchemy import Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import VertexBuildRow


class VertexBuildRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_newest_of_each_vertex(self, flow_id: str, *, owner_id: str) -> Sequence[VertexBuildRow]:
        """One build a vertex, in the order they were made."""
        place = func.row_number().over(
            partition_by=VertexBuildRow.vertex_id, order_by=(VertexBuildRow.created_at.desc(), VertexBuildRow.id.desc())
        )
        ranked = (
            select(VertexBuildRow.id, place.label("place"))
            .where(VertexBuildRow.owner_id == owner_id, VertexBuildRow.flow_id == flow_id)
            .subquery()
        )
        query = select(VertexBuildRow).join(ranked, ranked.c.id == VertexBuildRow.id).where(ranked.c.place == 1)
        return (await self._session.execute(query.order_by(VertexBuildRow.created_at, VertexBuildRow.id))).scalars().all()

    async def list_of_run(self, run_id: str, *, owner_id: str) -> Sequence[VertexBuildRow]:
        """In the order they were made."""
        query = select(VertexBuildRow).where(VertexBuildRow.owner_id == owner_id, VertexBuildRow.run_id == run_id)
        return (await self._session.execute(query.order_by(VertexBuildRow.created_at, VertexBuildRow.id))).scalars().all()

    async def delete_of_flow(self, flow_id: str, *, owner_id: str) -> int:
        query = (
            delete(VertexBuildRow)
            .where(VertexBuildRow.owner_id == owner_id, VertexBuildRow.flow_id == flow_id)
            .returning(VertexBuildRow.id)
        )
        return len((await self._session.execute(query)).scalars().all())

    async def trim(self, *, per_flow: int, per_vertex: int, limit: int) -> int:
        """Delete at most `limit` of the oldest builds beyond these numbers; how many. Housekeeping over all owners."""
        deleted = 0
        # By flow and owner, as the index has it: nothing is sorted, however many rows there are. What is left of a flow is little enough.
        owned = (VertexBuildRow.flow_id, VertexBuildRow.owner_id)
        newest_first = (VertexBuildRow.created_at.desc(), VertexBuildRow.id.desc())
        crowded = select(*owned).group_by(*owned).having(func.count() > per_flow)
        for flow_id, owner_id in (await self._session.execute(crowded)).all():
            mine = select(VertexBuildRow.id).where(VertexBuildRow.owner_id == owner_id, VertexBuildRow.flow_id == flow_id)
            deleted += await self._delete(mine.order_by(*newest_first).offset(per_flow).limit(limit - deleted))
            if deleted >= limit:
                return deleted
        crowded = select(*owned).group_by(*owned, VertexBuildRow.vertex_id).having(func.count() > per_vertex).distinct()
        for flow_id, owner_id in (await self._session.execute(crowded)).all():
            place = func.row_number().over(partition_by=VertexBuildRow.vertex_id, order_by=newest_first)
            ranked = (
                select(VertexBuildRow.id, place.label("place"))
                .where(VertexBuildRow.owner_id == owner_id, VertexBuildRow.flow_id == flow_id)
                .subquery()
            )
            deleted += await self._delete(select(ranked.c.id).where(ranked.c.place > per_vertex).limit(limit - deleted))
            if deleted >= limit:
                return deleted
        return deleted

    async def _delete(self, ids: Select[str]) -> int:
        query = delete(VertexBuildRow).where(VertexBuildRow.id.in_(ids)).returning(VertexBuildRow.id)
        gone = await self._session.execute(query.execution_options(synchronize_session=False))
        return len(gone.scalars().all())
