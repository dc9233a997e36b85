"""`/run`, `/webhook` and `/runs`, through the real application."""

import json
import re
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.application import Application

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} UTC")


async def make(application: Application, data: dict[str, Any], **further: Any) -> str:
    created = await application.http.post("/api/v1/flows/", json={"name": "made for a test", "data": data, **further})
    assert created.status_code == 201, created.text
    return str(created.json()["id"])


async def test_an_echo_answers_in_the_known_shape(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "hello"})
    body = answer.json()
    assert list(body) == ["session_id", "outputs"]
    assert body["session_id"] == flow_id
    (entry,) = body["outputs"]
    assert entry["inputs"] == {"input_value": "hello"}
    (vertex,) = entry["outputs"]
    message = vertex["results"]["message"]
    assert TIMESTAMP.fullmatch(message["timestamp"])
    assert message["data"]["run_id"] == message["session_metadata"]["graph_run_id"] == answer.headers["x-headwater-run-id"]
    assert (message["sender"], message["sender_name"], message["text"], message["flow_id"]) == ("Machine", "AI", "hello", flow_id)
    assert message["properties"]["source"] == {"id": "ChatInput-in", "display_name": "Chat Input", "source": "Chat Input"}
    assert vertex["component_display_name"] == "Chat Output"
    assert vertex["messages"][0] == {
        "message": "hello",
        "sender": "Machine",
        "sender_name": "AI",
        "session_id": flow_id,
        "stream_url": None,
        "component_id": "ChatOutput-out",
        "files": [],
        "type": "text",
    }


async def test_a_text_output_was_never_stored_and_says_so(application: Application) -> None:
    typed = flows.document(
        [flows.text_input(text="kept"), flows.text_output()], [flows.edge("TextInput-in", "TextOutput-out", "input_value", output="text")]
    )
    body = (await application.http.post(f"/api/v1/run/{await make(application, typed)}", json={"output_type": "text"})).json()
    (vertex,) = body["outputs"][0]["outputs"]
    result = vertex["results"]["text"]
    assert (result["text"], result["sender"], result["run_id"], result["session_metadata"], result["session_id"]) == (
        "kept",
        None,
        None,
        None,
        "",
    )
    assert vertex["artifacts"] == {"text": {"repr": "kept", "raw": "kept", "type": "text"}}
    assert vertex["messages"][0]["sender"] == "Machine"


async def test_a_flow_is_found_by_its_endpoint_name(application: Application) -> None:
    flow_id = await make(application, flows.echo(), endpoint_name="my-echo")
    body = (await application.http.post("/api/v1/run/my-echo", json={"input_value": "hi", "session_id": "S"})).json()
    assert (body["session_id"], body["outputs"][0]["outputs"][0]["results"]["message"]["flow_id"]) == ("S", flow_id)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b'{"input_value": "hi"}', {}),
        (b'{"input_value": "hi"}', {"content-type": "application/json; charset=utf-8"}),
        (b'{"input_value": "hi"}', {"content-type": "text/plain"}),
        (b'{"input_value": "hi"}', {"content-type": "application/x-www-form-urlencoded"}),
        (b'{"input_request": {"input_value": "hi"}, "context": {}}', {"content-type": "application/json"}),
        (b'{"input_value": "hi", "no_such_field": 1, "user_id": "u"}', {"content-type": "application/json"}),
    ],
)
async def test_the_request_is_read_under_any_content_type(application: Application, content: bytes, headers: dict[str, str]) -> None:
    flow_id = await make(application, flows.echo())
    answer = await application.http.post(f"/api/v1/run/{flow_id}", content=content, headers=headers)
    assert answer.json()["outputs"][0]["inputs"] == {"input_value": "hi"}


async def test_the_request_may_be_a_multipart_form(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    form = {"input_value": (None, "hi"), "tweaks": (None, '{"ChatOutput-out": {"sender_name": "Bob"}}')}
    body = (await application.http.post(f"/api/v1/run/{flow_id}", files=form)).json()
    assert body["outputs"][0]["outputs"][0]["messages"][0]["sender_name"] == "Bob"


async def test_a_form_that_cannot_be_read_is_a_bad_request(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=b"):
        answer = await application.http.post(f"/api/v1/run/{flow_id}", content=b"{}", headers={"content-type": content_type})
        assert (answer.status_code, set(answer.json())) == (400, {"detail"}), answer.text


async def test_no_body_and_an_empty_one_run_with_what_is_stored(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    requests: list[dict[str, Any]] = [{}, {"json": {}}, {"json": {"input_value": None}}]
    for sent in requests:
        answer = await application.http.post(f"/api/v1/run/{flow_id}", **sent)
        assert (answer.status_code, answer.json()["outputs"][0]["inputs"]) == (200, {})


async def test_a_null_is_the_same_as_left_out(application: Application) -> None:
    """Typed clients send one for every field that they have no value for."""
    flow_id = await make(application, flows.echo())
    names = ("input_type", "output_type", "output_component", "tweaks", "session_id", "user_id")
    run = await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "hello", **dict.fromkeys(names)})
    given = {"input_value": "hello", **dict.fromkeys(("components", "type", "session", "client_request_time"))}
    advanced = {"inputs": [given], **dict.fromkeys(("outputs", "tweaks", "session_id"))}
    ran = await application.http.post(f"/api/v1/run/advanced/{flow_id}", json=advanced)
    for answer in (run, ran):
        assert answer.status_code == 200, answer.text
        assert answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"] == "hello"
    build = {"inputs": given, "data": None, "files": None}
    built = await application.http.post(f"/api/v1/build/{flow_id}/flow", params={"event_delivery": "direct"}, json=build)
    assert (built.status_code, '"valid":true' in built.text) == (200, True)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"input_value": 3}, ["body", "input_value"]),
        ({"input_type": "voice"}, ["body", "input_type"]),
        ({"output_type": "none"}, ["body", "output_type"]),
        ({"tweaks": "x"}, ["body", "tweaks"]),
        ({"session_id": 1}, ["body", "session_id"]),
        ({"input_request": {"input_value": 3}}, ["body", "input_value"]),
        ([], ["body"]),
        ("text", ["body"]),
    ],
)
async def test_a_value_of_the_wrong_type_is_refused_with_its_place(application: Application, body: Any, place: list[str]) -> None:
    flow_id = await make(application, flows.echo())
    answer = await application.http.post(f"/api/v1/run/{flow_id}", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == place


async def test_the_same_input_twice_is_refused(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    body = {"input_value": "hello", "tweaks": {"ChatInput-in": {"input_value": "tweaked"}}}
    assert (await application.http.post(f"/api/v1/run/{flow_id}", json=body)).status_code == 400


async def test_a_refused_tweak_names_its_fields(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"tweaks": {"ChatInput-in": {"code": "x"}}})
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert (detail["error"], detail["code"], detail["fields"]) == ("Refused tweaks", "TWEAKS_REFUSED", ["code"])
    assert detail["message"]


async def test_a_tweak_that_reaches_nothing_is_named_in_a_warning(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    body = (await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "x", "tweaks": {"Nowhere-1": {"a": 1}}})).json()
    assert any("Nowhere-1" in warning for warning in body["warnings"])


async def test_a_flow_with_a_node_that_cannot_run_names_the_node(application: Application) -> None:
    broken = flows.document(
        [flows.chat_input(), flows.node("NoSuchComponent", "NoSuchComponent-1", {"input_value": ""}), flows.chat_output()],
        [flows.edge("ChatInput-in", "NoSuchComponent-1", "input_value"), flows.edge("NoSuchComponent-1", "ChatOutput-out", "input_value")],
    )
    flow_id = await make(application, broken)
    answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "x"})
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert detail["code"] == "FLOW_CANNOT_RUN"
    (node,) = detail["nodes"]
    assert (node["id"], node["type"]) == ("NoSuchComponent-1", "NoSuchComponent")
    assert node["reason"]


async def test_a_component_that_fails_answers_500_with_its_id_inside(application: Application) -> None:
    broken = flows.document([flows.node("HeadwaterTestFail", "HeadwaterTestFail-1", {"reason": "no luck"}, display_name="Breaker")], [])
    flow_id = await make(application, broken)
    answer = await application.http.post(f"/api/v1/run/{flow_id}", json={})
    assert answer.status_code == 500
    detail = json.loads(answer.json()["detail"])
    assert detail == {
        "message": "Error running graph: Error building Component Breaker: \n\nno luck",
        "traceback": None,
        "description": None,
        "code": None,
        "suggestion": None,
        "component_id": "HeadwaterTestFail-1",
        "component_type": "HeadwaterTestFail",
    }
    run = (await application.http.get(f"/api/v1/runs/{answer.headers['x-headwater-run-id']}")).json()
    assert (run["state"], run["error"]["component_id"]) == ("failed", "HeadwaterTestFail-1")


async def test_somebody_elses_flow_answers_as_a_missing_one(application: Application) -> None:
    flow_id = await make(application, flows.echo(), endpoint_name="mine")
    for path in (f"/api/v1/run/{flow_id}", "/api/v1/run/mine", f"/api/v1/webhook/{flow_id}"):
        foreign = await application.stranger.post(path, json={"input_value": "x"})
        missing = await application.stranger.post(path[:-1] + "0", json={"input_value": "x"})
        assert foreign.status_code == missing.status_code == 404
        assert set(foreign.json()) == set(missing.json()) == {"detail"}
    for path in (f"/api/v1/flows/{flow_id}", f"/api/v1/flows/{flow_id}/report"):
        assert (await application.stranger.get(path)).status_code == 404
    assert (await application.stranger.patch(f"/api/v1/flows/{flow_id}", json={"name": "taken over"})).status_code == 404
    assert (await application.stranger.put(f"/api/v1/flows/{flow_id}", json={"name": "taken over"})).status_code == 404
    assert (await application.stranger.request("DELETE", "/api/v1/flows/", json=[flow_id])).json() == {"deleted": 0}
    assert (await application.http.get(f"/api/v1/flows/{flow_id}")).json()["name"] == "made for a test"


async def test_a_session_token_runs_a_flow_too(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    token = (await application.nobody.post("/api/v1/login", data={"username": "ada", "password": "a-long-password"})).json()["access_token"]
    application.nobody.cookies.clear()
    answer = await application.nobody.post(f"/api/v1/run/{flow_id}", json={}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


async def test_a_webhook_is_accepted_with_the_id_of_its_run(application: Application) -> None:
    hook = flows.document([flows.node("Webhook", "Webhook-w", {"data": ""}, outputs=("output_data",))], [])
    flow_id = await make(application, hook, endpoint_name="hook")
    assert (await application.http.get(f"/api/v1/flows/{flow_id}")).json()["webhook"] is True
    for sent in ({"json": {"a": 1}}, {"content": b"plain", "headers": {"content-type": "text/plain"}}):
        answer = await application.http.post("/api/v1/webhook/hook", **sent)
        assert answer.status_code == 202
        body = answer.json()
        assert list(body) == ["message", "status", "run_id"]
        assert (body["message"], body["status"]) == ("Task started in the background", "in progress")
        seen = await application.http.get(f"/api/v1/runs/{body['run_id']}")
        assert (seen.status_code, seen.json()["kind"]) == (200, "webhook")
        assert (await application.stranger.get(f"/api/v1/runs/{body['run_id']}")).status_code == 404
        await application.services.invocations.wait_until_idle()
        assert (await application.http.get(f"/api/v1/runs/{body['run_id']}")).json()["state"] == "completed"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a\x00b"])
async def test_a_webhook_without_a_readable_payload_is_a_bad_request(application: Application, content: bytes) -> None:
    flow_id = await make(application, flows.echo())
    assert (await application.http.post(f"/api/v1/webhook/{flow_id}", content=content)).status_code == 400


async def test_a_run_that_is_not_going_on_cannot_be_cancelled(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    answer = await application.http.post(f"/api/v1/run/{flow_id}", json={})
    run_id = answer.headers["x-headwater-run-id"]
    assert (await application.http.post(f"/api/v1/runs/{run_id}/cancel")).status_code == 404


async def test_what_a_run_left_behind_can_be_looked_at_by_its_owner_only(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "hello", "session_id": "s"})
    query = {"flow_id": flow_id}
    messages = (await application.http.get("/api/v1/monitor/messages", params=query)).json()
    assert " ".join(messages[0]) == (
        "id flow_id timestamp sender sender_name session_id context_id text files edit duration properties category content_blocks "
        "session_metadata"
    )
    assert [(message["sender"], message["text"], message["files"]) for message in messages] == [
        ("User", "hello", "[]"),
        ("Machine", "hello", "[]"),
    ]
    assert TIMESTAMP.fullmatch(messages[0]["timestamp"])
    newest_first = (await application.http.get("/api/v1/monitor/messages", params={**query, "order": "DESC"})).json()
    assert [message["sender"] for message in newest_first] == ["Machine", "User"]
    assert (await application.http.get("/api/v1/monitor/messages", params={"order_by": "flow_id; drop"})).status_code == 400
    assert (await application.http.get("/api/v1/monitor/messages/sessions", params=query)).json() == ["s"]
    builds = (await application.http.get("/api/v1/monitor/builds", params=query)).json()["vertex_builds"]
    assert list(builds) == ["ChatInput-in", "ChatOutput-out"]
    assert " ".join(builds["ChatInput-in"][0]) == "timestamp artifacts params id flow_id build_id data valid job_id"
    page = (await application.http.get("/api/v1/monitor/transactions", params={**query, "size": 1})).json()
    assert (page["total"], page["pages"], len(page["items"])) == (2, 2, 1)
    assert " ".join(page["items"][0]) == "id timestamp vertex_id target_id inputs outputs status"
    for path in ("messages", "messages/sessions"):
        assert (await application.stranger.get(f"/api/v1/monitor/{path}", params=query)).json() == []
    assert (await application.stranger.get("/api/v1/monitor/builds", params=query)).json() == {"vertex_builds": {}}
    assert (await application.stranger.get("/api/v1/monitor/transactions", params=query)).json()["total"] == 0
    await application.stranger.request("DELETE", "/api/v1/monitor/messages", json=[message["id"] for message in messages])
    await application.stranger.delete("/api/v1/monitor/messages/session/s")
    assert len((await application.http.get("/api/v1/monitor/messages", params=query)).json()) == 2
    gone = await application.http.delete("/api/v1/monitor/messages/session/s")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await application.http.get("/api/v1/monitor/messages", params=query)).json() == []


async def test_an_advanced_run_answers_each_input_with_a_run_of_its_own(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    inputs = [{"input_value": "one", "type": "chat", "components": ["ChatInput-in"]}, {"input_value": "two", "session": "other"}]
    answer = await application.http.post(f"/api/v1/run/advanced/{flow_id}", json={"inputs": inputs, "outputs": ["Chat Output"]})
    body = answer.json()
    assert (answer.status_code, list(body), body["session_id"]) == (200, ["session_id", "outputs"], flow_id)
    assert [entry["inputs"] for entry in body["outputs"]] == [{"input_value": "one"}, {"input_value": "two"}]
    messages = [entry["outputs"][0]["results"]["message"] for entry in body["outputs"]]
    assert [(message["text"], message["session_id"]) for message in messages] == [("one", flow_id), ("two", "other")]
    assert answer.headers["x-headwater-run-id"].split(", ") == [message["run_id"] for message in messages]


async def test_an_advanced_run_without_inputs_has_an_empty_one_and_every_output(application: Application) -> None:
    flow_id = await make(application, flows.echo(), endpoint_name="plain-echo")
    requests: list[dict[str, Any]] = [{}, {"json": {}}, {"json": {"stream": True, "tweaks": {"ChatOutput-out": {"sender_name": "Bob"}}}}]
    for sent in requests:
        body = (await application.http.post("/api/v1/run/advanced/plain-echo", **sent)).json()
        (entry,) = body["outputs"]
        assert (entry["inputs"], [vertex["component_id"] for vertex in entry["outputs"]]) == ({"input_value": ""}, ["ChatOutput-out"])
    assert flow_id == body["session_id"]


async def test_an_advanced_run_fills_only_the_inputs_it_names(application: Application) -> None:
    both = flows.document(
        [flows.chat_input(text="stored chat"), flows.chat_output(), flows.text_input(text="stored text"), flows.text_output()],
        [
            flows.edge("ChatInput-in", "ChatOutput-out", "input_value"),
            flows.edge("TextInput-in", "TextOutput-out", "input_value", output="text"),
        ],
    )
    flow_id = await make(application, both)

    async def texts(**given: Any) -> list[str]:
        body = {"inputs": [{"input_value": "new", **given}], "outputs": ["ChatOutput-out", "TextOutput-out"]}
        answer = (await application.http.post(f"/api/v1/run/advanced/{flow_id}", json=body)).json()
        return [vertex["messages"][0]["message"] for vertex in answer["outputs"][0]["outputs"]]

    assert (await texts(type="chat"))[:1] == ["new"]
    assert "stored chat" in await texts(components=["Text Input"])
    assert "stored chat" in await texts(type="text")


async def test_an_advanced_run_goes_on_with_a_session_that_is_there_and_with_no_other(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    path = f"/api/v1/run/advanced/{flow_id}"
    unknown = await application.http.post(path, json={"session_id": "nope"})
    assert (unknown.status_code, set(unknown.json())) == (404, {"detail"})
    assert (await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "a", "session_id": "yes"})).status_code == 200
    known = await application.http.post(path, json={"session_id": "yes"})
    assert (known.status_code, known.json()["session_id"]) == (200, "yes")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"inputs": [{"input_value": "x", "bogus": 1}]}, ["body", "inputs", 0, "bogus"]),
        ({"inputs": [{"type": "voice"}]}, ["body", "inputs", 0, "type"]),
        ({"inputs": "x"}, ["body", "inputs"]),
        ({"outputs": [1]}, ["body", "outputs", 0]),
        ([], ["body"]),
    ],
)
async def test_an_advanced_run_refuses_wrong_values_with_their_place(application: Application, body: Any, place: list[Any]) -> None:
    flow_id = await make(application, flows.echo())
    answer = await application.http.post(f"/api/v1/run/advanced/{flow_id}", json=body)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, place)
    assert (await application.http.post("/api/v1/run/advanced/nothing", json={})).status_code == 404
    assert (await application.stranger.post(f"/api/v1/run/advanced/{flow_id}", json={})).status_code == 404
