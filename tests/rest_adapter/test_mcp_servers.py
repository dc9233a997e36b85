"""The MCP servers that a user registers, and flows that name them."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.application import Application, open_application
from tests.tool_server import tool_server

SERVERS = "/api/v2/mcp/servers"
STARS = "*" * 8


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with open_application(tmp_path, allowed_addresses=["127.0.0.1"]) as opened:
        yield opened


def contents(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*") if file.is_file()]


async def register(application: Application, name: str, config: dict[str, Any], status: int = 200) -> Any:
    answer = await application.http.post(f"{SERVERS}/{name}", json=config)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_server_is_registered_changed_listed_and_forgotten(application: Application) -> None:
    assert await register(application, "far", {"url": "http://127.0.0.1:9/mcp", "note": 1}) == {"url": "http://127.0.0.1:9/mcp", "note": 1}
    assert await register(application, "tool", {"command": "python"}) == {"command": "python"}
    assert (await application.http.patch(f"{SERVERS}/tool", json={"args": ["-x"]})).json() == {"command": "python", "args": ["-x"]}
    assert (await application.http.get(f"{SERVERS}/tool")).json() == {"command": "python", "args": ["-x"]}
    listed = (await application.http.get(SERVERS)).json()
    assert listed == [{"name": name, "mode": None, "toolsCount": None} for name in ("far", "tool")]
    gone = await application.http.delete(f"{SERVERS}/tool")
    assert (gone.status_code, gone.text) == (200, "null")
    for method in ("GET", "DELETE", "PATCH"):
        answer = await application.http.request(method, f"{SERVERS}/tool", json={})
        assert (answer.status_code, set(answer.json())) == (404, {"detail"})
    assert set(await register(application, "far", {"url": "https://other.example"}, 409)) == {"detail"}


async def test_secrets_are_encrypted_read_back_as_stars_and_kept_by_them(application: Application, tmp_path: Path) -> None:
    secret = {"command": "uvx", "args": ["proxy", "--headers", "x-a", "secret1"], "env": {"A_TOKEN": "secret2"}, "apiKey": "secret3"}
    shown = {"command": "uvx", "args": ["proxy", "--headers", "x-a", STARS], "env": {"A_TOKEN": STARS}, "apiKey": STARS}
    assert await register(application, "s", secret) == shown
    assert (await application.http.patch(f"{SERVERS}/s", json={**shown, "timeout": 5})).json() == {**shown, "timeout": 5}
    kept = await application.services.mcp_servers.find_config(application.caller.user_id, "s")
    assert kept == {**secret, "timeout": 5}
    assert not any(b"secret2" in content for content in contents(tmp_path))
    await register(application, "t", {"command": "uvx", "env": {"B_TOKEN": STARS}}, 422)


@pytest.mark.parametrize(
    "config",
    [
        {"command": "true"},
        {"command": "/usr/bin/true"},
        {"command": "python", "args": ["-c", "pass"]},
        {"command": "python -c pass"},
        {"command": "uvx", "env": {"LD_PRELOAD": "x"}},
        {"command": "uvx", "env": {"A": "b"}},
        {"command": "uvx 'open"},
        {"url": "file:///etc/passwd"},
        {"url": 5},
        {},
        {"args": ["x"]},
        {"name": "another", "url": "https://a.example"},
        {"url": "https://a.example", "headers": {"a": 1}},
        {"url": "https://a.example/" + "x" * 100_001},
        {"url": "https://a.example", "note": "\ud800"},
    ],
    ids=str,
)
async def test_what_could_never_be_a_server_is_422(application: Application, config: dict[str, Any]) -> None:
    answer = await application.http.post(f"{SERVERS}/s", content=json.dumps(config))
    assert (answer.status_code, type(answer.json()["detail"])) == (422, list), answer.text
    assert (await application.http.get(SERVERS)).json() == []


async def test_somebody_elses_server_is_missing_and_strangers_are_refused(application: Application) -> None:
    await register(application, "mine", {"url": "https://a.example"})
    for method in ("GET", "PATCH", "DELETE"):
        assert (await application.stranger.request(method, f"{SERVERS}/mine", json={})).status_code == 404
        assert (await application.nobody.request(method, f"{SERVERS}/mine", json={})).status_code == 403
    assert (await application.stranger.get(SERVERS)).json() == []
    assert (await application.stranger.post(f"{SERVERS}/mine", json={"url": "https://b.example"})).status_code == 200
    assert (await application.http.get(f"{SERVERS}/mine")).json() == {"url": "https://a.example"}


async def test_a_locked_list_is_changed_by_superusers_only(tmp_path: Path) -> None:
    async with open_application(tmp_path, mcp_servers_locked=True) as application:
        await register(application, "s", {"url": "https://a.example"})
        for method in ("POST", "PATCH", "DELETE"):
            answer = await application.stranger.request(method, f"{SERVERS}/s", json={"url": "https://a.example"})
            assert answer.status_code == 403
        assert (await application.http.get("/api/v1/config")).json()["mcp_servers_locked"] is True


def calling(name: str) -> dict[str, Any]:
    """A flow that adds 2 and 3 with the tool of a server that it only names."""
    fields = {"mcp_server": {"value": {"name": name, "config": {}}, "type": "mcp"}, "tool": "add", "a": "2", "b": "3"}
    node = flows.node("MCPTools", "MCPTools-t", fields, outputs=("response",))
    return flows.document([node, flows.chat_output()], [flows.edge("MCPTools-t", "ChatOutput-out", "input_value", output="response")])


async def run(application: Application, name: str) -> Any:
    flow = (await application.http.post("/api/v1/flows/", json={"name": name, "data": calling(name)})).json()
    return await application.http.post(f"/api/v1/run/{flow['id']}", json={})


async def test_a_flow_that_only_names_a_server_finds_it_in_its_owners_list(application: Application) -> None:
    async with tool_server() as server:
        await register(application, "adder", {"url": server.address, "headers": {"x-token": "secret"}})
        answer = await run(application, "adder")
        assert answer.status_code == 200, answer.text
        assert "5" in answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"]
        assert server.calls == [("add", {"a": 2, "b": 3})]
        assert server.headers[0]["x-token"] == "secret"
        assert "secret" not in answer.text
        listed = (await application.http.get(SERVERS, params={"action_count": "true"})).json()
        assert listed == [{"name": "adder", "mode": "streamable_http", "toolsCount": 4}]


async def test_somebody_elses_server_is_not_found_by_a_run(application: Application) -> None:
    await application.stranger.post(f"{SERVERS}/theirs", json={"url": "https://a.example"})
    answer = await run(application, "theirs")
    assert answer.status_code == 500 and "'theirs'" in answer.text and "Register" in answer.text


async def test_a_registered_command_starts_only_in_a_run_and_only_when_the_operator_listed_it(tmp_path: Path) -> None:
    trace = tmp_path / "was-started"
    script = tmp_path / "server.py"
    script.write_text(f"open({str(trace)!r}, 'w')")
    python = Path(sys.executable).parent / "python3"
    async with open_application(tmp_path / "one") as application:
        await register(application, "script", {"command": str(python), "args": [str(script)]})
        (listed,) = (await application.http.get(SERVERS, params={"action_count": "true"})).json()
        assert (listed["mode"], listed["toolsCount"], "started by a run" in listed["error"]) == ("stdio", None, True)
        answer = await run(application, "script")
        assert answer.status_code == 500 and "HEADWATER_ALLOWED_MCP_COMMANDS" in answer.text
        assert not trace.exists()
    async with open_application(tmp_path / "two", allowed_mcp_commands=[f"{python} {script}"]) as application:
        await register(application, "script", {"command": str(python), "args": [str(script)]})
        assert (await application.http.get(SERVERS, params={"action_count": "true"})).status_code == 200
        assert not trace.exists()
        assert (await run(application, "script")).status_code == 500  # it starts, and speaks no MCP
        assert trace.exists()
