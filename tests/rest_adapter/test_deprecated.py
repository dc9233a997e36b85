"""Addresses of Langflow's past: they refuse and say what to use, or run flows again where the operator wants that."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests import flow_documents as flows
from tests.application import Application, open_application


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with open_application(tmp_path) as opened:
        yield opened


async def make_echo(application: Application) -> str:
    flow = (await application.http.post("/api/v1/flows/", json={"name": "echo", "data": flows.echo(), "endpoint_name": "echo"})).json()
    return str(flow["id"])


@pytest.mark.parametrize("name", ["process", "predict"])
async def test_the_old_ways_to_run_are_400_whatever_is_sent_and_name_the_new_one(application: Application, name: str) -> None:
    for flow in (await make_echo(application), "anything"):
        for body in (b'{"inputs": {}}', b"{not json", b""):
            answer = await application.http.post(f"/api/v1/{name}/{flow}", content=body)
            assert (answer.status_code, "/run" in answer.json()["detail"]) == (400, True)
    assert (await application.nobody.post(f"/api/v1/{name}/x")).status_code == 403
    assert await application.services.runs.list_runs(application.caller) == []


async def test_a_task_is_400_for_everybody(application: Application) -> None:
    for client in (application.http, application.nobody):
        answer = await client.get("/api/v1/task/abc")
        assert (answer.status_code, "/runs" in answer.json()["detail"]) == (400, True)


async def test_switched_on_they_run_as_run_does_and_a_task_is_the_run(tmp_path: Path) -> None:
    async with open_application(tmp_path, run_deprecated_routes=True) as application:
        flow = await make_echo(application)
        for address in (f"/api/v1/process/{flow}", "/api/v1/predict/echo"):
            answer = await application.http.post(address, json={"input_value": "hello", "session_id": "s"})
            today = await application.http.post(f"/api/v1/run/{flow}", json={"input_value": "hello", "session_id": "s"})
            assert (answer.status_code, list(answer.json())) == (today.status_code, list(today.json()))
            assert answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"] == "hello"
        run_id = answer.headers["x-headwater-run-id"]
        task = await application.http.get(f"/api/v1/task/{run_id}")
        assert (task.status_code, task.json()["state"], task.json()["id"]) == (200, "completed", run_id)
        assert (await application.stranger.get(f"/api/v1/task/{run_id}")).status_code == 404
        assert (await application.nobody.get(f"/api/v1/task/{run_id}")).status_code == 403
        assert (await application.http.get("/api/v1/task/abc")).status_code == 404
        wrong = await application.http.post(f"/api/v1/process/{flow}", json={"input_value": 5})
        assert (wrong.status_code, wrong.json()["detail"][0]["loc"]) == (422, ["body", "input_value"])
        assert (await application.stranger.post(f"/api/v1/process/{flow}", json={})).status_code == 404
        assert (await application.nobody.post(f"/api/v1/process/{flow}", json={})).status_code == 403


async def test_the_old_upload_keeps_a_file_that_the_flow_can_name(application: Application) -> None:
    flow = await make_echo(application)
    answer = await application.http.post(f"/api/v1/upload/{flow}", files={"file": ("a.txt", b"text")})
    assert (answer.status_code, list(answer.json()), answer.json()["flowId"]) == (201, ["flowId", "file_path"], flow)
    assert answer.json()["file_path"].startswith(f"{flow}/")
    name = answer.json()["file_path"].partition("/")[2]
    assert (await application.http.get(f"/api/v1/files/download/{flow}/{name}")).content == b"text"
    assert (await application.http.post(f"/api/v1/upload/{uuid4()}", files={"file": ("a.txt", b"h")})).status_code == 404
    assert (await application.stranger.post(f"/api/v1/upload/{flow}", files={"file": ("a.txt", b"h")})).status_code == 404
    missing = await application.http.post(f"/api/v1/upload/{flow}")
    assert (missing.status_code, missing.json()["detail"][0]["loc"][-1]) == (422, "file")


async def test_the_old_upload_takes_files_as_large_as_the_new_one(tmp_path: Path) -> None:
    async with open_application(tmp_path / "small", max_json_megabytes=1, max_upload_megabytes=2) as application:
        flow = await make_echo(application)
        for size, status in ((1_500_000, 201), (3_000_000, 413)):
            for address in ("upload", "files/upload"):
                answer = await application.http.post(f"/api/v1/{address}/{flow}", files={"file": ("a.bin", b"x" * size)})
                assert answer.status_code == status, address


async def test_openapi_marks_them_and_names_what_to_use(application: Application) -> None:
    paths = (await application.nobody.get("/openapi.json")).json()["paths"]
    for path, method, instead in (
        ("/api/v1/process/{flow_id}", "post", "/api/v1/run/"),
        ("/api/v1/predict/{flow_id}", "post", "/api/v1/run/"),
        ("/api/v1/task/{task_id}", "get", "/api/v1/runs/"),
        ("/api/v1/upload/{flow_id}", "post", "/api/v1/files/upload/"),
    ):
        operation = paths[path][method]
        assert operation["deprecated"] is True
        assert instead in operation["summary"] + operation.get("description", "")
