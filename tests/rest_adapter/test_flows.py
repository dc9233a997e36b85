"""Flows through their requests: names, locks, versions, upload, report."""

import io
import json
import zipfile
from typing import Any
from uuid import uuid4

import httpx

from tests import flow_documents as flows
from tests.application import Application


async def make(application: Application, **body: Any) -> dict[str, Any]:
    created = await application.http.post("/api/v1/flows/", json={"name": "one", **body})
    assert created.status_code == 201, created.text
    made: dict[str, Any] = created.json()
    return made


def upload(content: bytes, name: str = "f.json") -> dict[str, Any]:
    return {"files": {"file": (name, content, "application/json")}}


async def test_taken_names_get_numbers_on_create_and_are_refused_on_change(application: Application) -> None:
    first = await make(application, endpoint_name="ep")
    second = await make(application, endpoint_name="ep")
    assert (second["name"], second["endpoint_name"]) == ("one (1)", "ep-1")
    for change in ({"name": "one"}, {"endpoint_name": "ep"}):
        assert (await application.http.patch(f"/api/v1/flows/{second['id']}", json=change)).status_code == 400
        assert (await application.http.put(f"/api/v1/flows/{second['id']}", json={"name": "two", **change})).status_code == 409
    assert (await application.http.put(f"/api/v1/flows/{uuid4()}", json={"name": "one"})).status_code == 409
    assert (await application.stranger.post("/api/v1/flows/", json={"name": "one", "endpoint_name": "ep"})).json()["endpoint_name"] == "ep"
    assert first["name"] == "one"


async def test_a_change_leaves_what_it_does_not_name_and_null_clears_the_endpoint_name(application: Application) -> None:
    flow = await make(application, endpoint_name="ep", description="d", data=flows.echo())
    path = f"/api/v1/flows/{flow['id']}"
    changed = (await application.http.patch(path, json={"name": None, "description": "new", "icon": "ignored", "mcp_enabled": True})).json()
    assert (changed["name"], changed["description"], changed["endpoint_name"], changed["icon"], changed["mcp_enabled"]) == (
        "one",
        "new",
        "ep",
        None,
        True,
    )
    assert changed["data"] == flows.echo()
    assert changed["version_token"] == flow["version_token"]
    assert (await application.http.patch(path, json={"endpoint_name": None})).json()["endpoint_name"] is None
    assert (await application.http.patch(path, json={"endpoint_name": "ep2"})).json()["endpoint_name"] == "ep2"
    assert (await application.http.patch(path, json={"endpoint_name": ""})).json()["endpoint_name"] is None


async def test_put_replaces_a_flow(application: Application) -> None:
    flow = await make(application, endpoint_name="ep", description="d", data=flows.echo())
    answer = await application.http.put(f"/api/v1/flows/{flow['id']}", json={"name": "other"})
    assert answer.status_code == 200
    replaced = answer.json()
    assert (replaced["id"], replaced["name"], replaced["description"], replaced["endpoint_name"], replaced["data"]) == (
        flow["id"],
        "other",
        None,
        None,
        None,
    )
    assert replaced["folder_id"] == flow["folder_id"]
    unknown = await application.http.put(f"/api/v1/flows/{flow['id']}", json={"name": "other", "folder_id": str(uuid4())})
    assert unknown.status_code == 400


async def test_a_locked_flow_can_only_be_unlocked(application: Application) -> None:
    flow = await make(application, locked=True)
    path = f"/api/v1/flows/{flow['id']}"
    assert (await application.http.patch(path, json={"description": "x"})).status_code == 423
    assert (await application.http.delete(path)).status_code == 423
    assert (await application.http.patch(path, json={"locked": False})).json()["locked"] is False
    assert (await application.http.delete(path)).json() == {"message": "Flow deleted successfully"}
    assert (await application.http.delete(path)).status_code == 404


async def test_a_change_of_an_older_version_is_refused(application: Application) -> None:
    flow = await make(application, data=flows.echo())
    path = f"/api/v1/flows/{flow['id']}"
    old = {"If-Match": flow["version_token"]}
    changed = await application.http.patch(path, json={"data": {"nodes": [], "edges": []}}, headers=old)
    assert changed.status_code == 200
    assert changed.json()["version_token"] != flow["version_token"]
    stale = await application.http.patch(path, json={"description": "x"}, headers=old)
    assert stale.status_code == 409
    detail = stale.json()["detail"]
    assert " ".join(detail) == "code message flow_id expected_version_token current_version_token modified_by modified_at"
    assert (detail["expected_version_token"], detail["current_version_token"]) == (flow["version_token"], changed.json()["version_token"])
    assert (detail["flow_id"], detail["modified_at"]) == (flow["id"], changed.json()["updated_at"])
    assert detail["modified_by"] == {"id": application.caller.user_id, "username": "ada"}
    assert (await application.http.put(path, json={"name": "x"}, headers=old)).status_code == 409
    assert (await application.http.delete(path, headers=old)).status_code == 409
    assert (
        await application.http.patch(path, json={"description": "x"}, headers={"If-Match": changed.json()["version_token"]})
    ).status_code == 200
    assert (await application.http.patch(path, json={"description": "x"}, headers={"If-Match": "nonsense"})).status_code == 400
    other = await make(application, name="another")
    assert (await application.http.patch(path, json={}, headers={"If-Match": other["version_token"]})).status_code == 409
    assert (await application.http.delete(path, headers={"If-Match": changed.json()["version_token"]})).status_code == 200


async def test_flows_are_listed_whole_as_headers_and_in_pages(application: Application) -> None:
    for name in ("a", "b", "c"):
        await make(application, name=name, data=flows.echo())
    mine = {"a", "b", "c"}
    whole = (await application.http.get("/api/v1/flows/")).json()
    assert mine <= {flow["name"] for flow in whole}
    headers = (await application.http.get("/api/v1/flows/", params={"header_flows": "true"})).json()
    assert list(headers[0]) == [
        "id", "name", "folder_id", "is_component", "endpoint_name", "description", "data", "access_type", "tags", "mcp_enabled",
        "flow_type", "a2a_enabled", "a2a_card_overrides", "action_name", "action_description", "updated_at",
    ]  # fmt: skip
    assert {flow["data"] for flow in headers} == {None}
    page = (await application.http.get("/api/v1/flows/", params={"get_all": "false", "size": 2})).json()
    assert (len(page["items"]), page["total"], page["size"]) == (2, len(whole), 2)
    assert (await application.http.get("/api/v1/flows/", params={"get_all": "false", "size": 101})).status_code == 422
    assert not mine & {flow["name"] for flow in (await application.stranger.get("/api/v1/flows/")).json()}


async def test_several_flows_are_deleted_at_once(application: Application) -> None:
    ids = [(await make(application))["id"] for _ in range(2)]
    answer = await application.http.request("DELETE", "/api/v1/flows/", json=[*ids, str(uuid4())])
    assert answer.json() == {"deleted": 2}


async def test_files_of_flows_are_imported(application: Application) -> None:
    one, two = {"name": "one", "data": flows.echo()}, {"name": "two", "data": {"nodes": [], "edges": []}}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.json", json.dumps(one))
        archive.writestr("deep/b.json", json.dumps(two))
    for content, names in (
        (json.dumps(one).encode(), ["one"]),
        (json.dumps({"flows": [two]}).encode(), ["two"]),
        (packed.getvalue(), ["one (1)", "two (1)"]),
    ):
        answer = await application.http.post("/api/v1/flows/upload/", **upload(content))
        assert (answer.status_code, [flow["name"] for flow in answer.json()]) == (201, names)


async def test_an_upload_replaces_a_flow_of_ones_own_and_takes_a_new_id_beside_somebody_elses(application: Application) -> None:
    flow = await make(application)
    again = json.dumps({"id": flow["id"], "name": "renamed", "data": flows.echo()}).encode()
    mine = (await application.http.post("/api/v1/flows/upload/", **upload(again))).json()
    assert [(each["id"], each["name"]) for each in mine] == [(flow["id"], "renamed")]
    theirs = (await application.stranger.post("/api/v1/flows/upload/", **upload(again))).json()
    assert theirs[0]["id"] != flow["id"]


async def test_an_upload_goes_to_the_project_that_is_named(application: Application) -> None:
    project = (await application.http.post("/api/v1/projects/", json={"name": "P"})).json()
    answer = await application.http.post("/api/v1/flows/upload/", params={"folder_id": project["id"]}, **upload(b'{"name": "f"}'))
    assert answer.json()[0]["folder_id"] == project["id"]


async def test_an_upload_that_is_no_file_of_flows_is_refused(application: Application) -> None:
    async def status(content: bytes) -> int:
        answer = await application.http.post("/api/v1/flows/upload/", **upload(content))
        assert isinstance(answer.json()["detail"], str | list)
        return answer.status_code

    assert [await status(content) for content in (b"", b"{oops", b"[1]", b"PK\x03\x04x")] == [400, 400, 422, 400]
    twins = json.dumps({"flows": [{"id": str(uuid4()), "name": "a"}] * 2}).encode()
    assert await status(twins) == 422
    assert (await application.http.post("/api/v1/flows/upload/", content=b"{}")).status_code == 400
    assert (await application.http.post("/api/v1/flows/upload/", files={"other": ("f", b"{}")})).status_code == 400


async def test_a_report_names_every_node(application: Application) -> None:
    data = flows.document([flows.chat_input(), flows.node("NoSuchComponent", "NoSuchComponent-1")], [])
    flow = await make(application, data=data)
    report = (await application.http.get(f"/api/v1/flows/{flow['id']}/report")).json()
    assert list(report) == ["nodes", "edges", "problems"]
    assert {node["id"]: node["status"] for node in report["nodes"]} == {"ChatInput-in": "native", "NoSuchComponent-1": "code"}
    assert all(set(node) == {"id", "type", "status", "component", "reason", "hint"} for node in report["nodes"])
    empty = await make(application)
    assert (await application.http.get(f"/api/v1/flows/{empty['id']}/report")).json() == {"nodes": [], "edges": [], "problems": []}


async def refused(application: Application, body: Any) -> httpx.Response:
    """Create and, if it was taken, run: neither may be a 5xx."""
    created = await application.http.post("/api/v1/flows/", content=body if isinstance(body, bytes) else json.dumps(body).encode())
    if created.status_code != 201:
        return created
    return await application.http.post(f"/api/v1/run/{created.json()['id']}", json={"input_value": "x"})


async def test_a_flow_of_too_many_nodes_is_refused(application: Application) -> None:
    nodes = [{"id": f"N-{number}", "data": {"id": f"N-{number}", "type": "N", "node": {"template": {}}}} for number in range(10_001)]
    answer = await refused(application, {"name": "wide", "data": {"nodes": nodes, "edges": []}})
    assert answer.status_code == 422
    assert "10,000" in answer.text or "10000" in answer.text


async def test_a_name_of_a_megabyte_is_refused(application: Application) -> None:
    assert (await refused(application, {"name": "n" * 1_000_000})).status_code == 422
    huge_id = flows.document([flows.chat_input("ChatInput-" + "x" * 1_000_000)], [])
    assert (await refused(application, {"name": "f", "data": huge_id})).status_code in (200, 422)


async def test_two_nodes_of_one_id_are_refused_with_the_id(application: Application) -> None:
    twins = flows.document([flows.chat_input("ChatInput-same"), flows.chat_output("ChatInput-same")], [])
    answer = await refused(application, {"name": "twins", "data": twins})
    assert answer.status_code == 422
    assert "ChatInput-same" in answer.text


async def test_odd_documents_are_never_a_5xx(application: Application) -> None:
    bodies: list[Any] = [
        b'{"name": "deep", "data": ' + b'{"a":' * 190 + b"1" + b"}" * 190 + b"}",
        b'{"name": "deeper", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"name": "\\ud800"}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "x", "data": {"nodes": [], "edges": [], "n": NaN}}',
        b'{"name": "x", "data": {"nodes": [], "edges": [], "n": 1e999}}',
        b'{"name": "x", "data": {"nodes": [], "edges": [], "n": ' + b"9" * 4_000 + b"}}",
        b'{"name": "x", "data": {"nodes": [], "edges": [], "n": ' + b"9" * 10_000 + b"}}",
        b'{"name": 7}',
        b'{"name": ""}',
        b"[]",
        b"null",
        b"\xff\xfe",
        {"name": "x", "data": {"nodes": {}, "edges": []}},
        {"name": "x", "data": {"nodes": [1, None, "a", []], "edges": [1, None]}},
        {"name": "x", "data": {"nodes": [{"id": 1}], "edges": [{"source": {}, "target": []}]}},
        {"name": "x", "data": {"nodes": [{"id": "a", "data": {"node": 3}}], "edges": []}},
        {"name": "x", "data": {"nodes": [{"id": "a", "data": {"type": [], "node": {"template": [], "outputs": {}}}}], "edges": []}},
        {"name": "x", "tags": [1]},
        {"name": "x", "id": "not-a-uuid"},
        {"name": "x", "id": "886313e1-3b8a-5372-9b90-0c9aee199e5d"},
        {"name": "x", "icon_bg_color": "red"},
    ]
    for body in bodies:
        answer = await refused(application, body)
        assert answer.status_code < 500, (body[:100] if isinstance(body, bytes) else body, answer.text[:300])


async def test_a_body_over_the_limit_is_413(application: Application) -> None:
    answer = await application.http.post("/api/v1/flows/", content=b'{"name": "' + b"x" * (16 * 1024 * 1024) + b'"}')
    assert answer.status_code == 413
    assert "detail" in answer.json()
