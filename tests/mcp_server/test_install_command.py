"""`headwater install` and `headwater config`: clients of this machine get the project, a key of their own, and a call to try it."""

import json
import stat
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import click
import pytest

from client_configs.client import Client
from client_configs.connection import Command, Connection, KeyHandling
from client_configs.locations import Machine, Platform
from client_configs.registry import CLIENTS
from mcp_server.commands.install import Installer, Options, clients_named, install_all, options_of
from mcp_server.own_command import OwnCommand
from mcp_server.reach import reach_by_address, reach_by_command
from mcp_server.this_machine import own_executable
from tests import commands
from tests.mcp_server.conftest import Served

NAME = "hw-starter-project"
OWN = OwnCommand(data=("--data-dir", "there"))


@dataclass(frozen=True)
class Desk:
    """A person's machine: a home with some clients, and a server that runs."""

    home: Path
    served: Served
    capture: pytest.CaptureFixture[str]

    async def install(self, *clients: str, url: str = "", remove: bool = False, fails: bool = False, **options: Any) -> str:
        """What the command prints, both streams."""
        installer = await self.installer(url)
        try:
            await install_all(installer, clients_named(clients), self.options(**options), remove=remove)
        except click.exceptions.Exit as end:
            assert fails and end.exit_code == 1
        else:
            assert not fails
        captured = self.capture.readouterr()
        return captured.out + captured.err

    async def list(self) -> dict[str, str]:
        """By client, what the list says of it."""
        await (await self.installer()).show_list(self.options())
        return {line.split()[0]: line for line in self.capture.readouterr().out.splitlines()}

    async def installer(self, url: str = "") -> Installer:
        application = self.served.application
        return await Installer.of(application.services, application.caller, application.project_id, url or self.served.address, OWN)

    def options(self, *, scope: str = "user", folder: Path | None = None, transport: str | None = None, **others: Any) -> Options:
        return options_of(scope, folder, transport, **others)

    @property
    def cursor_file(self) -> Path:
        return self.home / ".cursor" / "mcp.json"

    @property
    def cursor_entry(self) -> dict[str, Any]:
        entry: dict[str, Any] = json.loads(self.cursor_file.read_text())["mcpServers"][NAME]
        return entry

    async def keys(self) -> dict[str, str]:
        """Name → id of the keys that installations made."""
        application = self.served.application
        return {
            key.name or "": key.id for key in await application.services.api_keys.list_keys(application.caller) if ":" in (key.name or "")
        }


@pytest.fixture
def desk(tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    home = tmp_path / "home"
    for folder in (".claude", ".cursor", ".config/Code/User"):
        (home / folder).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "WSL_DISTRO_NAME", "WSL_INTEROP", "HEADWATER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return Desk(home, served, capsys)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_command_connects_a_client_and_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".cursor").mkdir(parents=True)
    given = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "HEADWATER_API_KEY": "sk-exported-for-clients"}

    def headwater(*arguments: str) -> commands.Done:
        return commands.headwater(*arguments, "--data-dir", tmp_path / "data", environment=given)

    assert headwater("migrate").returncode == 0
    done = headwater("install", "cursor", "codex", "--url", "http://127.0.0.1:9")
    assert done.returncode == 1, done.stderr
    assert "Cursor: wrote" in done.stdout and "not reachable" in done.stdout and "headwater serve" in done.stdout
    assert "Codex was not found" in done.stderr and "Traceback" not in done.stderr
    unknown = headwater("install", "cursr")
    assert (unknown.returncode, unknown.stdout, len(unknown.stderr.splitlines())) == (1, "", 1)
    assert "Did you mean cursor" in unknown.stderr
    shown = headwater("config", "vs-code", "--url", "http://127.0.0.1:9")
    assert json.loads(shown.stdout)["servers"][NAME]["headers"] == {"x-api-key": "YOUR_HEADWATER_API_KEY"}
    assert "vscode:mcp/install" in shown.stderr and "sk-" not in shown.stdout + shown.stderr
    given["KUBERNETES_SERVICE_HOST"] = "10.0.0.1"  # what says that this is a container
    shown = headwater("config", "vs-code", "--url", "http://127.0.0.1:9")
    assert "leads nowhere from outside the container" in shown.stderr and "headwater config" not in shown.stderr


async def test_three_clients_get_a_key_each_and_are_tried(desk: Desk) -> None:
    said = await desk.install("claude-code", "cursor", "vs-code")
    assert said.count("reachable, authorised, 4 tools") == 3
    claude = json.loads((desk.home / ".claude.json").read_text())["mcpServers"][NAME]
    code = json.loads((desk.home / ".config/Code/User/mcp.json").read_text())["servers"][NAME]
    assert claude["type"] == code["type"] == "http" and claude["url"] == desk.cursor_entry["url"] == desk.served.project_address()
    keys = {entry["headers"]["x-api-key"] for entry in (claude, code, desk.cursor_entry)}
    assert len(keys) == 3
    assert not any(key in said for key in keys)
    assert set(await desk.keys()) == {"Claude Code: Starter Project", "Cursor: Starter Project", "VS Code: Starter Project"}


async def test_installing_again_changes_nothing_and_makes_no_second_key(desk: Desk) -> None:
    await desk.install("cursor")
    before, keys = desk.cursor_file.read_bytes(), await desk.keys()
    assert "has it already" in await desk.install("cursor")
    assert (desk.cursor_file.read_bytes(), await desk.keys()) == (before, keys)


async def test_a_dry_run_shows_the_change_without_a_key_and_makes_neither(desk: Desk) -> None:
    said = await desk.install("cursor", is_dry_run=True)
    assert f"+++ {desk.cursor_file}" in said and NAME in said and "********" in said and "sk-" not in said
    assert not desk.cursor_file.exists() and not await desk.keys()


async def test_removing_leaves_the_rest_of_the_file_and_says_how_to_revoke_the_key_or_does_it(desk: Desk) -> None:
    desk.cursor_file.write_text('{\n  // mine\n  "mcpServers": {"other": {"url": "https://example.org/mcp"}}\n}\n')
    await desk.install("cursor")
    said = await desk.install("cursor", remove=True)
    key_id = (await desk.keys())["Cursor: Starter Project"]
    assert "removed" in said and f"headwater key revoke {key_id} --data-dir there" in said
    text = desk.cursor_file.read_text()
    assert json.loads(text.replace("// mine", ""))["mcpServers"] == {"other": {"url": "https://example.org/mcp"}}
    await desk.install("cursor")
    assert "revoked" in await desk.install("cursor", remove=True, revoke=True)
    assert key_id in (await desk.keys()).values() and len(await desk.keys()) == 1
    await desk.served.application.services.api_keys.delete(desk.served.application.caller, key_id)
    assert "is not in" in await desk.install("cursor", remove=True)


async def test_a_revoked_key_is_seen_by_list_and_replaced_by_a_new_installation(desk: Desk) -> None:
    await desk.install("cursor")
    await desk.served.application.services.api_keys.delete(desk.served.application.caller, *(await desk.keys()).values())
    listed = await desk.list()
    assert NAME in listed["cursor"] and "not authorised" in listed["cursor"] and "install again" in listed["cursor"]
    assert listed["codex"].endswith("not here") and listed["vs-code"].endswith("without this project")
    assert "headwater config raycast" in listed["raycast"]
    assert "reachable, authorised, 4 tools" in await desk.install("cursor")
    assert "reachable, authorised, 4 tools" in (await desk.list())["cursor"]


async def test_a_client_with_a_former_address_of_the_server_is_not_called_reachable_by_list(desk: Desk) -> None:
    await desk.install("cursor", url="http://127.0.0.1:9")
    listed = (await desk.list())["cursor"]
    assert "leads to http://127.0.0.1:9/api" in listed and "install again" in listed and "reachable" not in listed
    await desk.install("cursor")
    assert "reachable, authorised, 4 tools" in (await desk.list())["cursor"]


async def test_a_name_that_another_server_has_is_taken_over_only_when_asked(desk: Desk) -> None:
    desk.cursor_file.write_text(json.dumps({"mcpServers": {NAME: {"url": "http://127.0.0.1:1/api/v1/mcp/project/former/streamable"}}}))
    assert "--replace" in await desk.install("cursor", fails=True)
    assert "former" in desk.cursor_entry["url"] and not await desk.keys()
    assert "reachable, authorised, 4 tools" in await desk.install("cursor", replace=True)


async def test_what_stands_in_the_way_of_one_client_stops_no_other_and_makes_no_key(desk: Desk) -> None:
    desk.cursor_file.write_text("{ broken")
    said = await desk.install("cursor", "codex", "claude-code", fails=True)
    assert str(desk.cursor_file) in said and "line 1" in said
    assert "Codex was not found" in said and "Claude Code: wrote" in said
    assert desk.cursor_file.read_text() == "{ broken"
    assert set(await desk.keys()) == {"Claude Code: Starter Project"}


async def test_a_projects_file_names_the_key_and_does_not_hold_it(desk: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    said = await desk.install("cursor", "vs-code", scope="project", folder=folder)
    written = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.json")}
    assert set(written) == {".cursor/mcp.json", ".vscode/mcp.json"}
    assert not any("sk-" in text for text in written.values())
    assert said.count("sk-") == 2  # each shown this once
    assert set(await desk.keys()) == {"Cursor in work: Starter Project", "VS Code in work: Starter Project"}
    assert "sk-" not in await desk.install("cursor", scope="project", folder=folder)


async def test_config_prints_the_block_alone_on_standard_output(desk: Desk) -> None:
    installer = await desk.installer()
    installer.show_block(clients_named(["claude-desktop"])[0], desk.options())
    block = json.loads(desk.capture.readouterr().out)["mcpServers"][NAME]
    assert block["env"] == {"HEADWATER_API_KEY": "YOUR_HEADWATER_API_KEY"}
    installer.show_block(clients_named(["chatgpt"])[0], desk.options())
    captured = desk.capture.readouterr()
    assert captured.out == "" and "HEADWATER_PUBLIC_URL" in captured.err
    assert not (desk.home / ".config/Claude").exists()


# Security cases A8 and F5.


async def test_nothing_of_a_flow_or_a_projects_name_becomes_a_command_in_a_clients_file(desk: Desk) -> None:
    """A8: a config file is a program."""
    application = desk.served.application
    evil = '"],"command":"/bin/sh","args":["-c","touch owned'
    server = {"mcpServers": {"x": {"command": "/bin/sh", "args": ["-c", "touch owned"], "env": {"LD_PRELOAD": "x.so"}}}}
    template = {"mcp_server": {"name": "mcp_server", "type": "mcp", "value": server}}
    node = {"id": "MCPTools-1", "data": {"id": "MCPTools-1", "type": "MCPTools", "node": {"template": template}}}
    project = (await application.http.post("/api/v1/projects/", json={"name": evil, "description": json.dumps(server)})).json()
    flow = {"name": evil, "description": json.dumps(server), "folder_id": project["id"], "data": {"nodes": [node], "edges": []}}
    assert (await application.http.post("/api/v1/flows/", json=flow)).status_code == 201
    (desk.home / ".config/Claude").mkdir()
    installer = await Installer.of(application.services, application.caller, project["id"], desk.served.address, OWN)
    plan_of: list[str] = []
    for client in ("claude-desktop", "claude-code", "cursor"):
        await install_all(installer, clients_named([client]), desk.options(is_dry_run=True, transport="stdio"), remove=False)
        plan_of.append(desk.capture.readouterr().out)
    for plan in plan_of:
        entry = json.loads("\n".join(line[1:] for line in plan.splitlines() if line.startswith("+") and not line.startswith("+++")))
        ((name, server_entry),) = entry["mcpServers"].items()
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert Path(server_entry["command"]) == own_executable()
        assert server_entry["args"][0] == "connect" and project["id"] in server_entry["args"][1] and len(server_entry["args"]) == 2
        assert set(server_entry["env"]) == {"HEADWATER_API_KEY"}
        assert "/bin/sh" not in plan and "owned" not in plan.replace(name, "") and "LD_PRELOAD" not in plan


async def test_files_with_a_key_are_for_their_owner_alone(desk: Desk) -> None:
    """F5: modes of files and of their copies."""
    desk.cursor_file.write_text('{"mcpServers": {"mine": {"command": "x", "env": {"SECRET": "1"}}}}')
    desk.cursor_file.chmod(0o644)
    await desk.install("cursor", "claude-code")
    copy = desk.cursor_file.with_name("mcp.json.headwater.bak")
    assert [mode_of(file) for file in (desk.cursor_file, copy, desk.home / ".claude.json")] == [0o600] * 3
    await desk.install("cursor", remove=True, revoke=True)
    assert [mode_of(file) for file in (desk.cursor_file, copy)] == [0o600] * 2
    assert json.loads(desk.cursor_file.read_text())["mcpServers"] == {"mine": {"command": "x", "env": {"SECRET": "1"}}}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
def test_no_client_is_given_the_key_as_an_argument_of_a_program(client: Client) -> None:
    """F5: what `ps` shows."""
    key = "sk-0123456789abcdefghijklmnopqrstuvwxyz"
    for executable in (PurePosixPath("/opt/headwater"), None):
        connection = Connection(NAME, "http://127.0.0.1:7860/x", executable=executable, key=key)
        command = client.command(connection, KeyHandling.IN_FILE, Machine(Platform.LINUX, PurePosixPath("/home/ann")))
        assert key not in " ".join((command.program, *command.arguments))
        assert key in dict(command.environment).values()
        assert key not in str(client.command_line(connection)) + str(client.install_link(connection)) + str(client.web_link(connection))


# Calling as the client would.


async def test_the_call_by_address_tells_who_is_not_let_in(served: Served) -> None:
    url = served.project_address()
    assert str(await reach_by_address(url, served.application.key, version="1")) == "reachable, authorised, 4 tools"
    for key in (None, "sk-unknown"):
        reach = await reach_by_address(url, key, version="1")
        assert (reach.is_reachable, reach.is_authorised) == (True, False)
    gone = await reach_by_address("http://127.0.0.1:9/x", "sk-x", version="1")
    assert (gone.is_reachable, gone.is_authorised, gone.tool_count) == (False, False, None)


async def test_the_call_by_command_goes_through_the_bridge_and_leaves_no_process(served: Served) -> None:
    arguments = ("-m", "mcp_server", "connect", "--wait", "0", served.project_address())
    good = Command(sys.executable, arguments, (("HEADWATER_API_KEY", served.application.key),))
    assert str(await reach_by_command(good)) == "reachable, authorised, 4 tools"
    bad = await reach_by_command(Command(sys.executable, arguments, (("HEADWATER_API_KEY", "sk-unknown"),)))
    assert not bad.is_authorised and "refuses the key" in str(bad)
    assert "cannot be started" in str(await reach_by_command(Command("/nowhere/headwater")))
