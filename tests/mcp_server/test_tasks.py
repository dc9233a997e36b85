"""The tasks extension: runs that outlast their call, by public requests of the current revision."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from projects.access.caller import Caller, Credential
from tests.mcp_server.conftest import BOTH_TYPES, Served, waiting
from tests.mcp_server.long_runs import (
    ASKS,
    KNOWS_TASKS,
    LONG,
    TASKS,
    accept,
    asking,
    call,
    first_message,
    impatient,
    late_failing,
    message_of,
    request,
    result,
    task,
)
from tests.running_server import RunningServer, running_server

BOTH = {**KNOWS_TASKS, **ASKS}
MISSING = "0190a1b2-0000-7000-8000-0000000000ff"


async def test_the_extension_is_announced(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        assert TASKS in (await result(served, "server/discover", {}))["capabilities"]["extensions"]


async def test_a_call_that_outlasts_its_time_becomes_a_task_whose_result_is_the_calls(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        await served.add_tool("slow", waiting(0.4))
        created = await call(served, "slow", {"input_value": "worth it"}, capabilities=KNOWS_TASKS)
        assert (created["resultType"], created["status"]) == ("task", "working")
        assert {"result", "error", "inputRequests", "requestState"}.isdisjoint(created)
        assert created["createdAt"].endswith("Z")
        assert (await task(served, created["taskId"]))["status"] == "working"
        done = await task(served, created["taskId"], until="completed")
        assert done["resultType"] == "complete"
        assert done["result"]["content"] == [{"type": "text", "text": "worth it"}]
        assert done["result"]["isError"] is False


async def test_a_run_that_waits_for_its_turn_is_a_working_task(tmp_path: Path) -> None:
    async with impatient(tmp_path, background_runs=0) as served:
        flow = await served.add_tool("slow", waiting(LONG))
        started = await served.application.http.post("/api/v1/runs", json={"flow": flow.id})
        assert started.json()["state"] == "queued", started.text
        assert (await task(served, started.json()["id"]))["status"] == "working"


async def test_a_quick_call_and_a_client_without_tasks_get_no_task(tmp_path: Path) -> None:
    async with impatient(tmp_path, task_after_seconds=5) as served:
        await served.add_tool("quick")
        await served.add_tool("slow", waiting(LONG))
        assert (await call(served, "quick", {"input_value": "x"}, capabilities=KNOWS_TASKS))["resultType"] == "complete"
        assert (await call(served, "slow", {"input_value": "x"}))["resultType"] == "complete"


async def test_what_a_tool_says_went_wrong_is_a_completed_task(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        await served.add_tool("broken_pump", late_failing(0.3))
        created = await call(served, "broken_pump", capabilities=KNOWS_TASKS)
        done = await task(served, created["taskId"], until="completed")
        assert done["result"]["isError"] is True
        assert "the pump is dry" in done["result"]["content"][0]["text"]


async def test_a_cancelled_task_is_acknowledged_with_nothing_and_stays_cancelled(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        await served.add_tool("slow", waiting(LONG))
        created = await call(served, "slow", {"input_value": "x"}, capabilities=KNOWS_TASKS)
        for _ in range(2):
            told = await result(served, "tasks/cancel", {"taskId": created["taskId"]}, capabilities=KNOWS_TASKS)
            assert {name: value for name, value in told.items() if name != "_meta"} == {"resultType": "complete"}
            await task(served, created["taskId"], until="cancelled")


async def test_a_task_that_waits_tells_what_it_asks_until_everything_is_answered(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        await served.add_tool("form", asking("name,city", wait=0.3))
        created = await call(served, "form", capabilities=BOTH)
        asked = await task(served, created["taskId"], until="input_required", capabilities=BOTH)
        assert list(asked["inputRequests"]) == ["name", "city"]
        assert asked["inputRequests"]["name"]["method"] == "elicitation/create"
        assert asked["inputRequests"]["name"]["params"]["requestedSchema"]["required"] == ["name"]

        for responses in ({"nobody-asked": accept(x=1)}, {"name": accept(name="Ada", more="ignored")}):
            told = await result(served, "tasks/update", {"taskId": created["taskId"], "inputResponses": responses}, capabilities=BOTH)
            assert {name: value for name, value in told.items() if name != "_meta"} == {"resultType": "complete"}
        left = await task(served, created["taskId"], capabilities=BOTH)
        assert (left["status"], list(left["inputRequests"])) == ("input_required", ["city"])

        wrong = {"taskId": created["taskId"], "inputResponses": {"city": accept(city=5)}}
        assert (await request(served, "tasks/update", wrong, capabilities=BOTH))["error"]["code"] == -32602
        last = {"taskId": created["taskId"], "inputResponses": {"city": accept(city="Paris")}}
        await result(served, "tasks/update", last, capabilities=BOTH)
        done = await task(served, created["taskId"], until="completed")
        assert done["result"]["content"][0]["text"] == "hello (name: Ada, city: Paris)"


async def test_questions_that_come_before_the_call_is_a_task_are_asked_by_the_call(tmp_path: Path) -> None:
    async with impatient(tmp_path, task_after_seconds=5) as served:
        await served.add_tool("form", asking())
        first = await call(served, "form", capabilities=BOTH)
        assert (first["resultType"], "taskId" in first) == ("input_required", False)


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_tasks_are_for_their_owner_their_project_and_clients_that_know_them(tmp_path: Path, method: str) -> None:
    async with impatient(tmp_path) as served:
        await served.add_tool("slow", waiting(LONG))
        id = (await call(served, "slow", {"input_value": "x"}, capabilities=KNOWS_TASKS))["taskId"]
        params = {"taskId": id, "inputResponses": {}}

        undeclared = (await request(served, method, dict(params)))["error"]
        assert undeclared["code"] == -32021
        assert undeclared["data"]["requiredCapabilities"]["extensions"] == {TASKS: {}}
        other_name = await request(served, method, dict(params), capabilities=KNOWS_TASKS, headers={"mcp-name": MISSING})
        assert other_name["error"]["code"] == -32020
        unknown = await request(served, method, {**params, "taskId": MISSING}, capabilities=KNOWS_TASKS)
        assert unknown["error"]["code"] == -32602

        second = await served.application.services.projects.create(served.application.caller, name="Second")
        strange = await served.application.services.projects.default_project(await _stranger(served))
        for key, project_id in ((served.application.key, second.id), (served.application.stranger.headers["x-api-key"], strange.id)):
            there = served.project_address(project_id=project_id)
            answer = await request(served, method, dict(params), capabilities=KNOWS_TASKS, headers={"x-api-key": key}, address=there)
            assert answer["error"] == {"code": -32602, "message": f"Unknown task: {id}"}
        assert (await task(served, id))["status"] == "working"


async def test_news_of_tasks_are_refused_to_clients_without_them_and_acknowledged_to_nobody(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        wanted = {"notifications": {"taskIds": [MISSING], "toolsListChanged": True}}
        refused = await request(served, "subscriptions/listen", dict(wanted))
        assert refused["error"]["code"] == -32021
        assert refused["error"]["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        acknowledged = await first_message(served, "subscriptions/listen", wanted, capabilities=KNOWS_TASKS)
        assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
        assert acknowledged["params"]["notifications"] == {"toolsListChanged": True}


async def test_sessions_of_older_revisions_know_no_tasks(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        headers = await served.open_session()
        message = {"jsonrpc": "2.0", "id": 3, "method": "tasks/get", "params": {"taskId": MISSING}}
        answer = await served.http.post(served.project_address(), json=message, headers=headers)
        assert message_of(answer.text)["error"]["code"] == -32601


def test_tasks_outlive_a_server_that_was_killed(tmp_path: Path) -> None:
    environment = {"HEADWATER_TASK_AFTER_SECONDS": "0.2", "PYTHONPATH": str(Path(__file__).parents[1] / "plugin")}
    with running_server(tmp_path, environment=environment) as first:
        tools = {"slow": waiting(LONG), "short": waiting(0.5), "form": asking(wait=0.5)}
        flow_ids = {}
        for name, flow in {**tools, "followed": waiting(LONG)}.items():
            made = {"name": name, "data": flow, "folder_id": first.project_address.split("/")[-2], "mcp_enabled": True, "action_name": name}
            answer = httpx2.post(f"{first.address}/api/v1/flows/", json=made, headers={"x-api-key": first.key}, timeout=30)
            flow_ids[name] = answer.raise_for_status().json()["id"]
        ids = {name: _post(first, "tools/call", name=name, arguments={"input_value": "kept"})["taskId"] for name in tools}
        with ThreadPoolExecutor(1) as pool:
            # A call that somebody waits for has no right to go on without them.
            followed = pool.submit(_post, first, "tools/call", capabilities={}, name="followed", arguments={"input_value": "x"})
            while not (listed := _runs(first, state="running", flow_id=flow_ids["followed"])):
                time.sleep(0.05)
            ids["followed"] = listed[0]["id"]
            _wait_for_both(first, ids)
            first.process.kill()
            first.process.wait(timeout=10)
            assert isinstance(followed.exception(timeout=10), httpx2.TransportError)
    with running_server(tmp_path, environment=environment) as second:
        again = replace(second, key=first.key, project_address=first.project_address.replace(first.address, second.address))
        done = _post(again, "tasks/get", taskId=ids["short"])
        assert (done["status"], done["result"]["content"][0]["text"]) == ("completed", "kept")
        assert _post(again, "tasks/get", taskId=ids["slow"])["status"] == "working"  # it was taken up again
        (taken_up,) = _runs(again, flow_id=flow_ids["slow"])
        assert (taken_up["id"], taken_up["attempt"]) == (ids["slow"], 2)
        _post(again, "tasks/cancel", taskId=ids["slow"])
        interrupted = _post(again, "tasks/get", taskId=ids["followed"])
        assert (interrupted["status"], interrupted["error"]["code"], "result" in interrupted) == ("failed", -32603, False)
        assert list(_post(again, "tasks/get", taskId=ids["form"])["inputRequests"]) == ["name"]
        _post(again, "tasks/update", taskId=ids["form"], inputResponses={"name": accept(name="Ada")})
        while (answered := _post(again, "tasks/get", taskId=ids["form"]))["status"] == "working":
            time.sleep(0.05)
        assert answered["result"]["content"][0]["text"] == "kept (name: Ada)"


def _wait_for_both(server: RunningServer, ids: dict[str, str]) -> None:
    for name, status in (("short", "completed"), ("form", "input_required")):
        while _post(server, "tasks/get", taskId=ids[name])["status"] != status:
            time.sleep(0.05)


def _runs(server: RunningServer, **query: str) -> list[dict[str, Any]]:
    answer = httpx2.get(f"{server.address}/api/v1/runs", params=query, headers={"x-api-key": server.key}, follow_redirects=True, timeout=30)
    return list(answer.raise_for_status().json()["runs"])


def _post(server: RunningServer, method: str, capabilities: dict[str, Any] = BOTH, **params: Any) -> dict[str, Any]:
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": capabilities}
    headers = {**BOTH_TYPES, "x-api-key": server.key, "mcp-protocol-version": "2026-07-28", "mcp-method": method}
    headers["mcp-name"] = params.get("name") or params["taskId"]
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    answer = message_of(httpx2.post(server.project_address, json=body, headers=headers, timeout=30).text)
    assert "result" in answer, answer
    return dict(answer["result"])


async def _stranger(served: Served) -> Caller:
    user = await served.application.services.accounts.find_user_by_name("bob")
    assert user is not None
    return Caller(user.id, user.username, False, Credential.LOCAL)
