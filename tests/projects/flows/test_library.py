import asyncio
import json
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import pytest

from projects.access.caller import Caller
from projects.errors import AlreadyExists, InvalidInput, Locked, NotFound, Stale
from projects.flows.library import FlowChanged, FlowChanges, FlowDraft, FlowLibrary
from storage.database import Database
from tests.owners import add_owner, add_project

WEBHOOK = '{"nodes": [{"id": "Webhook-a1b2c", "data": {}}], "edges": []}'
EMPTY = '{"edges": [], "nodes": [  ]}'


class Surroundings:
    """A library, two users, and what was told of changes."""

    def __init__(self, database: Database, ada: Caller, bob: Caller) -> None:
        self.told: list[FlowChanged] = []
        self.database = database
        self.library = FlowLibrary(database, self.told.append)
        self.ada = ada
        self.bob = bob


@pytest.fixture
async def here(database: Database) -> Surroundings:
    return Surroundings(database, await add_owner(database, "ada"), await add_owner(database, "bob"))


async def test_a_new_flow_goes_to_a_default_project_that_is_made_on_the_way(here: Surroundings) -> None:
    flow = await here.library.create(here.ada, FlowDraft(name="Echo", document=EMPTY, tags=["a", "b"]))
    other = await here.library.create(here.ada, FlowDraft(name="Second"))
    assert (flow.name, flow.version, flow.tags, flow.document, flow.has_webhook) == ("Echo", 1, ["a", "b"], EMPTY, False)
    assert other.project_id == flow.project_id
    assert await here.library.get(here.ada, flow.id) == flow
    assert [(change.flow_id, change.kind, change.project_id) for change in here.told] == [
        (flow.id, "created", flow.project_id),
        (other.id, "created", flow.project_id),
    ]


async def test_a_list_without_documents_says_the_same_of_each_flow_as_the_one_with_them(here: Surroundings) -> None:
    draft = FlowDraft(name="Echo", document=EMPTY, description="Says it", endpoint_name="echo", is_component=True, is_tool=True, tags=["a"])
    await here.library.create(here.ada, replace(draft, icon="bot", gradient="2", tool_name="say", tool_description="Says", access="PUBLIC"))
    await here.library.create(here.ada, FlowDraft(name="Second", icon_background="#00ff00", is_locked=True, flow_type="agent"))
    whole = await here.library.list_flows(here.ada)
    assert len(whole) == 2
    assert await here.library.list_flows(here.ada, with_documents=False) == [replace(flow, document=None) for flow in whole]


async def test_a_taken_name_gets_the_next_number(here: Surroundings) -> None:
    names = [(await here.library.create(here.ada, FlowDraft(name=name))).name for name in ("Echo", "Echo", "Echo (7)", "Echo", "echo")]
    assert names == ["Echo", "Echo (1)", "Echo (7)", "Echo (8)", "echo"]
    assert (await here.library.create(here.bob, FlowDraft(name="Echo"))).name == "Echo"


async def test_a_taken_endpoint_name_gets_the_next_number(here: Surroundings) -> None:
    drafts = [FlowDraft(name=str(number), endpoint_name="echo") for number in range(3)]
    assert [(await here.library.create(here.ada, draft)).endpoint_name for draft in drafts] == ["echo", "echo-1", "echo-2"]


async def test_many_creates_of_one_name_at_once_all_end_with_a_name_of_their_own(here: Surroundings) -> None:
    made = await asyncio.gather(*(here.library.create(here.ada, FlowDraft(name="Echo", endpoint_name="echo")) for _ in range(8)))
    assert sorted(flow.name for flow in made) == ["Echo", *(f"Echo ({number})" for number in range(1, 8))]
    assert sorted(flow.endpoint_name or "" for flow in made) == ["echo", *(f"echo-{number}" for number in range(1, 8))]


async def test_pattern_characters_in_a_name_stand_for_themselves(here: Surroundings) -> None:
    for name in ("abc (4)", "a%c", "a_c (2)"):
        await here.library.create(here.ada, FlowDraft(name=name))
    assert (await here.library.create(here.ada, FlowDraft(name="a%c"))).name == "a%c (1)"
    assert (await here.library.create(here.ada, FlowDraft(name="a_c"))).name == "a_c"


async def test_an_unknown_or_foreign_project_means_the_default_one(here: Surroundings) -> None:
    foreign = await add_project(here.database, here.bob)
    own = await add_project(here.database, here.ada)
    places = [
        (await here.library.create(here.ada, FlowDraft(name="x", project_id=project_id))).project_id
        for project_id in (own, foreign, str(uuid4()), "no id at all", "\x00")
    ]
    assert places == [own] * 5


REFUSED_DRAFTS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "  "}, "name"),
    ({"name": "x" * 1_001}, "name"),
    ({"name": "x" * 1_000_000}, "name"),
    ({"name": "a\x00b"}, "name"),
    ({"name": "a\ud800b"}, "name"),
    ({"name": 5}, "name"),
    ({"description": "a\x00b"}, "description"),
    ({"endpoint_name": ""}, "endpoint_name"),
    ({"endpoint_name": "a b"}, "endpoint_name"),
    ({"endpoint_name": "ünï"}, "endpoint_name"),
    ({"endpoint_name": "a\n"}, "endpoint_name"),
    ({"icon_background": "red"}, "icon_background"),
    ({"access": "SECRET"}, "access"),
    ({"tags": ["\x00"]}, "tags"),
    ({"tags": "a"}, "tags"),
    ({"id": "no-uuid"}, "id"),
    ({"id": str(uuid5(NAMESPACE_URL, "x"))}, "id"),
    ({"document": "{"}, "data"),
    ({"document": "[]"}, "data"),
    ({"document": '{"nodes": []}'}, "data"),
    ({"document": '{"nodes": {}, "edges": []}'}, "data"),
    ({"document": '{"nodes": [], "edges": [], "x": "\ud800"}'}, "data"),
    ({"document": '{"nodes": [], "edges": [], "x": "\\ud800"}'}, "data"),
    ({"document": '{"nodes": [{"id": "a"}, {"id": "a"}], "edges": []}'}, "data"),
    ({"document": json.dumps({"nodes": [{"id": "a" * 1_000_000}], "edges": []})}, "data"),
    ({"document": json.dumps({"nodes": [{"id": str(number)} for number in range(10_000)], "edges": []})}, "data"),
]


async def test_a_draft_out_of_its_limits_is_refused_by_name(here: Surroundings) -> None:
    for values, field in REFUSED_DRAFTS:
        with pytest.raises(InvalidInput) as refusal:
            await here.library.create(here.ada, FlowDraft(**{"name": "fine", **values}))
        assert [problem.location[0] for problem in refusal.value.problems] == [field], str(values)[:200]
    assert await here.library.list_flows(here.ada) == []
    assert here.told == []


async def test_the_longest_name_can_be_kept_and_numbered(here: Surroundings) -> None:
    name = "".join(chr(0x4E00 + number * 7) for number in range(800))
    assert (await here.library.create(here.ada, FlowDraft(name=name))).name == name
    assert (await here.library.create(here.ada, FlowDraft(name=name))).name == name + " (1)"
    with pytest.raises(InvalidInput):
        await here.library.create(here.ada, FlowDraft(name=name + "more"))


async def test_an_id_is_kept_and_a_taken_one_refused(here: Surroundings) -> None:
    flow_id = str(uuid4())
    assert (await here.library.create(here.ada, FlowDraft(name="x", id=flow_id.upper()))).id == flow_id
    for caller in (here.ada, here.bob):
        with pytest.raises(AlreadyExists) as refusal:
            await here.library.create(caller, FlowDraft(name="y", id=flow_id))
        assert refusal.value.field == "id"


async def test_a_foreign_flow_is_answered_exactly_like_a_missing_one(here: Surroundings) -> None:
    foreign = (await here.library.create(here.ada, FlowDraft(name="hers", endpoint_name="hers", document=EMPTY))).id
    for flow_id in (foreign, str(uuid4()), "no-id", "\x00", "\ud800" * 36):
        for attempt in (
            here.library.get(here.bob, flow_id),
            here.library.resolve(here.bob, flow_id),
            here.library.read_document(here.bob.user_id, flow_id),
            here.library.update(here.bob, flow_id, FlowChanges(name="mine")),
            here.library.delete(here.bob, flow_id),
        ):
            with pytest.raises(NotFound) as refusal:
                await attempt
            assert (refusal.value.kind, refusal.value.identifier) == ("flow", flow_id)
    with pytest.raises(NotFound):
        await here.library.resolve(here.bob, "hers")
    assert await here.library.delete_many(here.bob, [foreign, "no-id"]) == 0
    assert await here.library.list_flows(here.bob) == []
    assert await here.library.list_flows(here.bob, project_id=(await here.library.get(here.ada, foreign)).project_id) == []
    assert (await here.library.get(here.ada, foreign)).name == "hers"


async def test_a_flow_is_resolved_by_id_and_by_endpoint_name(here: Surroundings) -> None:
    flow = await here.library.create(here.ada, FlowDraft(name="x", endpoint_name="echo", document=EMPTY))
    assert await here.library.resolve(here.ada, flow.id) == flow
    assert await here.library.resolve(here.ada, flow.id.replace("-", "").upper()) == flow
    assert await here.library.resolve(here.ada, "echo") == flow
    light = await here.library.resolve_owned(here.ada.user_id, "echo", with_document=False)
    assert light.document is None and light.version == 1
    assert await here.library.read_document(here.ada.user_id, flow.id) == EMPTY


async def test_the_version_grows_only_when_the_document_changes(here: Surroundings) -> None:
    flow = await here.library.create(here.ada, FlowDraft(name="x", document=EMPTY))
    same = await here.library.update(here.ada, flow.id, FlowChanges(description="new", document=EMPTY))
    assert (same.version, same.description) == (1, "new")
    changed = await here.library.update(here.ada, flow.id, FlowChanges(document=WEBHOOK))
    assert (changed.version, changed.has_webhook, changed.document) == (2, True, WEBHOOK)
    cleared = await here.library.update(here.ada, flow.id, FlowChanges(document=None))
    assert (cleared.version, cleared.has_webhook, cleared.document) == (3, False, None)


async def test_a_change_of_an_older_version_is_refused(here: Surroundings) -> None:
    flow = await here.library.create(here.ada, FlowDraft(name="x", document=EMPTY))
    await here.library.update(here.ada, flow.id, FlowChanges(document=WEBHOOK), expected_version=1)
    with pytest.raises(Stale) as refusal:
        await here.library.update(here.ada, flow.id, FlowChanges(document=EMPTY), expected_version=1)
    assert (refusal.value.expected, refusal.value.current, refusal.value.flow_id) == (1, 2, flow.id)


async def test_an_update_to_a_taken_name_is_refused_and_names_the_field(here: Surroundings) -> None:
    await here.library.create(here.ada, FlowDraft(name="one", endpoint_name="one"))
    flow = await here.library.create(here.ada, FlowDraft(name="two", endpoint_name="two"))
    for changes, field in ((FlowChanges(name="one"), "name"), (FlowChanges(endpoint_name="one"), "endpoint_name")):
        with pytest.raises(AlreadyExists) as refusal:
            await here.library.update(here.ada, flow.id, changes)
        assert refusal.value.field == field
    kept = await here.library.update(here.ada, flow.id, FlowChanges(name="two", endpoint_name=None))
    assert (kept.name, kept.endpoint_name) == ("two", None)


async def test_two_renames_to_one_name_at_once_end_with_one_of_them(here: Surroundings) -> None:
    flows = [await here.library.create(here.ada, FlowDraft(name=str(number))) for number in range(4)]
    renames = (here.library.update(here.ada, flow.id, FlowChanges(name="same")) for flow in flows)
    ends = await asyncio.gather(*renames, return_exceptions=True)
    assert sum(isinstance(end, AlreadyExists) for end in ends) == 3
    assert [flow.name for flow in await here.library.list_flows(here.ada)].count("same") == 1


async def test_a_locked_flow_refuses_everything_but_unlocking(here: Surroundings) -> None:
    flow = await here.library.create(here.ada, FlowDraft(name="x", document=EMPTY))
    assert (await here.library.update(here.ada, flow.id, FlowChanges(is_locked=True))).is_locked
    for attempt in (
        here.library.update(here.ada, flow.id, FlowChanges(description="new")),
        here.library.update(here.ada, flow.id, FlowChanges(description="new", is_locked=False)),
        here.library.delete(here.ada, flow.id),
        here.library.delete_many(here.ada, [flow.id]),
        here.library.upload(here.ada, [{"id": flow.id, "name": "y"}]),
    ):
        with pytest.raises(Locked):
            await attempt
    unlocked = await here.library.update(here.ada, flow.id, FlowChanges(is_locked=False, name="x", document=EMPTY))
    assert (unlocked.is_locked, unlocked.version, unlocked.description) == (False, 1, None)


async def test_a_list_without_documents_leaves_them_in_the_database(here: Surroundings) -> None:
    await here.library.create(here.ada, FlowDraft(name="flow", document=EMPTY))
    await here.library.create(here.ada, FlowDraft(name="part", document=EMPTY, is_component=True))
    light = await here.library.list_flows(here.ada, with_documents=False)
    assert [(flow.name, flow.document) for flow in light] == [("flow", None), ("part", None)]
    assert [flow.document for flow in await here.library.list_flows(here.ada)] == [EMPTY, EMPTY]
    assert [flow.name for flow in await here.library.list_flows(here.ada, components=True)] == ["part"]
    assert [flow.name for flow in await here.library.list_flows(here.ada, components=False)] == ["flow"]


async def test_pages_show_the_latest_change_first_and_find_names(here: Surroundings) -> None:
    flows = [await here.library.create(here.ada, FlowDraft(name=name)) for name in ("One", "Two 100%", "Three")]
    await here.library.update(here.ada, flows[0].id, FlowChanges(description="changed"))
    first, total = await here.library.page_flows(here.ada, page=1, size=2)
    second, _ = await here.library.page_flows(here.ada, page=2, size=2)
    assert ([flow.name for flow in first], [flow.name for flow in second], total) == (["One", "Three"], ["Two 100%"], 3)
    assert [flow.name for flow in (await here.library.page_flows(here.ada, search="t"))[0]] == ["Three", "Two 100%"]
    assert [flow.name for flow in (await here.library.page_flows(here.ada, search="0%"))[0]] == ["Two 100%"]
    assert await here.library.page_flows(here.ada, search="\x00") == ([], 0)
    assert await here.library.page_flows(here.bob) == ([], 0)
    for project_id in (flows[0].project_id, "\x00"):
        with pytest.raises(NotFound):
            await here.library.page_flows(here.bob, project_id=project_id)


async def test_deleting_tells_of_each_flow(here: Surroundings) -> None:
    flows = [await here.library.create(here.ada, FlowDraft(name=str(number))) for number in range(3)]
    await here.library.delete(here.ada, flows[0].id)
    assert await here.library.delete_many(here.ada, [flow.id for flow in flows]) == 2
    assert {change.flow_id for change in here.told if change.kind == "deleted"} == {flow.id for flow in flows}
    assert await here.library.list_flows(here.ada) == []


async def test_every_change_raises_the_catalogue_version_and_a_refused_one_does_not(here: Surroundings) -> None:
    versions = [await here.database.catalogue_version()]
    flow = await here.library.create(here.ada, FlowDraft(name="x"))
    versions.append(await here.database.catalogue_version())
    await here.library.update(here.ada, flow.id, FlowChanges(name="y"))
    versions.append(await here.database.catalogue_version())
    with pytest.raises(NotFound):
        await here.library.delete(here.bob, flow.id)
    assert await here.database.catalogue_version() == versions[-1]
    await here.library.delete(here.ada, flow.id)
    versions.append(await here.database.catalogue_version())
    assert versions == sorted(set(versions))


async def test_an_upload_makes_replaces_and_renumbers(here: Surroundings) -> None:
    own = await here.library.create(here.ada, FlowDraft(name="own", document=EMPTY, description="kept", access="PUBLIC"))
    foreign = await here.library.create(here.bob, FlowDraft(name="his"))
    unknown = str(uuid4())
    graph = json.loads(WEBHOOK)
    made = await here.library.upload(
        here.ada,
        [
            {"id": own.id, "name": "own", "data": graph},
            {"id": foreign.id, "name": "from elsewhere", "data": graph},
            {"id": unknown, "name": "own", "endpoint_name": "", "locked": None, "mcp_enabled": True, "action_name": "do_it", "x": 1},
            {"nodes": [], "edges": []},
        ],
    )
    assert [flow.name for flow in made] == ["own", "from elsewhere", "own (1)", "Untitled flow"]
    assert made[0].id == own.id and (made[0].version, made[0].has_webhook) == (2, True)
    assert (made[0].description, made[0].access, made[0].project_id) == ("kept", "PUBLIC", own.project_id)
    assert made[1].id not in (foreign.id, own.id)
    assert made[2].id == unknown and (made[2].is_tool, made[2].tool_name, made[2].document) == (True, "do_it", None)
    assert (await here.library.get(here.bob, foreign.id)).name == "his"


async def test_an_upload_goes_where_it_is_told_then_where_its_file_says(here: Surroundings) -> None:
    told, said = await add_project(here.database, here.ada, "told"), await add_project(here.database, here.ada, "said")
    exported = {"name": "x", "folder_id": said}
    (placed,) = await here.library.upload(here.ada, [exported], project_id=told)
    (own_place,) = await here.library.upload(here.ada, [exported], project_id=str(uuid4()))
    assert (placed.project_id, own_place.project_id) == (told, said)
    (moved,) = await here.library.upload(here.ada, [{"name": "x", "id": placed.id, "folder_id": said}])
    assert moved.project_id == said
    assert here.told[-1] == FlowChanged(placed.id, here.ada.user_id, said, "updated", moved_from=told)


REFUSED_UPLOADS: list[list[Any]] = [
    [{"name": "twice", "id": "0b0e8e0e-7d3b-4c6e-9a63-0c9d3f1f2f10"}, {"name": "x", "id": "0B0E8E0E7D3B4C6E9A630C9D3F1F2F10"}],
    [{"name": "good"}, {"name": "x", "id": str(uuid5(NAMESPACE_URL, "x"))}],
    [{"name": "good"}, {"name": "x", "id": 5}],
    [{"name": "good"}, {"description": "no name"}],
    [{"name": "good"}, {"name": "x", "data": []}],
    [{"name": "good"}, {"name": "x", "data": {"nodes": []}}],
    [{"name": "good"}, {"name": "x", "data": {"nodes": [], "edges": [], "text": "\ud800"}}],
    [{"name": "good"}, "not an object"],
    [{"name": str(number)} for number in range(501)],
]


async def test_an_upload_with_one_bad_flow_keeps_none(here: Surroundings) -> None:
    for documents in REFUSED_UPLOADS:
        with pytest.raises(InvalidInput):
            await here.library.upload(here.ada, documents)
    assert await here.library.list_flows(here.ada) == []


async def test_an_upload_that_would_take_anothers_name_is_refused(here: Surroundings) -> None:
    await here.library.create(here.ada, FlowDraft(name="taken"))
    flow = await here.library.create(here.ada, FlowDraft(name="mine"))
    with pytest.raises(AlreadyExists):
        await here.library.upload(here.ada, [{"name": "new"}, {"id": flow.id, "name": "taken"}])
    assert sorted(flow.name for flow in await here.library.list_flows(here.ada)) == ["mine", "taken"]


async def test_code_written_as_lines_is_joined_at_any_depth(here: Surroundings) -> None:
    def node(id: str, **described: Any) -> dict[str, Any]:
        return {"id": id, "data": {"node": described}}

    code = {"code": {"type": "code", "value": ["a = 1", "b = 2"]}}
    inner = {"data": {"nodes": [node("c", template=code)], "edges": []}}
    graph = {"nodes": [node("a", template=code), node("b", flow=inner), {"id": "d"}], "edges": []}
    (flow,) = await here.library.upload(here.ada, [{"name": "x", "data": graph}])
    assert flow.document is not None
    assert flow.document.count('"a = 1\\nb = 2"') == 2
    assert code["code"]["value"] == ["a = 1", "b = 2"]


async def test_a_batch_is_made_whole_or_not_at_all(here: Surroundings) -> None:
    assert len(await here.library.create_many(here.ada, [FlowDraft(name="a"), FlowDraft(name="b")])) == 2
    with pytest.raises(AlreadyExists):
        await here.library.create_many(here.ada, [FlowDraft(name="c"), FlowDraft(name="a")])
    assert [flow.name for flow in await here.library.list_flows(here.ada)] == ["a", "b"]
