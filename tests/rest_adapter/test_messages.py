"""Messages corrected, moved to another session, and forgotten."""

from typing import Any
from uuid import uuid4

from tests import flow_documents as flows
from tests.application import Application

PATH = "/api/v1/monitor/messages"


async def talk(application: Application, session: str) -> list[dict[str, Any]]:
    flow = (await application.http.post("/api/v1/flows/", json={"name": "f", "data": flows.echo()})).json()
    answer = await application.http.post(f"/api/v1/run/{flow['id']}", json={"input_value": "hello", "session_id": session})
    assert answer.status_code == 200
    return await messages(application, session)


async def messages(application: Application, session: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await application.http.get(PATH, params={"session_id": session})).json()
    return found


async def test_a_message_is_corrected_and_marked_when_its_text_changed(application: Application) -> None:
    first, _ = await talk(application, "s")
    path = f"{PATH}/{first['id']}"
    same = (await application.http.put(path, json={"text": first["text"], "sender_name": "Ada", "category": None})).json()
    assert (same["edit"], same["sender_name"], same["files"], same["error"]) == (False, "Ada", [], False)
    assert list(same) == [
        "timestamp", "sender", "sender_name", "session_id", "context_id", "text", "files", "error", "edit", "properties", "category",
        "content_blocks", "session_metadata", "id", "flow_id", "run_id",
    ]  # fmt: skip
    edited = (await application.http.put(path, json={"text": "other"})).json()
    assert (edited["edit"], edited["text"], edited["id"]) == (True, "other", first["id"])
    assert (await application.stranger.put(path, json={"text": "x"})).status_code == 404
    assert (await application.http.put(f"{PATH}/{uuid4()}", json={"text": "x"})).status_code == 404
    assert (await application.http.put(path, json={"session_id": ""})).status_code == 422


async def test_a_session_gets_another_id(application: Application) -> None:
    before = await talk(application, "old")
    path = f"{PATH}/session/old"
    assert (await application.http.patch(path)).json()["detail"][0]["loc"] == ["query", "new_session_id"]
    assert (await application.stranger.patch(path, params={"new_session_id": "new"})).status_code == 404
    moved = await application.http.patch(path, params={"new_session_id": "new"})
    assert moved.status_code == 200
    assert [each["id"] for each in moved.json()] == [each["id"] for each in before]
    assert {each["session_id"] for each in moved.json()} == {"new"}
    assert (await application.http.patch(path, params={"new_session_id": "x"})).status_code == 404
    assert len(await messages(application, "new")) == len(before)


async def test_several_sessions_are_forgotten_at_once(application: Application) -> None:
    await talk(application, "a")
    await talk(application, "b")
    path = f"{PATH}/sessions"
    assert (await application.stranger.request("DELETE", path, json=["a"])).json()["deleted_count"] == 0
    gone = await application.http.request("DELETE", path, json=["a", "unknown", "' OR 1=1 --"])
    assert (gone.status_code, gone.json()["deleted_count"], list(gone.json())) == (200, 2, ["message", "deleted_count"])
    assert (await messages(application, "a"), len(await messages(application, "b"))) == ([], 2)
    assert (await application.http.request("DELETE", path, json=["x"] * 501)).status_code == 400
