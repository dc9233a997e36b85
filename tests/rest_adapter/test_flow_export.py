"""Flows and projects going out as files and in again: equal, and without anything secret."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from projects import starter_flows
from tests import flow_documents as flows
from tests.application import Application, open_application
from tests.projects.flows import old_exports

MARK = "s3cret-marker"
STRIPPED = {"updated_at", "user_id", "folder_id", "access_type", "gradient", "version_token"}


@pytest.fixture
async def other_server(tmp_path: Path) -> AsyncIterator[Application]:
    async with open_application(tmp_path / "other", is_a_stranger=True) as opened:
        yield opened


async def make(application: Application, **body: Any) -> dict[str, Any]:
    answer = await application.http.post("/api/v1/flows/", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def download(application: Application, *ids: str) -> Any:
    answer = await application.http.post("/api/v1/flows/download/", json=list(ids))
    assert answer.status_code == 200, answer.text
    return answer


def kept(flow: dict[str, Any]) -> dict[str, Any]:
    """What an export keeps of a flow as it is read."""
    return {name: value for name, value in flow.items() if name not in STRIPPED}


def file_of(content: bytes, name: str = "p.zip") -> dict[str, Any]:
    return {"files": {"file": (name, content)}}


def entries_of(content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


async def test_one_flow_is_json_and_several_are_a_zip(application: Application) -> None:
    one, two = await make(application, name="a/b..c", data=flows.echo()), await make(application, name="A/b..C")
    single = await download(application, one["id"])
    assert single.headers["content-type"] == "application/json"
    assert single.json()["name"] == "a/b..c"
    assert STRIPPED.isdisjoint(single.json())
    several = await download(application, one["id"], two["id"])
    assert several.headers["content-type"] == "application/x-zip-compressed"
    assert several.headers["content-disposition"].startswith("attachment; filename=")
    assert several.headers["content-disposition"].endswith("_langflow_flows.zip")
    assert list(entries_of(several.content)) == ["a_b_c.json", "A_b_C (1).json"]


async def test_code_leaves_as_lines_and_the_screen_stays_behind(application: Application) -> None:
    data = flows.echo()
    data["nodes"][0] |= {"selected": True, "dragging": False, "positionAbsolute": {"x": 1, "y": 2}}
    data["nodes"][0]["data"]["node"]["template"]["code"]["value"] = "first\nsecond\n"
    flow = await make(application, name="f", data=data)
    node = (await download(application, flow["id"])).json()["data"]["nodes"][0]
    assert node["data"]["node"]["template"]["code"]["value"] == ["first", "second", ""]
    assert not {"selected", "dragging", "positionAbsolute"} & set(node)


async def test_flows_of_others_are_passed_over_and_none_is_404(application: Application) -> None:
    flow = await make(application, name="f")
    for ids in ([], [flow["id"]]):
        assert (await application.stranger.post("/api/v1/flows/download/", json=ids)).status_code == 404
    assert (await application.http.post("/api/v1/flows/download/", json={"x": 1})).status_code == 422


def bodies() -> list[dict[str, Any]]:
    examples = [json.loads((Path(starter_flows.__file__).parent / name).read_text()) for name in starter_flows.EXAMPLE_FILES]
    return [
        {"name": "echo", "data": flows.echo(), "tags": ["a"], "endpoint_name": "ep", "icon": "Box", "icon_bg_color": "#123456"},
        {"name": "tool", "data": flows.echo(), "mcp_enabled": True, "action_name": "do", "action_description": "It does."},
        {"name": "nothing"},
        *({"name": f"{each['name']} copy", "description": each.get("description"), "data": each["data"]} for each in examples),
        *({"name": f"of {age}", "data": export()["data"]} for age, export in old_exports.EVERY_AGE.items()),
        {"name": "a group", "data": flows.document([flows.node("Group", "Group-1", {}, flow={"data": flows.echo()})], [])},
    ]


def as_exported(value: Any) -> Any:
    """A document as a file has it: code as lines, no traces of the screen."""
    if isinstance(value, list):
        return [as_exported(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: as_exported(item) for key, item in value.items()}
    if kept.get("type") == "code" and isinstance(kept.get("value"), str):
        kept["value"] = kept["value"].split("\n")
    return kept


async def test_an_export_of_every_age_leaves_as_it_came_with_the_names_of_its_variables(
    application: Application, subtests: pytest.Subtests
) -> None:
    variable = {"name": "OPENAI_API_KEY", "value": MARK, "type": "Credential", "default_fields": []}
    assert (await application.http.post("/api/v1/variables/", json=variable)).status_code == 201
    for age, export in old_exports.EVERY_AGE.items():
        with subtests.test(age):
            data = export()["data"]
            uploaded = await application.http.post("/api/v1/flows/upload/", **file_of(json.dumps(export()).encode(), "f.json"))
            assert uploaded.status_code == 201, uploaded.text
            answer = await download(application, uploaded.json()[0]["id"])
            screen = {"selected", "dragging", "positionAbsolute"}
            data["nodes"] = [{key: value for key, value in node.items() if key not in screen} for node in data["nodes"]]
            assert answer.json()["data"] == as_exported(data)
            assert MARK not in answer.text


async def test_what_is_exported_is_imported_equal_on_a_second_server(application: Application, other_server: Application) -> None:
    for body in bodies():
        flow = await make(application, **body)
        file = (await download(application, flow["id"])).content
        answer = await other_server.http.post("/api/v1/flows/upload/", **file_of(file, "f.json"))
        assert answer.status_code == 201, answer.text
        (imported,) = answer.json()
        again = (await download(other_server, imported["id"])).json()
        assert again == json.loads(file)
        # What the export dropped of a node is not in these; so the flow itself is equal too.
        assert {**kept(imported), "data": None} == {**kept(flow), "data": None}


async def test_a_project_goes_out_as_a_zip_and_into_a_second_server(application: Application, other_server: Application) -> None:
    ids = [(await make(application, **body))["id"] for body in bodies()]
    project = (await application.http.post("/api/v1/projects/", json={"name": "Ours", "flows_list": ids})).json()
    answer = await application.http.get(f"/api/v1/projects/download/{project['id']}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].endswith("_Ours_flows.zip")
    sent = entries_of(answer.content)
    assert len(sent) == len(ids)
    uploaded = await other_server.http.post("/api/v1/projects/upload/", **file_of(answer.content, "Ours.v2.zip"))
    assert uploaded.status_code == 201, uploaded.text
    assert {flow["id"] for flow in uploaded.json()} == set(ids)
    theirs = next(each for each in (await other_server.http.get("/api/v1/projects/")).json() if each["name"] == "Ours.v2")
    again = await other_server.http.get(f"/api/v1/projects/download/{theirs['id']}")
    assert entries_of(again.content) == sent
    # Where these flows still are, the same file is refused, and nothing of it stays.
    before = (await application.http.get("/api/v1/projects/")).json()
    assert (await application.http.post("/api/v1/projects/upload/", **file_of(answer.content))).status_code == 422
    assert (await application.http.get("/api/v1/projects/")).json() == before
    strange = await application.stranger.post("/api/v1/projects/upload/", **file_of(answer.content))
    assert strange.status_code == 201
    assert not {flow["id"] for flow in strange.json()} & set(ids)


async def test_a_project_as_json_names_itself(application: Application) -> None:
    body = {"folder_name": "Imported", "folder_description": "d", "flows": [{"name": "f", "data": flows.echo()}, {"name": "f"}]}
    for name in ("Imported", "Imported (1)"):
        answer = await application.http.post("/api/v1/projects/upload/", **file_of(json.dumps(body).encode(), "p.json"))
        assert answer.status_code == 201, answer.text
        read = (await application.http.get(f"/api/v1/projects/{answer.json()[0]['folder_id']}")).json()
        assert (read["name"], read["description"], len(read["flows"])) == (name, "d", 2)
    for content, status in ((b"{}", 400), (b'{"flows": []}', 400), (b"[]", 422), (b'{"folder_name": 1, "flows": []}', 422), (b"", 400)):
        answer = await application.http.post("/api/v1/projects/upload/", **file_of(content, "p.json"))
        assert answer.status_code == status, content
    assert (await application.http.post("/api/v1/projects/upload/", content=b"{}")).status_code == 400


@pytest.mark.parametrize(
    ("file_name", "name"), [("reports.zip", "reports"), ("reports", "reports"), ("a.b.zip", "a.b"), (".zip", "Imported Project")]
)
async def test_a_zip_names_its_project_up_to_the_last_dot(application: Application, file_name: str, name: str) -> None:
    await make(application, name="f", data=flows.echo())
    content = (await application.http.get(f"/api/v1/projects/download/{application.project_id}")).content
    uploaded = await application.stranger.post("/api/v1/projects/upload/", **file_of(content, file_name))
    project = await application.stranger.get(f"/api/v1/projects/{uploaded.json()[0]['folder_id']}")
    assert project.json()["name"] == name


async def test_a_project_without_flows_or_of_others_cannot_be_downloaded(application: Application) -> None:
    project = (await application.http.post("/api/v1/projects/", json={"name": "Empty"})).json()
    for http in (application.http, application.stranger):
        assert (await http.get(f"/api/v1/projects/download/{project['id']}")).status_code == 404


def secretive() -> dict[str, Any]:
    """A secret in every place that people put one."""
    fields: dict[str, Any] = {
        "api_key": {"value": MARK, "password": True},
        "odd": {"value": MARK, "password": True},
        "token2": MARK,
        "dsn": f"postgresql://user:{MARK}@host/db",
        "database_url": f"postgresql://user:{MARK}@host/db",
        "address": f"https://{MARK}@example.org/?api_key={MARK}&page=2",
        "headers": {"value": [{"key": "Authorization", "value": f"Bearer {MARK}"}, {"key": "X-Odd", "value": MARK}], "type": "table"},
        "more_headers": {"value": {"headers": {"X-Odd": MARK, "Accept": "text/html"}, "env": {"A": MARK}}, "type": "dict"},
        "nested": {"value": {"deep": [{"clientSecret": MARK}]}, "type": "NestedDict"},
        "mine": {"value": "MY_KEY", "load_from_db": True, "password": True},
        "not_mine": {"value": MARK, "load_from_db": True, "password": True},
        "max_tokens": {"value": 7, "type": "int"},
    }
    inner = flows.document([flows.node("Inner", "Inner-1", {"password": MARK})], [])
    group = flows.node("Group", "Group-1", {"inner_secret": MARK}, flow={"data": inner})
    return flows.document([flows.chat_input(), flows.node("Odd", "Odd-1", fields), group], [])


async def test_no_secret_leaves_in_any_file(application: Application) -> None:
    variable = {"name": "MY_KEY", "value": MARK, "type": "Credential", "default_fields": []}
    assert (await application.http.post("/api/v1/variables/", json=variable)).status_code == 201
    flow = await make(application, name="secretive", data=secretive(), access_type="PUBLIC")
    other = await make(application, name="other")
    single = await download(application, flow["id"])
    several = await download(application, flow["id"], other["id"])
    project = await application.http.get(f"/api/v1/projects/download/{flow['folder_id']}")
    public = await application.nobody.get(f"/api/v1/flows/public_flow/{flow['id']}")
    for answer in (single, several, project, public):
        assert answer.status_code == 200
        assert MARK.encode() not in answer.content
    template = single.json()["data"]["nodes"][1]["data"]["node"]["template"]
    assert (template["mine"]["value"], template["not_mine"]["value"], template["max_tokens"]["value"]) == ("MY_KEY", None, 7)
    assert template["address"]["value"] == "https://example.org/?api_key=&page=2"
    assert template["more_headers"]["value"] == {"headers": {"X-Odd": None, "Accept": "text/html"}, "env": {"A": None}}
    assert template["headers"]["value"][0] == {"key": "Authorization", "value": None}
    # The owner still has it all.
    assert MARK in (await application.http.get(f"/api/v1/flows/{flow['id']}")).text
    tool = await application.http.get(f"/api/v1/mcp/project/{flow['folder_id']}", params={"mcp_enabled": "false"})
    assert MARK not in tool.text


async def test_a_flow_is_public_only_when_its_owner_says_so(application: Application) -> None:
    flow = await make(application, name="f", data=flows.echo())
    path = f"/api/v1/flows/public_flow/{flow['id']}"
    assert (await application.nobody.get(path)).status_code == 404
    await application.http.patch(f"/api/v1/flows/{flow['id']}", json={"access_type": "PUBLIC"})
    read = (await application.nobody.get(path)).json()
    assert list(read) == [*flow, "public_access"]
    assert set(read["public_access"]) == {"can_read", "can_execute"}
    await application.http.patch(f"/api/v1/flows/{flow['id']}", json={"access_type": "PRIVATE"})
    assert (await application.nobody.get(path)).status_code == 404


async def test_examples_belong_to_nobody_and_can_be_copied(application: Application) -> None:
    examples = (await application.nobody.get("/api/v1/flows/basic_examples/")).json()
    assert [each["user_id"] for each in examples] == [None] * len(starter_flows.EXAMPLE_FILES)
    assert len({each["id"] for each in examples}) == len(examples)
    for example in examples:
        assert (await application.http.post("/api/v1/flows/", json=example)).status_code == 201
    starters = (await application.http.get("/api/v1/starter-projects/")).json()
    assert [each["name"] for each in starters] == [each["name"] for each in examples]
    assert list(starters[0]) == ["data", "is_component", "name", "name_key", "description", "endpoint_name"]
    assert list(starters[0]["data"]) == ["nodes", "edges", "viewport"]


async def test_a_batch_is_kept_whole_or_not_at_all(application: Application) -> None:
    path = "/api/v1/flows/batch/"
    answer = await application.http.post(path, json={"flows": [{"name": "b1", "data": flows.echo()}, {"name": "b2"}]})
    assert (answer.status_code, [flow["name"] for flow in answer.json()]) == (201, ["b1", "b2"])
    assert answer.json()[1]["data"] is None
    clash = await application.http.post(path, json={"flows": [{"name": "b3"}, {"name": "b1"}]})
    assert clash.status_code == 409
    assert "b3" not in {flow["name"] for flow in (await application.http.get("/api/v1/flows/")).json()}
    taken = await application.http.post(path, json={"flows": [{"name": "b4", "id": answer.json()[0]["id"]}]})
    assert taken.status_code == 422
    assert (await application.http.post(path, json=[])).status_code == 422
    assert (await application.http.post(path, json={"flows": [{"name": "n"}] * 501})).status_code == 422
