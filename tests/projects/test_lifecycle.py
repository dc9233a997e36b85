import asyncio
from uuid import uuid4

import pytest

from projects.access.caller import Caller
from projects.default_project import DefaultProject
from projects.errors import AlreadyExists, InvalidInput, Locked, NotFound
from projects.flows.library import FlowChanged
from projects.lifecycle import ProjectService
from storage.database import Database
from storage.encryption import SecretBox
from storage.flows import FlowRepository
from tests.owners import add_flow, add_owner


@pytest.fixture
async def ada(database: Database) -> Caller:
    return await add_owner(database, "ada")


@pytest.fixture
async def bob(database: Database) -> Caller:
    return await add_owner(database, "bob")


@pytest.fixture
def told() -> list[FlowChanged]:
    return []


@pytest.fixture
def service(database: Database, told: list[FlowChanged]) -> ProjectService:
    return ProjectService(database, told.append, secret_box=SecretBox("a key for tests"))


async def test_the_default_project_is_made_once_even_when_many_ask_at_once(service: ProjectService, ada: Caller) -> None:
    made = await asyncio.gather(*(service.default_project(ada) for _ in range(5)))
    assert {project.name for project in made} == {"Starter Project"}
    assert [project.id for project in await service.list_projects(ada)] == [made[0].id]


async def test_a_renamed_default_project_stays_the_default(service: ProjectService, ada: Caller) -> None:
    first = await service.default_project(ada)
    await service.create(ada, name="Later")
    await service.update(ada, first.id, name="Renamed")
    assert (await service.default_project(ada)).id == first.id
    await service.delete(ada, first.id)
    assert (await service.default_project(ada)).name == "Later"


async def test_the_default_project_is_listed_first(service: ProjectService, ada: Caller) -> None:
    for name in ("A", "Starter Project", "B"):
        await service.create(ada, name=name)
    assert [project.name for project in await service.list_projects(ada)] == ["Starter Project", "A", "B"]


async def test_a_taken_name_gets_the_next_number(service: ProjectService, ada: Caller, bob: Caller) -> None:
    assert [(await service.create(ada, name="P")).name for _ in range(3)] == ["P", "P (1)", "P (2)"]
    assert (await service.create(bob, name="P")).name == "P"
    made = await asyncio.gather(*(service.create(bob, name="Q") for _ in range(4)))
    assert sorted(project.name for project in made) == ["Q", "Q (1)", "Q (2)", "Q (3)"]


async def test_a_name_that_cannot_be_a_projects_is_refused(service: ProjectService, ada: Caller) -> None:
    for name in ("", "  ", "!!!", "Rocket 🚀", "\x00a", "a\ud800", "x" * 241, "1️⃣ a"):
        with pytest.raises(InvalidInput) as refusal:
            await service.create(ada, name=name)
        assert refusal.value.problems[0].location == ("name",)


async def test_flows_named_at_creation_move_in_and_foreign_ones_stay(
    service: ProjectService, database: Database, told: list[FlowChanged], ada: Caller, bob: Caller
) -> None:
    mine, his = await add_flow(database, ada), await add_flow(database, bob)
    project = await service.create(ada, name="New", flow_ids=[mine, his, "no id", str(uuid4())])
    async with database.reading() as session:
        flows = FlowRepository(session)
        moved, stayed = await flows.find(mine, owner_id=ada.user_id), await flows.find(his, owner_id=bob.user_id)
    assert moved is not None and moved.project_id == project.id
    assert stayed is not None and stayed.project_id != project.id
    assert [(change.flow_id, change.project_id, change.kind) for change in told] == [(mine, project.id, "updated")]


async def test_a_locked_flow_does_not_move(service: ProjectService, database: Database, ada: Caller) -> None:
    flow_id = await add_flow(database, ada, is_locked=True)
    with pytest.raises(Locked):
        await service.create(ada, name="New", flow_ids=[flow_id])
    assert await service.find_by_name(ada, "New") is None


async def test_a_foreign_project_is_answered_like_a_missing_one(service: ProjectService, ada: Caller, bob: Caller) -> None:
    project = await service.create(ada, name="Hers")
    for project_id in (project.id, str(uuid4()), "no id", "\x00"):
        for attempt in (
            service.get(bob, project_id),
            service.update(bob, project_id, name="Mine"),
            service.delete(bob, project_id),
        ):
            with pytest.raises(NotFound) as refusal:
                await attempt
            assert (refusal.value.kind, refusal.value.identifier) == ("project", project_id)
    assert await service.find_by_name(bob, "Hers") is None
    assert await service.find_by_name(bob, "\x00") is None
    assert await service.find_by_name(ada, "Hers") == await service.get(ada, project.id) == project


async def test_owners_whose_names_look_like_patterns_see_only_their_own(service: ProjectService, database: Database) -> None:
    callers = [await add_owner(database, name) for name in ("alice", "alice_admin", "a%", "a_")]
    for caller in callers:
        await service.create(caller, name=caller.username + "1")
    assert [[project.name for project in await service.list_projects(caller)] for caller in callers] == [
        ["alice1"],
        ["alice_admin1"],
        ["a%1"],
        ["a_1"],
    ]


async def test_an_update_changes_only_what_is_given(service: ProjectService, ada: Caller) -> None:
    project = await service.create(ada, name="P", description="d", auth_settings={"auth_type": "apikey"})
    other = await service.create(ada, name="Q")
    changed = await service.update(ada, project.id, description=None)
    assert (changed.name, changed.description, changed.auth_settings) == ("P", None, {"auth_type": "apikey"})
    assert (await service.update(ada, project.id, name="P")).name == "P"
    with pytest.raises(AlreadyExists):
        await service.update(ada, project.id, name="Q")
    nested = await service.update(ada, project.id, parent_id=other.id, auth_settings=None)
    assert (nested.parent_id, nested.auth_settings) == (other.id, None)


async def test_a_parent_must_be_ones_own_and_not_below(service: ProjectService, ada: Caller, bob: Caller) -> None:
    outer, inner = await service.create(ada, name="outer"), await service.create(ada, name="inner")
    foreign = await service.create(bob, name="his")
    await service.update(ada, inner.id, parent_id=outer.id)
    with pytest.raises(NotFound):
        await service.update(ada, inner.id, parent_id=foreign.id)
    for parent_id in (outer.id, inner.id):
        with pytest.raises(InvalidInput):
            await service.update(ada, outer.id, parent_id=parent_id)


async def test_a_deleted_project_takes_its_flows_and_tells_of_them(
    service: ProjectService, database: Database, told: list[FlowChanged], ada: Caller
) -> None:
    project = await service.create(ada, name="P")
    flow_id = await add_flow(database, ada, project_id=project.id)
    await service.delete(ada, project.id)
    async with database.reading() as session:
        assert await FlowRepository(session).find(flow_id, owner_id=ada.user_id) is None
    assert told == [FlowChanged(flow_id, ada.user_id, project.id, "deleted")]


async def test_a_client_secret_is_encrypted_and_refused_without_a_key(service: ProjectService, database: Database, ada: Caller) -> None:
    project = await service.create(ada, name="P", auth_settings={"auth_type": "apikey", "oauth_client_secret": "very secret"})
    assert project.auth_settings is not None
    assert SecretBox("a key for tests").decrypt(project.auth_settings["oauth_client_secret"]) == "very secret"
    with pytest.raises(InvalidInput):
        settings = {"auth_type": "apikey", "oauth_client_secret": "x"}
        await ProjectService(database, lambda change: None).create(ada, name="Q", auth_settings=settings)


async def test_new_projects_start_with_the_default_settings(database: Database, ada: Caller) -> None:
    service = ProjectService(database, lambda change: None, default_project=DefaultProject("Home", auth_settings={"auth_type": "apikey"}))
    assert (await service.default_project(ada)).auth_settings == {"auth_type": "apikey"}
    assert (await service.create(ada, name="P")).auth_settings == {"auth_type": "apikey"}
    assert (await service.create(ada, name="Q", auth_settings={"auth_type": "none"})).auth_settings == {"auth_type": "none"}


async def test_a_change_can_be_awaited_and_comes_after_the_commit(database: Database, ada: Caller) -> None:
    seen: list[bool] = []

    async def on_change(change: FlowChanged) -> None:
        async with database.reading() as session:
            row = await FlowRepository(session).find(change.flow_id, owner_id=ada.user_id)
        seen.append(row is not None and row.project_id == change.project_id)

    flow_id = await add_flow(database, ada)
    await ProjectService(database, on_change).create(ada, name="New", flow_ids=[flow_id])
    assert seen == [True]
