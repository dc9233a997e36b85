"""What went wrong in software of this kind, tried on our REST face: one test for each mistake that no test of a part covers.

Two people, A (`application.http`, a superuser) and B (`application.stranger`); what A owns must answer B exactly as what is missing.
"""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from mcp_server.telemetry import configure_logging
from rest_adapter.v1 import ENDPOINTS
from tests import flow_documents as flows
from tests.application import Application, browser, open_application

# With an id that is nobody's these make something; with somebody else's they answer 404.
MADE_BY_PUT = {"/api/v1/flows/{flow_id}", "/api/v1/projects/{project_id}"}
MARK = "s3cret-marker-of-a-credential"
PAIR = {"username": "bob", "password": "another-password"}


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    """Refusals here come by the hundred, so what counts bad keys is told to be patient."""
    async with open_application(tmp_path, bad_keys_per_minute=10_000, logins_per_minute=1_000) as opened:
        yield opened


async def make(application: Application, data: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
    answer = await application.http.post("/api/v1/flows/", json={"name": f"flow {uuid4()}", "data": data or flows.echo(), **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def run(application: Application, flow: dict[str, Any], session_id: str = "x", **body: Any) -> httpx.Response:
    return await application.http.post(f"/api/v1/run/{flow['id']}", json={"input_value": "hello of A", "session_id": session_id, **body})


def same_refusal(foreign: httpx.Response, missing: httpx.Response, *ids: str) -> bool:
    """Whether two answers tell no difference but the ids that were asked for."""
    texts = []
    for answer in (foreign, missing):
        text = answer.text
        for id in ids:
            text = text.replace(id, "ID")
        texts.append((answer.status_code, text))
    return texts[0] == texts[1]


# Who may see or do what -------------------------------------------------------------------------------------------------------------


async def test_what_a_owns_answers_b_as_what_is_missing_on_every_route_with_an_id(
    application: Application, subtests: pytest.Subtests
) -> None:
    flow = await make(application)
    run_id = (await run(application, flow)).headers["x-headwater-run-id"]
    message = (await application.http.get("/api/v1/monitor/messages")).json()[0]["id"]
    variable = {"name": "V", "value": "x", "type": "Generic", "default_fields": []}
    ids = {
        "flow_id": flow["id"],
        "flow_id_or_name": flow["id"],
        "project_id": flow["folder_id"],
        "run_id": run_id,
        "message_id": message,
        "variable_id": (await application.http.post("/api/v1/variables/", json=variable)).json()["id"],
        "api_key_id": (await application.http.get("/api/v1/api_key/")).json()["api_keys"][0]["id"],
        "user_id": application.caller.user_id,
        "session_id": "x",
        "old_session_id": "x",
    }
    before = await everything_of(application)
    for record in ENDPOINTS:
        names = set(record.path_parameters) & set(ids)
        if not names or len(names) != len(record.path_parameters) or record.path.startswith("/api/v1/flows/public"):
            continue
        for method in record.methods:
            if method == "PUT" and record.path in MADE_BY_PUT:
                continue
            nobodys = dict.fromkeys(ids, str(uuid4())) | {"session_id": "y", "old_session_id": "y"}
            with subtests.test(f"{method} {record.path}"):
                foreign, missing = [
                    await application.stranger.request(
                        method,
                        record.path.replace(":path", "").format_map(chosen),
                        json=body_for(chosen),
                        params={"new_session_id": "z"},
                    )
                    for chosen in (ids, nobodys)
                ]
                assert same_refusal(foreign, missing, *ids.values(), *nobodys.values()), (foreign.text, missing.text)
    assert await everything_of(application) == before


def body_for(ids: dict[str, str]) -> dict[str, Any]:
    """Good for every change: what a route does not know it leaves out."""
    return {"id": ids["variable_id"], "name": "taken over", "value": "v", "text": "taken over", "username": "taken over"}


async def everything_of(application: Application) -> dict[str, Any]:
    """What A has, but for counts of uses."""
    http = application.http
    flows_read = (await http.get("/api/v1/flows/")).json()
    keys = (await http.get("/api/v1/api_key/")).json()["api_keys"]
    return {
        "flows": flows_read,
        "projects": (await http.get("/api/v1/projects/")).json(),
        "variables": (await http.get("/api/v1/variables/")).json(),
        "messages": (await http.get("/api/v1/monitor/messages")).json(),
        "keys": [key["id"] for key in keys],
        "me": (await http.get("/api/v1/users/whoami")).json()["username"],
    }


async def test_a_foreign_run_leaves_no_trace_under_any_name_of_the_flow(application: Application) -> None:
    flow = await make(application, endpoint_name="ours")
    for name in (flow["id"], flow["id"].upper(), "ours"):
        assert (await application.stranger.post(f"/api/v1/run/{name}", json={})).status_code == 404
        assert (await application.stranger.post(f"/api/v1/webhook/{name}", json={"a": 1})).status_code == 404
    for http in (application.http, application.stranger):
        assert (await http.get("/api/v1/runs")).json()["runs"] == []


async def test_lists_of_ids_pass_over_what_is_not_the_callers(application: Application) -> None:
    flow = await make(application)
    await run(application, flow)
    theirs = (await application.stranger.post("/api/v1/flows/", json={"name": "of B", "data": flows.echo()})).json()
    await application.stranger.post(f"/api/v1/run/{theirs['id']}", json={"input_value": "hello of B", "session_id": "x"})
    messages = [message["id"] for message in (await application.http.get("/api/v1/monitor/messages")).json()]
    own = [message["id"] for message in (await application.stranger.get("/api/v1/monitor/messages")).json()]
    gone = await application.stranger.request("DELETE", "/api/v1/monitor/messages", json=[*messages, *own])
    assert gone.status_code == 204
    assert (await application.stranger.get("/api/v1/monitor/messages")).json() == []
    assert [message["id"] for message in (await application.http.get("/api/v1/monitor/messages")).json()] == messages
    await application.stranger.request("DELETE", "/api/v1/monitor/messages/sessions", json=["x"])
    assert len((await application.http.get("/api/v1/monitor/messages", params={"session_id": "x"})).json()) == len(messages)
    both = await application.stranger.request("DELETE", "/api/v1/flows/", json=[flow["id"], theirs["id"]])
    assert both.json() == {"deleted": 1}
    assert (await application.http.get(f"/api/v1/flows/{flow['id']}")).status_code == 200


async def test_what_is_watched_of_a_flow_is_its_owners(application: Application) -> None:
    flow = await make(application)
    await run(application, flow)
    for path in ("messages", "builds", "transactions"):
        asked = {"flow_id": flow["id"]}
        assert "hello of A" in (await application.http.get(f"/api/v1/monitor/{path}", params=asked)).text
        strange = await application.stranger.get(f"/api/v1/monitor/{path}", params=asked)
        nobodys = await application.stranger.get(f"/api/v1/monitor/{path}", params={"flow_id": str(uuid4())})
        assert (strange.status_code, strange.json()) == (nobodys.status_code, nobodys.json())
    assert (await application.stranger.get("/api/v1/monitor/messages/sessions")).json() == []
    assert (await application.stranger.delete("/api/v1/monitor/builds", params={"flow_id": flow["id"]})).status_code == 204
    assert (await application.http.get("/api/v1/monitor/builds", params={"flow_id": flow["id"]})).json()["vertex_builds"]


async def test_owners_and_sessions_are_matched_whole_and_never_as_patterns(application: Application) -> None:
    flow = await make(application)
    sessions = ["alice", "alice_admin", "aliceXadmin", "a%", "a_", "%", "_"]
    for session in sessions:
        await run(application, flow, session)
    for session in sessions:
        found = (await application.http.get("/api/v1/monitor/messages", params={"session_id": session})).json()
        assert {message["session_id"] for message in found} == {session}
    await application.http.delete("/api/v1/monitor/messages/session/%25")
    await application.http.delete("/api/v1/monitor/messages/session/a_")
    assert set((await application.http.get("/api/v1/monitor/messages/sessions")).json()) == set(sessions) - {"%", "a_"}
    for name in ("alice", "alice_admin", "a%"):
        made = await application.http.post("/api/v1/users/", json={"username": name, "password": "a-long-password"})
        assert made.status_code == 201
    listed = (await application.http.get("/api/v1/users/", params={"search": "%"})).json()
    assert [user["username"] for user in listed["users"]] == ["a%"]
    paged: dict[str, str | int] = {"page": 1, "size": 10, "search": "_"}
    assert (await application.http.get(f"/api/v1/projects/{application.project_id}", params=paged)).json()["flows"]["total"] == 0


async def test_nobody_gives_themselves_more_than_they_have(application: Application) -> None:
    me = (await application.stranger.get("/api/v1/users/whoami")).json()
    path = f"/api/v1/users/{me['id']}"
    for body in ({"is_superuser": True}, {"is_superuser": True, "username": "bobby"}):
        assert (await application.stranger.patch(path, json=body)).status_code == 403
    for harmless in ({"role": "admin"}, {"id": application.caller.user_id}, {"scopes": "*", "user_id": application.caller.user_id}):
        assert (await application.stranger.patch(path, json=harmless)).status_code == 200
    made = await application.stranger.post(
        "/api/v1/api_key/", json={"name": "k", "is_superuser": True, "user_id": application.caller.user_id}
    )
    key = made.json()
    assert key["user_id"] == me["id"]
    headers = {"x-api-key": key["api_key"]}
    now = (await application.nobody.get("/api/v1/users/whoami", headers=headers)).json()
    assert (now["id"], now["is_superuser"], now["username"]) == (me["id"], False, "bob")
    assert (await application.nobody.get("/api/v1/users/", headers=headers)).status_code == 403


async def test_a_credential_that_begins_like_a_good_one_is_bad(application: Application) -> None:
    for headers in ({"x-api-key": application.key}, {"Authorization": f"Bearer {application.key}"}):
        assert (await application.nobody.get("/api/v1/users/whoami", headers=headers)).status_code == 200
    token = (await application.nobody.post("/api/v1/login", data=PAIR)).json()["access_token"]
    application.nobody.cookies.clear()
    assert (await application.nobody.get("/api/v1/users/whoami", headers={"Authorization": f"Bearer {token}"})).status_code == 200
    for wrong in (application.key[:-1], application.key + "A", application.key[:-1] + "\u00e9", application.key.upper()):
        answer = await application.nobody.get("/api/v1/users/whoami", headers={b"x-api-key": wrong.encode()})
        assert answer.status_code == 403, wrong
    head, claims, signature = token.split(".")
    for wrong in (token[:-2], token + "A", f"{head}.{claims}.", f"{head}.{claims}", f"{head}.{claims[:-4]}AAAA.{signature}"):
        answer = await application.nobody.get("/api/v1/users/whoami", headers={"Authorization": f"Bearer {wrong}"})
        assert answer.status_code == 401, wrong


async def test_what_a_caller_says_of_proxies_changes_nothing(application: Application, subtests: pytest.Subtests) -> None:
    for name in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip", "x-original-url"]:
        with subtests.test(name):
            plain = await application.nobody.get("/api/v1/flows/")
            forged = await application.nobody.get("/api/v1/flows/", headers={name: "127.0.0.1"})
            assert (forged.status_code, forged.json()) == (plain.status_code, plain.json()) == (403, plain.json())
            moved = await application.http.get("/api/v1/flows", headers={name: "evil.example"})
            assert moved.status_code == 307 and "evil" not in moved.headers["location"]


# Pages of others -------------------------------------------------------------------------------------------------------------------


async def test_another_sites_page_reads_and_changes_nothing_with_our_cookie(application: Application, subtests: pytest.Subtests) -> None:
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1:7860.evil.example",
        "http://127.0.0.1:7861",
        "http://evil127.0.0.1:7860",
        "file://",
    ]:
        with subtests.test(origin):
            async with browser(application.app) as page:
                assert (await page.post("/api/v1/login", data=PAIR)).status_code == 200
                preflight = await page.options(
                    "/api/v1/flows/",
                    headers={"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "x-a"},
                )
                read = await page.get("/api/v1/flows/", headers={"origin": origin})
                for answer in (preflight, read):
                    assert not [name for name in answer.headers if name.startswith("access-control-allow")]
                assert preflight.status_code >= 400
                assert (
                    await page.post("/api/v1/flows/", headers={"origin": origin}, json={"name": "of a foreign page"})
                ).status_code == 403
                assert (await page.delete("/api/v1/flows/", headers={"origin": origin})).status_code in (403, 422)
                assert (await page.get("/api/v1/flows/")).json() == []


# Files and paths -------------------------------------------------------------------------------------------------------------------


async def test_a_body_that_is_no_upload_is_415_whatever_paths_it_names(application: Application, subtests: pytest.Subtests) -> None:
    for path in ("/api/v1/flows/upload/", "/api/v1/projects/upload/"):
        for kind in ["application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/mixed; boundary=x"]:
            with subtests.test(f"{path} {kind}"):
                body = json.dumps({"filepath": "/etc/hostname", "path": "/etc/hostname", "file": "/etc/hostname"})
                answer = await application.http.post(path, content=body, headers={"content-type": kind})
                assert answer.status_code == 415
                assert set(answer.json()) == {"detail"}


ODD_PARTS = (
    "..%2f..%2fsecret_key",
    "%2e%2e%2fsecret_key",
    "..%5c..%5csecret_key",
    "%252e%252e%252fx",
    "a%00b",
    "%ff%fe",
    "a'--",
    "9" * 5_000,
)


async def test_odd_ids_in_paths_are_refused_and_reach_nothing(application: Application, subtests: pytest.Subtests) -> None:
    for record in [each for each in ENDPOINTS if each.path_parameters and "folders" not in each.path and "mcp/project" not in each.path]:
        for method in record.methods:
            for part in ODD_PARTS:
                with subtests.test(f"{method} {record.path} {part[:24]}"):
                    address = record.path
                    for name in record.path_parameters:
                        address = address.replace(f"{{{name}:path}}", part).replace(f"{{{name}}}", part)
                    answer = await application.http.request(method, address, json={}, params={"new_session_id": "z"})
                    # A session may have any name, and to forget one that is not there is no error.
                    is_session = "session_id}" in record.path and method == "DELETE"
                    assert answer.status_code in ((204,) if is_session else ()) or 400 <= answer.status_code < 500, answer.text
                    assert "BEGIN" not in answer.text and len(answer.text) < 8_000


# Secrets ---------------------------------------------------------------------------------------------------------------------------


async def test_a_credential_is_nowhere_but_in_its_field(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    variable = {"name": "K", "value": MARK, "type": "Credential", "default_fields": []}
    made = await application.http.post("/api/v1/variables/", json=variable)
    field = {"value": "K", "load_from_db": True, "password": True}
    for type in ("HeadwaterTestCount", "HeadwaterTestFail"):
        node = flows.node(type, f"{type}-1", {"text": field})
        data = flows.document([node, flows.chat_output()], [flows.edge(f"{type}-1", "ChatOutput-out", "input_value")])
        flow = await make(application, data, mcp_enabled=True, action_name=f"tool_{type.lower()}")
        answered = await run(application, flow, output_type="debug")
        assert answered.status_code == (200 if type.endswith("Count") else 500), answered.text
        asked = {"flow_id": flow["id"]}
        run_id = answered.headers["x-headwater-run-id"]
        shown = [
            made,
            answered,
            *[await application.http.get(f"/api/v1/monitor/{each}", params=asked) for each in ("builds", "transactions", "messages")],
            *[await application.http.get(path) for path in ("/api/v1/variables/", f"/api/v1/runs/{run_id}", f"/api/v1/flows/{flow['id']}")],
        ]
        async with application.mcp_client() as client:
            tools = await client.list_tools()
            result = await client.call_tool(f"tool_{type.lower()}", {})
        for text in (*(answer.text for answer in shown), tools.model_dump_json(), result.model_dump_json(), caplog.text):
            assert MARK not in text
        assert f"{type}-1" in shown[2].text  # the vertex that had it was looked at


async def test_an_unexpected_error_tells_its_id_and_nothing_else(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"password={MARK} in /etc/hidden/place.py")

    monkeypatch.setattr(type(application.services.variables), "list_variables", fail)
    answer = await application.http.get("/api/v1/variables/", headers={"x-request-id": "a-request-of-a-test"})
    assert (answer.status_code, set(answer.json())) == (500, {"detail"})
    assert answer.headers["x-request-id"] == "a-request-of-a-test"
    assert MARK not in answer.text and "place.py" not in answer.text and "RuntimeError" not in answer.text


# What only looks like a request ------------------------------------------------------------------------------------------------------


async def test_text_in_filters_names_and_sessions_is_text_for_the_database(application: Application, subtests: pytest.Subtests) -> None:
    for text in ["' OR '1'='1", "x'; DROP TABLE flows; --", '"', "\\", "%' ESCAPE '!", "$1", ":name", "{0}", "x\u2028y"]:
        with subtests.test(text):
            http = application.http
            flow = await make(application, name=text)
            assert (await run(application, flow, text)).status_code == 200
            found = (await http.get("/api/v1/monitor/messages", params={"session_id": text})).json()
            assert {message["session_id"] for message in found} == {text}
            for name in ("sender", "sender_name", "session_id"):
                other = await http.get("/api/v1/monitor/messages", params={name: text + "x"})
                assert (other.status_code, other.json()) == (200, []), name
            assert (await http.get("/api/v1/monitor/messages", params={"order_by": text})).status_code in (400, 422)
            paged = await http.get(f"/api/v1/projects/{application.project_id}", params={"page": 1, "size": 5, "search": text})
            assert [each["name"] for each in paged.json()["flows"]["items"]] == [text]
            assert (await http.get("/api/v1/users/", params={"search": text, "username": text})).json()["total_count"] == 0
            assert (await http.post(f"/api/v1/run/{'x' if '/' in text else 'none'}", json={})).status_code == 404


async def test_names_that_break_lines_or_paint_terminals_stay_one_line_in_the_log(
    application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    name = 'a\n{"level": "forged"}\r\x1b[31mred\x07' + "b" * 900
    flow = await application.http.post("/api/v1/flows/", json={"name": name, "data": flows.echo()})
    assert flow.status_code in (201, 422)
    configure_logging("info", "json", access_log=False)
    try:
        logging.getLogger("rest_adapter.test").warning("The flow %s is odd", name)
        lines = capsys.readouterr().err.strip().splitlines()
    finally:
        configure_logging("info", "text", access_log=False)
    assert len(lines) == 1
    assert "\x1b" not in lines[0]
    assert json.loads(lines[0])["level"].lower() == "warning"
