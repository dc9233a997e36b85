"""A project in clients, over REST: written into files of this machine for who sits at it, described for everybody else."""

import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from client_configs.registry import CLIENTS
from tests.application import ADDRESS, Application

PATH = "/api/v1/mcp/project/{}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for this process, with Cursor in it."""
    home = tmp_path / "home"
    (home / ".cursor").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for name in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "WSL_DISTRO_NAME", "WSL_INTEROP"):
        monkeypatch.delenv(name, raising=False)
    return home


def path_of(application: Application, end: str) -> str:
    return f"{PATH.format(application.project_id)}/{end}"


async def states(http: httpx.AsyncClient, application: Application) -> dict[str, tuple[bool, bool]]:
    answer = await http.get(path_of(application, "installed"))
    assert answer.status_code == 200
    assert all(list(each) == ["name", "installed", "available"] for each in answer.json())
    return {each["name"]: (each["installed"], each["available"]) for each in answer.json()}


async def test_an_installation_is_written_with_a_key_of_its_own_and_seen(application: Application, home: Path) -> None:
    assert await states(application.http, application) == {"cursor": (False, True), "windsurf": (False, False), "claude": (False, False)}
    answer = await application.http.post(path_of(application, "install"), json={"client": "Cursor", "transport": "streamablehttp"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert "installed" in told["message"] and told["key_name"] == "Cursor: Starter Project"
    file = home / ".cursor" / "mcp.json"
    assert told["path"] == str(file) and stat.S_IMODE(file.stat().st_mode) == 0o600
    entry = json.loads(file.read_text())["mcpServers"]["hw-starter-project"]
    assert entry["url"] == f"{ADDRESS}{path_of(application, 'streamable')}"
    key = entry["headers"]["x-api-key"]
    assert key not in answer.text
    async with application.mcp_client(key=key) as client:
        assert (await client.list_tools()).tools
    assert (await states(application.http, application))["cursor"] == (True, True)
    again = await application.http.post(path_of(application, "install"), json={"client": "cursor", "transport": "sse"})
    assert "reinstalled" in again.json()["message"] and again.json()["key_id"] == told["key_id"]
    assert json.loads(file.read_text())["mcpServers"]["hw-starter-project"]["url"].endswith("/sse")
    revoked = await application.http.delete(f"/api/v1/api_key/{told['key_id']}")
    assert revoked.status_code == 200
    assert (await application.nobody.get("/api/v1/flows/", headers={"x-api-key": key})).status_code == 403
    assert (await application.http.get("/api/v1/flows/")).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"client": "windsurf"}, 400, "Windsurf"),
        ({"client": "claude"}, 400, "Claude Desktop"),
        ({"client": "pigeon"}, 400, "cursor"),
        ({"client": "raycast"}, 400, "Raycast"),
        ({}, 422, "client"),
        ({"client": "cursor", "transport": "pigeon"}, 422, "streamablehttp"),
    ],
)
async def test_what_cannot_be_installed_is_named_and_leaves_no_key(
    application: Application, home: Path, body: dict[str, Any], status: int, words: str
) -> None:
    before = (await application.http.get("/api/v1/api_key/")).json()["total_count"]
    answer = await application.http.post(path_of(application, "install"), json=body)
    assert answer.status_code == status and words in answer.text
    assert (await application.http.get("/api/v1/api_key/")).json()["total_count"] == before


async def test_a_broken_file_is_left_as_it_is_and_a_taken_name_is_a_conflict(application: Application, home: Path) -> None:
    file = home / ".cursor" / "mcp.json"
    file.write_text("{ broken")
    answer = await application.http.post(path_of(application, "install"), json={"client": "cursor"})
    assert answer.status_code == 400 and "line 1" in answer.json()["detail"]
    assert file.read_text() == "{ broken"
    file.write_text('{"mcpServers": {"hw-starter-project": {"command": "something-else"}}}')
    answer = await application.http.post(path_of(application, "install"), json={"client": "cursor"})
    assert answer.status_code == 409
    assert "something-else" in file.read_text()
    assert not [each for each in (await application.http.get("/api/v1/api_key/")).json()["api_keys"] if "Cursor" in (each["name"] or "")]


def from_afar(application: Application, peer: str = "192.0.2.7", host: str = ADDRESS, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=application.app, client=(peer, 50_000))
    return httpx.AsyncClient(transport=transport, base_url=host, headers={"x-api-key": application.key, **headers})


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("192.0.2.7", {}),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}),
        ("127.0.0.1", {"X-Real-IP": "127.0.0.1"}),
    ],
)
async def test_nobody_installs_from_afar_or_through_a_proxy(
    application: Application, home: Path, peer: str, headers: dict[str, str]
) -> None:
    async with from_afar(application, peer, **headers) as http:
        answer = await http.post(path_of(application, "install"), json={"client": "cursor"})
        assert answer.status_code == 403 and "headwater install" in answer.json()["detail"]
        assert set((await states(http, application)).values()) == {(False, False)}
    assert not (home / ".cursor" / "mcp.json").exists()


async def test_only_a_superuser_changes_the_files_of_who_runs_the_server(application: Application, home: Path) -> None:
    project = (await application.stranger.post("/api/v1/projects/", json={"name": "Bob's"})).json()
    path = PATH.format(project["id"])
    assert (await application.stranger.post(f"{path}/install", json={"client": "cursor"})).status_code == 403
    assert not any(each["available"] for each in (await application.stranger.get(f"{path}/installed")).json())
    assert (await application.stranger.get(f"{path}/clients")).status_code == 200


async def test_somebody_elses_project_is_a_missing_one(application: Application, home: Path) -> None:
    for end in ("installed", "clients"):
        assert (await application.stranger.get(path_of(application, end))).status_code == 404
    assert (await application.stranger.post(path_of(application, "install"), json={"client": "cursor"})).status_code == 404


async def test_each_client_is_described_with_words_where_the_key_belongs(application: Application) -> None:
    answer = await application.http.get(path_of(application, "clients"))
    assert answer.status_code == 200
    assert application.key not in answer.text and "sk-" not in answer.text
    clients = {each["id"]: each for each in answer.json()["clients"]}
    assert set(clients) == {client.id for client in CLIENTS}
    assert answer.json()["url"] == f"{ADDRESS}{path_of(application, 'streamable')}"
    cursor = clients["cursor"]
    assert json.loads(cursor["block"])["mcpServers"]["hw-starter-project"]["headers"] == {"x-api-key": "YOUR_HEADWATER_API_KEY"}
    assert (cursor["user_file"], cursor["project_file"]) == ("~/.cursor/mcp.json", ".cursor/mcp.json")
    assert cursor["install_link"].startswith("cursor://") and clients["claude-code"]["command"].startswith("claude mcp add")
    assert clients["chatgpt"]["block"] is None and clients["chatgpt"]["instructions"] and clients["chatgpt"]["notes"]
    windows = (await application.http.get(path_of(application, "clients"), params={"platform": "windows"})).json()["clients"]
    assert windows[0]["user_file"].startswith("%USERPROFILE%")
    assert (await application.http.get(path_of(application, "clients"), params={"platform": "amiga"})).status_code == 422


async def test_who_comes_by_another_name_is_told_that_name_and_no_path_of_the_servers_machine(tmp_path: Path) -> None:
    from tests.application import open_application

    async with open_application(tmp_path / "data", host="0.0.0.0") as application:
        async with from_afar(application, host="http://box.example.org:8080") as http:
            told = (await http.get(path_of(application, "clients"))).json()
        assert told["url"] == f"http://box.example.org:8080{path_of(application, 'streamable')}"
        desktop = next(each for each in told["clients"] if each["id"] == "claude-desktop")
        assert json.loads(desktop["block"])["mcpServers"][told["server_name"]]["command"] == "npx"
