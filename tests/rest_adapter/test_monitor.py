"""Looking back at builds, messages and transactions: whose they are, what they show, what can be corrected."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests import flow_documents as flows
from tests.application import Application
from tests.rest_adapter.test_build import BUILD_KEYS, DATA_KEYS, HELLO, direct, failing, made, prompted, started, waiting
from tests.rest_adapter.test_public_build import build as visit

NOBODYS = "00000000-0000-4000-8000-000000000000"
MESSAGES = "/api/v1/monitor/messages"


async def test_kept_builds_look_as_the_build_told_them(application: Application) -> None:
    flow_id = await made(application, prompted())
    events = await direct(application, flow_id)
    told = {event["data"]["build_data"]["id"]: event["data"]["build_data"] for event in events if event["event"] == "end_vertex"}
    kept = (await application.http.get("/api/v1/monitor/builds", params={"flow_id": flow_id})).json()["vertex_builds"]
    assert list(kept) == list(told)
    for id, (build,) in kept.items():
        assert (build["params"], build["valid"], build["artifacts"]) == (told[id]["params"], True, told[id]["data"]["artifacts"])
        assert list(build["data"]) == DATA_KEYS
        same = ("outputs", "logs", "message", "artifacts", "timedelta", "duration")
        assert {key: build["data"][key] for key in same} == {key: told[id]["data"][key] for key in same}
        assert build["data"]["results"] == told[id]["data"]["results"]
    assert set(BUILD_KEYS) - {"data"} >= {"id", "params", "valid"}


async def test_a_build_that_failed_is_kept_with_its_reason(application: Application) -> None:
    flow_id = await made(application, failing())
    await direct(application, flow_id)
    kept = (await application.http.get("/api/v1/monitor/builds", params={"flow_id": flow_id})).json()["vertex_builds"]
    assert (kept["Fail-f"][0]["valid"], kept["Fail-f"][0]["params"]) == (False, "no luck")


async def test_the_page_keeps_with_a_message_how_it_is_shown(application: Application) -> None:
    flow_id = await made(application, flows.echo())
    await direct(application, flow_id)
    message = (await application.http.get(MESSAGES, params={"flow_id": flow_id, "sender": "Machine"})).json()[0]
    # As the editor does after a run: the whole message as it was listed, with the build's duration added.
    whole = {**message, "properties": {**message["properties"], "build_duration": 1.5, "positive_feedback": True, "surprise": 1}}
    changed = (await application.http.put(f"{MESSAGES}/{message['id']}", json=whole)).json()
    assert (changed["edit"], changed["files"], changed["text"]) == (False, [], "hello")
    assert (changed["properties"]["build_duration"], changed["properties"]["positive_feedback"]) == (1.5, True)
    assert "surprise" not in changed["properties"] and list(changed["properties"]) == list(message["properties"])
    again = (await application.http.get(MESSAGES, params={"flow_id": flow_id, "sender": "Machine"})).json()[0]
    assert again["properties"] == changed["properties"]
    noted = await application.http.put(f"{MESSAGES}/{message['id']}", json={"session_metadata": {"note": "x", "graph_run_id": "forged"}})
    assert noted.json()["session_metadata"] == {"note": "x", **message["session_metadata"]}


async def test_only_files_of_its_flow_can_be_put_to_a_message(application: Application) -> None:
    flow_id = await made(application, flows.echo())
    await direct(application, flow_id)
    message = (await application.http.get(MESSAGES, params={"flow_id": flow_id})).json()[0]
    path = f"{MESSAGES}/{message['id']}"
    mine = f"{flow_id}/a.png"
    assert (await application.http.put(path, json={"files": [mine]})).json()["files"] == [mine]
    for wrong in (f"{uuid4()}/a.png", "/etc/passwd", f"{flow_id}/../x", "http://example.org/x"):
        answer = await application.http.put(path, json={"files": [wrong]})
        assert (answer.status_code, list(answer.json())) == (400, ["detail"])
    assert (await application.http.put(path, json={"files": "[]"})).json()["files"] == []


@pytest.mark.parametrize(
    "properties", [{"source": "x"}, {"source": {"id": 5}}, {"state": "odd"}, {"icon": 5}, {"usage": "x"}, {"targets": ["x" * 200_000]}]
)
async def test_properties_that_no_page_could_show_are_422(application: Application, properties: dict[str, Any]) -> None:
    flow_id = await made(application, flows.echo())
    await direct(application, flow_id)
    message = (await application.http.get(MESSAGES, params={"flow_id": flow_id})).json()[0]
    assert (await application.http.put(f"{MESSAGES}/{message['id']}", json={"properties": properties})).status_code == 422
    assert (await application.http.get(MESSAGES, params={"flow_id": flow_id})).json()[0] == message


async def test_a_session_id_may_come_encoded_twice(application: Application) -> None:
    flow_id = await made(application, flows.echo())
    await direct(application, flow_id, json={"inputs": {"input_value": "x", "session": "New Session 0"}})
    for written in ("New%20Session%200", "New%2520Session%25200"):
        found = (await application.http.get(f"{MESSAGES}?flow_id={flow_id}&session_id={written}")).json()
        assert len(found) == 2
    assert (await application.http.get(MESSAGES, params={"session_id": ""})).json() == []
    assert (await application.http.get(MESSAGES, params={"end_user_id": "somebody"})).json() == []


async def test_a_user_reads_what_was_said_to_somebodys_public_flow(application: Application) -> None:
    flow_id = await made(application, flows.echo(), access_type="PUBLIC")
    await visit(application.stranger, flow_id)
    await visit(application.http, flow_id)
    path, query = f"{MESSAGES}/shared", {"source_flow_id": flow_id}
    found = (await application.stranger.get(path, params=query)).json()
    assert [message["text"] for message in found] == ["hello", "hello"]
    assert len({message["flow_id"] for message in found}) == 1 and UUID(found[0]["flow_id"]) != UUID(flow_id)
    assert found[0]["session_id"] == f"{found[0]['flow_id']}:s1"
    assert len((await application.stranger.get(path, params={**query, "session_id": "s1"})).json()) == 2
    assert (await application.stranger.get(path, params={**query, "session_id": "other"})).json() == []
    assert (await application.http.get(path, params={"source_flow_id": NOBODYS})).json() == []
    assert (await application.stranger.get(MESSAGES)).json() == []
    public = (await application.nobody.get(f"/api/v1/flows/public_flow/{flow_id}")).json()
    assert public["public_access"] == {"can_read": True, "can_execute": True}


async def test_the_job_queue_counts_the_builds_that_are_going_on(application: Application) -> None:
    assert (await application.http.get("/api/v1/monitor/job_queue")).json() == {"backend": "memory", "active_jobs": 0}
    job = await started(application, await made(application, waiting()))
    assert (await application.http.get("/api/v1/monitor/job_queue")).json()["active_jobs"] == 1
    await application.http.post(f"/api/v1/build/{job}/cancel")
    await application.http.get(f"/api/v1/build/{job}/events")
    assert (await application.http.get("/api/v1/monitor/job_queue")).json()["active_jobs"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "place"),
    [
        ("GET", "builds", None, 422, ["query", "flow_id"]),
        ("DELETE", "builds", None, 422, ["query", "flow_id"]),
        ("GET", "messages?flow_id=x", None, 422, ["query", "flow_id"]),
        ("GET", "messages?order_by=secret", None, 400, None),
        ("GET", "messages?order=UP", None, 400, None),
        ("GET", "transactions", None, 422, ["query", "flow_id"]),
        ("GET", "messages/shared", None, 422, ["query", "source_flow_id"]),
        ("PATCH", "messages/session/s1", None, 422, ["query", "new_session_id"]),
        ("PATCH", "messages/session/none?new_session_id=q", None, 404, None),
        ("PUT", f"messages/{NOBODYS}", {"text": "x"}, 404, None),
        ("DELETE", "messages", ["x"], 422, ["body", 0]),
        ("DELETE", f"builds?flow_id={NOBODYS}", None, 204, None),
        ("DELETE", "messages", [NOBODYS], 204, None),
        ("DELETE", "messages/session/none", None, 204, None),
    ],
)
async def test_what_a_monitor_route_refuses_and_passes_over(
    application: Application, method: str, path: str, body: Any, status: int, place: list[Any] | None
) -> None:
    answer = await application.http.request(method, f"/api/v1/monitor/{path}", json=body)
    assert answer.status_code == status
    if place is not None:
        assert answer.json()["detail"][0]["loc"] == place
    elif status != 204:
        assert list(answer.json()) == ["detail"]


async def test_nothing_of_the_monitor_is_anybody_elses(application: Application) -> None:
    flow_id = await made(application, flows.echo())
    await direct(application, flow_id, json=HELLO)
    message = (await application.http.get(MESSAGES)).json()[0]
    tries = (
        ("PUT", f"messages/{message['id']}", {"text": "x"}),
        ("PATCH", "messages/session/s1?new_session_id=mine", None),
        ("DELETE", "messages", [message["id"]]),
        ("DELETE", "messages/session/s1", None),
        ("DELETE", "messages/sessions", ["s1"]),
        ("DELETE", f"builds?flow_id={flow_id}", None),
    )
    for method, path, body in tries:
        assert (await application.nobody.request(method, f"/api/v1/monitor/{path}", json=body)).status_code == 403
        assert (await application.stranger.request(method, f"/api/v1/monitor/{path}", json=body)).status_code in (200, 204, 404)
    assert (await application.http.get(MESSAGES)).json()[0] == message
    assert (await application.http.get("/api/v1/monitor/builds", params={"flow_id": flow_id})).json()["vertex_builds"]
    for path in (f"builds?flow_id={flow_id}", f"transactions?flow_id={flow_id}", "messages", "messages/sessions"):
        theirs = (await application.stranger.get(f"/api/v1/monitor/{path}")).json()
        assert theirs in ([], {"vertex_builds": {}}, {"items": [], "total": 0, "page": 1, "size": 50, "pages": 0})
