"""Uploads over REST: the answers' paths are what flows read, and nobody else's."""

from pathlib import Path
from typing import Any

import pytest

from tests.application import Application, open_application


def flow_document(path: str = "", *, is_marked: bool = False) -> dict[str, Any]:
    """Read File → Chat Output; `is_marked`: the author lets callers name the file."""
    field = {"type": "file", "list": True, "value": "", "file_path": [path] if path else [], "_input_type": "FileInput"}
    template = {"path": {**field, "api_editable": is_marked}}
    outputs = [{"name": "message", "types": ["Message"], "method": "load_files_message"}]
    handle = {"dataType": "File", "id": "File-a", "name": "message", "output_types": ["Message"]}
    target = {"fieldName": "input_value", "id": "ChatOutput-b", "inputTypes": ["Message"], "type": "other"}
    return {
        "nodes": [
            {
                "id": "File-a",
                "data": {"id": "File-a", "type": "File", "node": {"template": template, "outputs": outputs, "display_name": "Read File"}},
            },
            {
                "id": "ChatOutput-b",
                "data": {
                    "id": "ChatOutput-b",
                    "type": "ChatOutput",
                    "node": {
                        "template": {"input_value": {"type": "other", "value": "", "_input_type": "HandleInput"}},
                        "outputs": [{"name": "message", "types": ["Message"], "method": "message_response"}],
                        "display_name": "Chat Output",
                    },
                },
            },
        ],
        "edges": [{"source": "File-a", "target": "ChatOutput-b", "data": {"sourceHandle": handle, "targetHandle": target}}],
    }


async def create_flow(application: Application, path: str = "", *, is_marked: bool = True) -> str:
    document = flow_document(path, is_marked=is_marked)
    answer = await application.http.post("/api/v1/flows/", json={"name": "Reads a file", "data": document})
    assert answer.status_code == 201, answer.text
    flow_id: str = answer.json()["id"]
    return flow_id


def said(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"]
    return text


async def test_an_uploaded_file_is_read_by_a_run_named_by_a_tweak(tmp_path: Path) -> None:
    async with open_application(tmp_path) as application:
        flow_id = await create_flow(application)
        of_flow = await application.http.post(f"/api/v1/files/upload/{flow_id}", files={"file": ("a note.txt", b"from the flow's file")})
        own = await application.http.post("/api/v2/files", files={"file": ("note.txt", b"from my own file")})
        assert of_flow.status_code == own.status_code == 201
        assert of_flow.json()["flowId"] == flow_id and of_flow.json()["file_path"].startswith(f"{flow_id}/")
        assert of_flow.json()["file_path"].endswith("_a note.txt")
        assert own.json() == {
            "id": own.json()["id"],
            "name": "note",
            "path": f"{application.caller.user_id}/note.txt",
            "size": 16,
            "provider": None,
        }
        for path, text in ((of_flow.json()["file_path"], "from the flow's file"), (own.json()["path"], "from my own file")):
            answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"tweaks": {"File-a": {"path": [path]}}})
            assert said(answer) == text
            answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"tweaks": {"File-a": {"path": {"file_path": [path]}}}})
            assert said(answer) == text
        listed = (await application.http.get("/api/v2/files/")).json()
        assert [file["path"] for file in listed] == [own.json()["path"]] and listed[0]["user_id"] == application.caller.user_id
        names = (await application.http.get(f"/api/v1/files/list/{flow_id}")).json()["files"]
        assert [f"{flow_id}/{name}" for name in names] == [of_flow.json()["file_path"]]


@pytest.mark.parametrize("path", ["/etc/hostname", "file:///etc/hostname", "../secret", "{data}/headwater.db"])
async def test_a_server_path_is_refused_in_a_tweak_and_in_the_document(tmp_path: Path, path: str) -> None:
    path = path.replace("{data}", str(tmp_path))
    async with open_application(tmp_path) as application:
        flow_id = await create_flow(application, is_marked=False)
        answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"tweaks": {"File-a": {"path": [path]}}})
        assert answer.status_code == 422 and answer.json()["detail"]["code"] == "TWEAKS_REFUSED"
        stored = await application.http.patch(f"/api/v1/flows/{flow_id}", json={"data": flow_document(path)})
        assert stored.status_code == 200
        answer = await application.http.post(f"/api/v1/run/{flow_id}", json={})
        assert answer.status_code in (422, 500)
        assert "root:" not in answer.text and "SQLite" not in answer.text


async def test_another_users_upload_is_not_found_whatever_names_it(tmp_path: Path) -> None:
    async with open_application(tmp_path) as application:
        flow_id = await create_flow(application)
        theirs = await application.stranger.post("/api/v2/files", files={"file": ("note.txt", b"a secret")})
        for path in (theirs.json()["path"], theirs.json()["id"], f"{flow_id}/note.txt"):
            answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"tweaks": {"File-a": {"path": [path]}}})
            assert answer.status_code == 422 and "secret" not in answer.text, answer.text
        assert (await application.stranger.post(f"/api/v1/files/upload/{flow_id}", files={"file": ("a", b"b")})).status_code == 404
        assert (await application.stranger.get(f"/api/v1/files/list/{flow_id}")).status_code == 404


@pytest.mark.parametrize("name", ["../up.txt", "a/b.txt", "a\\b.txt", "..", "a..b.txt", "x" * 256])
async def test_a_name_that_is_more_than_a_name_is_refused(tmp_path: Path, name: str) -> None:
    async with open_application(tmp_path) as application:
        answer = await application.http.post("/api/v2/files", files={"file": (name, b"x")})
        assert answer.status_code == 400
        assert (await application.http.get("/api/v2/files")).json() == []


async def test_an_upload_without_a_file_is_refused_and_a_too_large_one_keeps_nothing(tmp_path: Path) -> None:
    async with open_application(tmp_path, max_upload_megabytes=1) as application:
        assert (await application.http.post("/api/v2/files")).status_code == 422
        assert (await application.http.post("/api/v2/files", files={"other": (None, "text")})).status_code == 422
        big = await application.http.post("/api/v2/files", files={"file": ("big", b"x" * (1024 * 1024 + 1))})
        assert big.status_code == 413
        assert (await application.http.get("/api/v2/files")).json() == []
