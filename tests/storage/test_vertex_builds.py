from datetime import timedelta

from storage.database import Database
from storage.ids import new_id
from storage.vertex_builds import VertexBuildRepository
from tests.owners import MOMENT, add_flow, add_owner, add_rows, build_row


async def test_of_builds_made_in_the_same_moment_one_is_the_newest(database: Database) -> None:
    ada = await add_owner(database, "ada")
    flow_id = await add_flow(database, ada)
    rows = [build_row(ada, flow_id, "A") for _ in range(3)]
    await add_rows(database, *rows)
    async with database.reading() as session:
        (newest,) = await VertexBuildRepository(session).list_newest_of_each_vertex(flow_id, owner_id=ada.user_id)
    assert newest.id == rows[-1].id


async def test_builds_of_one_run_come_in_order(database: Database) -> None:
    ada, bob = await add_owner(database, "ada"), await add_owner(database, "bob")
    flow_id, run_id = await add_flow(database, ada), new_id()
    await add_rows(
        database,
        build_row(ada, flow_id, "second", run_id=run_id, created_at=MOMENT + timedelta(microseconds=1)),
        build_row(ada, flow_id, "first", run_id=run_id),
        build_row(ada, flow_id, "another run"),
    )
    async with database.reading() as session:
        builds = VertexBuildRepository(session)
        assert [row.vertex_id for row in await builds.list_of_run(run_id, owner_id=ada.user_id)] == ["first", "second"]
        assert await builds.list_of_run(run_id, owner_id=bob.user_id) == []
