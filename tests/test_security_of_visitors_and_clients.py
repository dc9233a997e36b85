"""Security cases that reach over parts: sessions of several people, what a server tells of its own door, and what our client is told."""

import ast
import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.application import Application, browser, open_application
from tests.web_server import Answer, web_server

ROOT = Path(__file__).parent.parent
PACKAGES = ("mcp_server", "rest_adapter", "projects", "storage", "client_configs")


# One session name, several people ----------------------------------------------------------------------------------------------------


def remembering() -> dict[str, Any]:
    """Keeps what is said, and answers with what was said before in the session: "[before] now"."""
    return flows.document(
        [
            flows.chat_input(),
            flows.node("Memory", "Memory-m", outputs=("messages_text",)),
            flows.prompt("Prompt-p", "[{before}] {now}", "before", "now"),
            flows.chat_output(),
        ],
        [
            flows.edge("Memory-m", "Prompt-p", "before", output="messages_text"),
            flows.edge("ChatInput-in", "Prompt-p", "now"),
            flows.edge("Prompt-p", "ChatOutput-out", "input_value", output="prompt"),
        ],
    )


def before(said: str) -> str:
    history, bracket, _ = said.removeprefix("[").rpartition("] ")
    assert bracket, said
    return history


async def made(application: Application, by: str, **more: Any) -> str:
    answer = await getattr(application, by).post("/api/v1/flows/", json={"name": f"of {by}", "data": remembering(), **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def remembered(application: Application, by: str, flow_id: str, text: str) -> str:
    answer = await getattr(application, by).post(f"/api/v1/run/{flow_id}", json={"input_value": text, "session_id": "x"})
    assert answer.status_code == 200, answer.text
    return before(answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"])


async def remembered_as_visitor(application: Application, flow_id: str, text: str, *, client_id: str, key: str | None = None) -> str:
    headers = {"x-api-key": key} if key else {}
    async with browser(application.app, cookies={"client_id": client_id}, headers=headers) as visitor:
        body = {"inputs": {"input_value": text, "session": "x"}}
        address = f"/api/v1/build_public_tmp/{flow_id}/flow"
        answer = await visitor.post(address, params={"event_delivery": "direct"}, json=body)
    assert answer.status_code == 200, answer.text
    events = [json.loads(line) for line in answer.text.splitlines() if line.strip()]
    said = [event["data"]["text"] for event in events if event["event"] == "add_message" and event["data"]["sender"] == "Machine"]
    assert len(said) == 1, events
    return before(said[0])


async def test_people_who_name_their_sessions_alike_share_no_history_not_even_on_a_shared_flow(application: Application) -> None:
    shared = await made(application, "http", access_type="PUBLIC")
    of_b = await made(application, "stranger")
    assert await remembered(application, "http", shared, "said by A") == ""
    assert "said by A" in await remembered(application, "http", shared, "again A")
    assert await remembered(application, "stranger", of_b, "said by B") == ""
    for client_id in ("tab-1", "tab-2"):
        first = await remembered_as_visitor(application, shared, f"said in {client_id}", client_id=client_id)
        assert first == ""
    assert "said in tab-1" in (seen := await remembered_as_visitor(application, shared, "again", client_id="tab-1"))
    assert "tab-2" not in seen and "by A" not in seen
    known = await remembered_as_visitor(application, shared, "said by B as a visitor", client_id="tab-3", key=await key_of_b(application))
    assert known == ""
    mine = await remembered(application, "http", shared, "once more A")
    assert "said by A" in mine and "said in" not in mine and "by B" not in mine
    for by, others in (("http", "by B"), ("stranger", "by A")):
        assert others not in (await getattr(application, by).get("/api/v1/monitor/messages", params={"session_id": "x"})).text


async def key_of_b(application: Application) -> str:
    return str((await application.stranger.post("/api/v1/api_key/", json={"name": "visiting"})).json()["api_key"])


# What the server tells of its own door -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "told"), [({}, "on"), ({"auto_login": True}, "off"), ({"auto_login": True, "anonymous_access": True}, "off")]
)
async def test_the_health_of_the_server_says_whether_it_asks_for_credentials(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    async with open_application(tmp_path, **settings) as application:
        answer = await application.nobody.get("/health")
        assert (answer.json(), answer.headers["x-headwater-authentication"]) == ({"status": "ok"}, told)
        automatic = await application.nobody.get("/api/v1/auto_login")
        without = await application.nobody.get("/api/v1/flows/", headers={"cookie": ""})
        is_open = automatic.status_code == 200 or without.status_code == 200
        assert is_open == (told == "off")


# What our own client is told ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["file:///bin/sh", "calc.exe", "javascript:alert(1)", "http://127.0.0.1:9/$(id)", "x; id"])
async def test_the_bridge_goes_to_no_address_that_a_servers_refusal_names(address: str, tmp_path: Path) -> None:
    """It has no login in a browser, so whatever a server says about one is text for the person."""
    async with web_server() as server:
        challenge = f'Bearer resource_metadata="{address}", authorization_uri="{address}"'
        server.pages["*"] = Answer("{}", status=401, content_type="application/json", headers={"www-authenticate": challenge})
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        command = [sys.executable, "-m", "mcp_server", "connect", "--wait", "0", f"{server.address}/api/v1/mcp/streamable"]
        bridge = await run(command, json.dumps(message) + "\n", tmp_path)
        assert {hit.path for hit in server.hits} == {"/api/v1/mcp/streamable"}
    answer = json.loads(bridge.stdout.splitlines()[0])
    assert "key" in answer["error"]["message"] and address not in bridge.stdout
    assert not (tmp_path / "opened").exists()


async def run(command: list[str], sent: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER_", "LANGFLOW_"))}
    environment |= {"BROWSER": f"touch {folder}/opened", "PYTHONPATH": str(ROOT)}
    return await asyncio.to_thread(
        subprocess.run, command, input=sent, capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment
    )


def test_nothing_of_ours_opens_a_browser() -> None:
    opening = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if "webbrowser" in names:
                opening.add(path.name)
    assert opening == set()


# What costs before anybody is known --------------------------------------------------------------------------------------------------


async def test_an_odd_boundary_costs_less_than_a_tenth_of_a_second(application: Application) -> None:
    hyphens = b"-" * 1_000_000
    for headers, body in [
        ({b"content-type": b"multipart/form-data; boundary=" + hyphens}, b"x"),
        ({b"content-type": b"multipart/form-data; boundary=b"}, hyphens),
        ({b"content-type": b"multipart/form-data; boundary=b"}, b"--b\r\n" + b"a: b\r\n" * 100_000),
        ({b"content-type": b"multipart/form-data; boundary=b"}, b"--b\r\na: b\r\n\r\nx\r\n" * 10_000),
    ]:
        for client, statuses in ((application.nobody, {403}), (application.http, {400, 422})):
            spent = []
            for _ in range(3):  # the best of three: a collection of garbage is not what is measured
                began = time.process_time()
                answer = await client.post("/api/v2/files", content=body, headers=headers)
                spent.append(time.process_time() - began)
                assert answer.status_code in statuses, answer.text[:200]
            assert min(spent) < 0.1, (body[:20], spent)
