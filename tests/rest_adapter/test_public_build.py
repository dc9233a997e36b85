"""Builds of public flows by anybody: the stored graph, in sessions of the visitor's own, with nothing else of the owner's."""

import json
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid4, uuid5

import httpx
import pytest

from tests import flow_documents as flows
from tests.application import Application, browser, open_application

HELLO = {"inputs": {"input_value": "hello", "session": "s1"}}


def visitor(application: Application, client_id: str = "tab-1") -> httpx.AsyncClient:
    return browser(application.app, cookies={"client_id": client_id})


async def made(application: Application, document: dict[str, Any], *, access: str = "PUBLIC", name: str = "f") -> str:
    answer = await application.http.post("/api/v1/flows/", json={"name": name, "data": document, "access_type": access})
    return str(answer.json()["id"])


async def build(client: httpx.AsyncClient, flow_id: str, body: Any = HELLO, **options: Any) -> httpx.Response:
    return await client.post(f"/api/v1/build_public_tmp/{flow_id}/flow", params={"event_delivery": "direct"}, json=body, **options)


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.split("\n") if line.strip()]


async def test_a_visitor_talks_to_a_public_flow_in_a_space_of_its_own(application: Application) -> None:
    flow_id = await made(application, flows.echo())
    events = events_of(await build(visitor(application), flow_id))
    space = str(uuid5(NAMESPACE_DNS, f"client:tab-1_{flow_id}"))
    messages = [event["data"] for event in events if event["event"] == "add_message"]
    assert [(each["text"], each["session_id"], each["flow_id"]) for each in messages] == [("hello", f"{space}:s1", space)] * 2
    ends = [event["data"]["build_data"] for event in events if event["event"] == "end_vertex"]
    assert {end["data"]["results"]["message"]["flow_id"] for end in ends} == {space}
    assert flow_id not in json.dumps(events).replace(space, "")
    again = events_of(await build(visitor(application), flow_id, {"inputs": {"input_value": "x", "session": f"{space}:s1"}}))
    assert again[2]["data"]["session_id"] == f"{space}:s1"
    other = events_of(await build(visitor(application, "tab-2"), flow_id, {"inputs": {"input_value": "x", "session": f"{space}:s1"}}))
    assert not other[2]["data"]["session_id"].startswith(space)
    without = events_of(await build(visitor(application), flow_id, {"inputs": {"input_value": "x"}}))
    assert without[2]["data"]["session_id"] == space


async def test_the_jobs_of_visitors_are_their_own(application: Application) -> None:
    flow_id = await made(application, flows.echo())
    client = visitor(application)
    answer = await client.post(f"/api/v1/build_public_tmp/{flow_id}/flow", json=HELLO)
    job = answer.json()["job_id"]
    assert UUID(job)
    events = events_of(await client.get(f"/api/v1/build_public_tmp/{job}/events"))
    assert events[-1]["event"] == "end"
    cancelled = await client.post(f"/api/v1/build_public_tmp/{job}/cancel")
    assert cancelled.json()["success"] is True
    for stranger in (visitor(application, "tab-2"), application.nobody):
        for method, name in (("GET", "events"), ("POST", "cancel")):
            answer = await stranger.request(method, f"/api/v1/build_public_tmp/{job}/{name}")
            assert (answer.status_code, list(answer.json())) == (404, ["detail"])
    assert (await application.http.get(f"/api/v1/build/{job}/events")).status_code == 404


async def test_a_private_flow_an_unknown_one_and_a_visitor_without_an_id_are_refused(application: Application) -> None:
    private = await made(application, flows.echo(), access="PRIVATE")
    for flow_id in (private, str(uuid4())):
        answer = await build(visitor(application), flow_id)
        assert (answer.status_code, list(answer.json())) == (404, ["detail"])
    public = await made(application, flows.echo(), name="g")
    for client in (application.nobody, visitor(application, "x" * 257)):
        answer = await build(client, public)
        assert answer.status_code == 400 and "client_id" in answer.json()["detail"]
    await application.http.patch(f"/api/v1/flows/{public}", json={"access_type": "PRIVATE"})
    assert (await build(visitor(application), public)).status_code == 404


async def test_a_graph_that_a_visitor_sends_along_is_not_looked_at(application: Application, tmp_path: Any) -> None:
    flow_id = await made(application, flows.echo())
    mark = tmp_path / "ran"
    node = flows.node("CustomThing", "Custom-1", edited=True)
    node["data"]["node"]["template"]["code"]["value"] = f"open({str(mark)!r}, 'w').close()"
    events = events_of(await build(visitor(application), flow_id, {**HELLO, "data": flows.document([node], [])}))
    assert events[0]["data"]["to_run"] == ["ChatInput-in", "ChatOutput-out"] and not mark.exists()


async def test_a_user_who_logged_in_needs_no_cookie_and_is_a_visitor_of_others_flows(application: Application) -> None:
    flow_id = await made(application, flows.echo())
    me = (await application.stranger.get("/api/v1/users/whoami")).json()["id"]
    space = str(uuid5(NAMESPACE_DNS, f"user:{me}_{flow_id}"))
    public = events_of(await build(application.stranger, flow_id))
    assert public[2]["data"]["session_id"] == f"{space}:s1"
    known = await application.stranger.post(f"/api/v1/build/{flow_id}/flow", params={"event_delivery": "direct"}, json=HELLO)
    assert events_of(known)[2]["data"]["session_id"] == f"{space}:s1"


async def test_nothing_private_of_the_owner_is_within_a_visitors_reach(application: Application) -> None:
    await application.http.post("/api/v1/variables/", json={"name": "SECRET", "value": "hush", "type": "Credential", "default_fields": []})
    await made(application, flows.echo(), access="PRIVATE", name="inner")
    bound = flows.document([flows.text_input(text={"value": "SECRET", "load_from_db": True}), flows.text_output()], [])  # type: ignore[arg-type]
    bound["nodes"][0]["data"]["node"]["template"]["input_value"] |= {"value": "SECRET", "load_from_db": True}
    coded = flows.document([flows.node("CustomThing", "Custom-1", edited=True)], [])
    for name, document in (("other flows", flows.running("inner")), ("a credential", bound), ("code", coded)):
        answer = await build(visitor(application), await made(application, document, name=name))
        assert answer.status_code == 400, name
        assert "hush" not in answer.text and "inner" not in answer.text
    flow_id = await made(application, flows.echo(), name="files")
    for path in ("secret.txt", f"{uuid4()}/x.txt"):
        assert (await build(visitor(application), flow_id, {**HELLO, "files": [path]})).status_code == 400


async def test_headers_set_no_variables_for_visitors(application: Application) -> None:
    document = flows.document(
        [flows.text_input(), flows.text_output()], [flows.edge("TextInput-in", "TextOutput-out", "input_value", output="text")]
    )
    document["nodes"][0]["data"]["node"]["template"]["input_value"] |= {"value": "PLAIN", "load_from_db": True}
    await application.http.post("/api/v1/variables/", json={"name": "PLAIN", "value": "stored", "type": "Generic", "default_fields": []})
    answer = await build(visitor(application), await made(application, document), headers={"x-langflow-global-var-plain": "sent"})
    assert "stored" in answer.text and "sent" not in answer.text


async def test_a_visitor_can_run_a_flow_only_so_often(tmp_path: Any) -> None:
    async with open_application(tmp_path / "data", public_builds_per_minute=1) as application:
        flow_id = await made(application, flows.echo())
        assert (await build(visitor(application), flow_id)).status_code == 200
        refused = await build(visitor(application), flow_id)
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
        statuses = [(await build(visitor(application, f"other-{n}"), flow_id)).status_code for n in range(5)]
        assert statuses == [200, 200, 200, 200, 429]  # ids are made up easily, so the address counts too


@pytest.mark.parametrize("path", ["/api/v1/build_public_tmp/x/events", "/api/v1/build_public_tmp/x/cancel"])
async def test_an_id_that_is_none_is_a_missing_job(application: Application, path: str) -> None:
    method = "GET" if path.endswith("events") else "POST"
    assert (await visitor(application).request(method, path)).status_code == 404
