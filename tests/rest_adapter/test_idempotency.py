"""`Idempotency-Key`: one run and one answer for one key of one caller, on every route that starts a run."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from headwater_test_components import Wait
from sqlalchemy import update

from mcp_server.app import create_app
from mcp_server.settings import Settings
from mcp_server.wiring import open_services
from projects.runs import idempotency
from storage.tables import RunRow
from tests import flow_documents as flows
from tests.application import Application, browser, open_application
from tests.live_requests import live_request
from tests.rest_adapter.test_run_stream import events_of, first_run, make, through, until_ended

KEY = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}


async def count_runs(application: Application, flow_id: str) -> int:
    return len(await application.services.runs.list_runs(application.caller, flow_id=flow_id, limit=200))


async def echo(application: Application) -> str:
    return await make(application, flows.echo())


ROUTES: dict[str, Any] = {
    "run": ("/api/v1/run/{flow}", {"input_value": "hi"}, {"input_value": "other"}),
    "advanced": ("/api/v1/run/advanced/{flow}", {"inputs": [{"input_value": "a"}, {"input_value": "b"}]}, {"inputs": []}),
    "responses": ("/api/v1/responses", {"model": "{flow}", "input": "hi"}, {"model": "{flow}", "input": "other"}),
    "webhook": ("/api/v1/webhook/{flow}", {"a": 1}, {"a": 2}),
    "runs": ("/api/v1/runs", {"flow": "{flow}", "input_value": "hi"}, {"flow": "{flow}", "input_value": "other"}),
}


def filled(body: dict[str, Any], flow_id: str) -> dict[str, Any]:
    return {name: value.replace("{flow}", flow_id) if isinstance(value, str) else value for name, value in body.items()}


def run_ids(answer: Any) -> str:
    body = answer.json()
    return str(answer.headers.get("x-headwater-run-id") or body.get("run_id") or body["id"])


@pytest.mark.parametrize("route", ROUTES)
async def test_the_same_key_gives_the_same_run_and_answer_and_another_body_is_refused(application: Application, route: str) -> None:
    path, body, other = ROUTES[route]
    flow_id = await echo(application)
    path, body, other = path.replace("{flow}", flow_id), filled(body, flow_id), filled(other, flow_id)
    first = await application.http.post(path, json=body, headers=KEY)
    assert first.status_code in (200, 202), first.text
    await application.services.invocations.wait_until_idle()
    began = await count_runs(application, flow_id)
    again = await application.http.post(path, json=body, headers=KEY)
    assert again.status_code == first.status_code, again.text
    assert run_ids(again) == run_ids(first)
    if route != "runs":  # which shows how the run stands now
        assert again.json() == first.json()
    refused = await application.http.post(path, json=other, headers=KEY)
    assert (refused.status_code, set(refused.json())) == (422, {"detail"})
    assert await count_runs(application, flow_id) == began


async def test_other_keys_and_other_callers_get_runs_of_their_own(application: Application) -> None:
    flow_id = await echo(application)
    path, body = f"/api/v1/run/{flow_id}", {"input_value": "hi"}
    mine = await application.http.post(path, json=body, headers=KEY)
    other_key = await application.http.post(path, json=body, headers={"Idempotency-Key": "another"})
    without = await application.http.post(path, json=body)
    assert len({run_ids(answer) for answer in (mine, other_key, without)}) == 3
    assert (await application.stranger.post(path, json=body, headers=KEY)).status_code == 404
    theirs = (await application.stranger.post("/api/v1/flows/", json={"name": "theirs", "data": flows.echo()})).json()["id"]
    answer = await application.stranger.post(f"/api/v1/run/{theirs}", json={"input_value": "mine"}, headers=KEY)
    assert (answer.status_code, answer.json()["outputs"][0]["inputs"]) == (200, {"input_value": "mine"})


async def test_a_key_means_one_request_across_routes_and_flows(application: Application) -> None:
    first, second = await echo(application), await make(application, flows.echo())
    assert (await application.http.post(f"/api/v1/run/{first}", json={}, headers=KEY)).status_code == 200
    assert (await application.http.post(f"/api/v1/run/{second}", json={}, headers=KEY)).status_code == 422
    assert (await application.http.post(f"/api/v1/run/advanced/{first}", json={}, headers=KEY)).status_code == 422


async def test_order_and_spacing_of_a_body_do_not_make_another_request(application: Application) -> None:
    flow_id = await echo(application)
    one = await application.http.post(f"/api/v1/run/{flow_id}", content=b'{"input_value":"a","session_id":"S"}', headers=KEY)
    two = await application.http.post(f"/api/v1/run/{flow_id}", content=b'{ "session_id": "S", "input_value": "a" }', headers=KEY)
    assert (one.status_code, two.json()) == (200, one.json())


async def test_of_many_equal_requests_at_once_one_runs_and_all_get_its_answer(application: Application) -> None:
    flow_id = await make(application, through("HeadwaterTestWait", "HeadwaterTestWait-w", seconds=0.2))
    before = Wait.started[flow_id]
    requests = [application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "x"}, headers=KEY) for _ in range(10)]
    answers = await asyncio.gather(*requests)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert Wait.started[flow_id] - before == 1


async def test_a_failure_is_the_answer_too(application: Application) -> None:
    flow_id = await make(application, through("HeadwaterTestFail", "HeadwaterTestFail-f", reason="dry"))
    first, again = [await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "x"}, headers=KEY) for _ in range(2)]
    assert (first.status_code, again.status_code, again.json()) == (500, 500, first.json())
    assert again.headers["x-headwater-run-id"] == first.headers["x-headwater-run-id"]
    assert await count_runs(application, flow_id) == 1


async def test_a_stream_that_is_asked_for_again_tells_the_same_end(application: Application) -> None:
    flow_id = await echo(application)
    first, again = [
        await application.http.post(f"/api/v1/run/{flow_id}?stream=true", json={"input_value": "x"}, headers=KEY) for _ in range(2)
    ]
    assert [event["event"] for event in events_of(again.text)] == ["end"]
    assert events_of(again.text)[-1] == events_of(first.text)[-1]


async def test_a_run_with_a_key_goes_on_when_its_client_leaves_and_waits_for_them(application: Application) -> None:
    flow_id = await make(application, through("HeadwaterTestWait", "HeadwaterTestWait-w", seconds=0.3))
    path, body = f"/api/v1/run/{flow_id}", {"input_value": "still here"}
    async with live_request(application, "POST", path, json=body, headers=KEY, wait_for_start=False):
        run_id = await first_run(application, flow_id)
    again = await application.http.post(path, json=body, headers=KEY)
    assert (again.status_code, again.headers["x-headwater-run-id"]) == (200, run_id)
    assert again.json()["outputs"][0]["outputs"][0]["messages"][0]["message"] == "still here"
    assert await count_runs(application, flow_id) == 1


async def test_a_cancelled_run_stays_cancelled_for_its_key(application: Application) -> None:
    flow_id = await make(application, through("HeadwaterTestWait", "HeadwaterTestWait-w", seconds=60.0))
    path, body = f"/api/v1/run/{flow_id}", {"input_value": "x"}
    asked = asyncio.ensure_future(application.http.post(path, json=body, headers=KEY))
    run_id = await first_run(application, flow_id)
    assert (await application.http.post(f"/api/v1/runs/{run_id}/cancel")).status_code == 202
    assert (await asked).status_code == 409
    assert (await until_ended(application, run_id))["state"] == "cancelled"
    assert (await application.http.post(path, json=body, headers=KEY)).status_code == 409


async def test_a_waiting_run_tells_its_questions_again_and_its_answer_once_there_is_one(application: Application) -> None:
    flow_id = await make(application, through("HeadwaterTestAsk", "HeadwaterTestAsk-a", names="city"))
    path, body = f"/api/v1/run/{flow_id}", {"input_value": "x"}
    first, again = [await application.http.post(path, json=body, headers=KEY) for _ in range(2)]
    assert (first.status_code, again.status_code, again.json()) == (400, 400, first.json())
    answers = {"answers": {"city": {"action": "accept", "content": {"city": "Oslo"}}}}
    run_id = first.headers["x-headwater-run-id"]
    assert (await application.http.post(f"/api/v1/runs/{run_id}/answers", json=answers)).status_code == 202
    assert (await until_ended(application, run_id))["state"] == "completed"
    done = await application.http.post(path, json=body, headers=KEY)
    assert done.json()["outputs"][0]["outputs"][0]["messages"][0]["message"] == "x (city: Oslo)"


async def test_the_answer_is_there_after_a_restart(tmp_path: Path) -> None:
    async with open_application(tmp_path) as application:
        flow_id, key = await echo(application), application.key
        path, body = f"/api/v1/run/{flow_id}", {"input_value": "kept"}
        first = await application.http.post(path, json=body, headers=KEY)
    settings = Settings(data_dir=tmp_path)
    async with open_services(settings) as services, browser(create_app(services, settings), headers={"x-api-key": key}) as http:
        again = await http.post(path, json=body, headers=KEY)
    assert (again.status_code, again.json()) == (200, first.json())


async def test_a_day_later_the_key_is_free(application: Application) -> None:
    flow_id = await echo(application)
    path = f"/api/v1/run/{flow_id}"
    first = await application.http.post(path, json={"input_value": "x"}, headers=KEY)
    async with application.services.messages._database.transaction() as session:
        row = await session.get_one(RunRow, run_ids(first))
        row.created_at -= idempotency.KEPT_FOR
    later = await application.http.post(path, json={"input_value": "new"}, headers=KEY)
    assert later.status_code == 200
    assert run_ids(later) != run_ids(first)


async def test_a_run_that_goes_on_elsewhere_is_asked_for_later(application: Application) -> None:
    flow_id = await echo(application)
    path, body = f"/api/v1/run/{flow_id}", {"input_value": "x"}
    first = await application.http.post(path, json=body, headers=KEY)
    async with application.services.messages._database.transaction() as session:
        values = {"state": "running", "lease_owner": "another process"}
        await session.execute(update(RunRow).where(RunRow.id == run_ids(first)).values(values))
    answer = await application.http.post(path, json=body, headers=KEY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "2")


@pytest.mark.parametrize("key", ["", "x" * 256, "sch\u00f6n", "tab\tbed"])
async def test_a_key_that_is_none_is_refused(application: Application, key: str) -> None:
    flow_id = await echo(application)
    answer = await application.http.post(f"/api/v1/run/{flow_id}", json={}, headers={b"Idempotency-Key": key.encode()})
    assert (answer.status_code, "Idempotency-Key" in answer.json()["detail"]) == (422, True)
