"""Installing in throwaway homes: plan, apply, again, remove, and what is refused."""

import json
import os
import stat
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from client_configs.client import Client, Scope
from client_configs.config_file import READ, FileFormat
from client_configs.connection import Connection, KeyHandling, Transport
from client_configs.installation import apply, find_status, plan_install, plan_removal
from client_configs.problems import (
    ClientNotFound,
    FileChanged,
    InstallationProblem,
    NameTaken,
    SecretWouldBeShared,
    UneditableFile,
    UnreadableFile,
    Unsupported,
)
from client_configs.registry import CLIENTS
from tests.client_configs.machines import EXECUTABLE, HTTP_URL, KEY, PATH, connection, machine_at
from tests.client_configs.test_clients import get_client

HERE = [client for client in CLIENTS if client.user_files(machine_at(PurePosixPath("/home/ann")))]
IN_PROJECTS = [client for client in CLIENTS if client.project_files(PurePosixPath("/p"), connection())]
HEADERS = {"x-api-key": KEY}


def make_client(home: Path, client: Client, text: str | None = None) -> Path:
    """The client as it is on a machine: its folders, and perhaps its file."""
    machine = machine_at(home)
    for folder in client.own_folders(machine):
        Path(folder).mkdir(parents=True, exist_ok=True)
    path = Path(client.user_files(machine)[0])
    if text is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return path


def entries(client: Client, path: Path) -> dict[str, Any]:
    return client.collection.entries_of(READ[client.file_format](path.read_text()))


@pytest.mark.parametrize("client", HERE, ids=lambda client: client.id)
def test_install_twice_is_once_and_removal_leaves_nothing_of_it(client: Client, tmp_path: Path) -> None:
    path = make_client(tmp_path, client)
    machine = machine_at(tmp_path)
    plan = plan_install(client, connection(), machine)
    assert not path.exists()
    assert KEY not in plan.difference()
    assert KEY not in repr(plan)
    done = apply(plan)
    assert (done.path, done.was_changed, done.backup) == (path, True, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(entries(client, path)) == ["hw-orders"]
    assert find_status(client, connection(), machine).installed_as == ("hw-orders",)
    again = plan_install(client, connection(), machine)
    assert again.difference() == ""
    assert not apply(again).was_changed
    removed = apply(plan_removal(client, connection(), machine))
    assert removed.was_changed
    assert entries(client, path) == {}
    assert KEY not in path.read_text()
    assert not find_status(client, connection(), machine).is_installed
    assert not apply(plan_removal(client, connection(), machine)).was_changed


@pytest.mark.parametrize("client", HERE, ids=lambda client: client.id)
def test_a_broken_file_is_never_touched(client: Client, tmp_path: Path) -> None:
    broken = "first: 1\n[broken\n{: ]"
    path = make_client(tmp_path, client, broken)
    before = path.stat()
    for plan in (plan_install, plan_removal):
        with pytest.raises(UnreadableFile) as refused:
            plan(client, connection(), machine_at(tmp_path))
        assert str(path) in refused.value.message
        assert "line " in refused.value.message
    status = find_status(client, connection(), machine_at(tmp_path))
    assert status.is_available and not status.is_installed and status.problem is not None
    assert path.read_text() == broken
    assert (path.stat().st_mtime_ns, path.stat().st_mode) == (before.st_mtime_ns, before.st_mode)
    assert [each.name for each in path.parent.iterdir() if each.is_file()] == [path.name]


@pytest.mark.parametrize("client", IN_PROJECTS, ids=lambda client: client.id)
def test_a_project_file_gets_no_key_or_nothing_at_all(client: Client, tmp_path: Path) -> None:
    machine = machine_at(tmp_path / "home")
    for wanted in (None, KeyHandling.IN_FILE):
        try:
            plan = plan_install(client, connection(), machine, scope=Scope.PROJECT, project_folder=tmp_path, key_handling=wanted)
        except SecretWouldBeShared:
            assert list(tmp_path.iterdir()) == []
            return
        apply(plan)
        assert KEY not in plan.path.read_text()
        assert plan.notes or client.id in ("vs-code", "visual-studio")
    open_server = connection(needs_key=False, key=None)
    assert find_status(client, open_server, machine, scope=Scope.PROJECT, project_folder=tmp_path).is_installed
    apply(plan_removal(client, open_server, machine, scope=Scope.PROJECT, project_folder=tmp_path))
    assert not find_status(client, open_server, machine, scope=Scope.PROJECT, project_folder=tmp_path).is_installed


def test_the_rest_of_the_file_stays_and_its_old_text_is_kept(tmp_path: Path) -> None:
    servers = '{\n        "other": {"url": "https://other.example"}, // mine\n    }'
    text = f'{{\n    // by hand\n    "theme": "dark",\n    "context_servers": {servers},\n}}\n'
    zed = get_client("zed")
    path = make_client(tmp_path, zed, text)
    path.chmod(0o644)
    done = apply(plan_install(zed, connection(), machine_at(tmp_path)))
    assert done.backup is not None
    assert done.backup.read_text() == text
    assert [stat.S_IMODE(file.stat().st_mode) for file in (path, done.backup)] == [0o600, 0o600]
    assert "// by hand" in path.read_text()
    apply(plan_removal(zed, connection(), machine_at(tmp_path)))
    assert path.read_text() == text


def test_duplicates_of_the_same_server_are_replaced_and_a_persons_settings_stay(tmp_path: Path) -> None:
    cursor = get_client("cursor")
    old = {
        "mcpServers": {
            "orders": {"url": HTTP_URL.replace("127.0.0.1", "localhost") + "/", "headers": {"x-api-key": "sk-old"}, "autoApprove": ["a"]},
            "lf-orders": {
                "command": "uvx",
                "args": ["mcp-proxy", "--headers", "x-api-key", "sk-old", HTTP_URL.replace("streamable", "sse")],
            },
            "other": {"url": "https://other.example/mcp"},
        }
    }
    path = make_client(tmp_path, cursor, json.dumps(old))
    plan = plan_install(cursor, connection(), machine_at(tmp_path))
    assert plan.replaced == ("orders", "lf-orders")
    apply(plan)
    assert entries(cursor, path) == {
        "other": {"url": "https://other.example/mcp"},
        "hw-orders": {"url": HTTP_URL, "headers": HEADERS, "autoApprove": ["a"]},
    }


def test_a_server_that_moved_is_found_by_its_path(tmp_path: Path) -> None:
    cursor = get_client("cursor")
    path = make_client(tmp_path, cursor)
    apply(plan_install(cursor, connection(), machine_at(tmp_path)))
    moved = connection(http_url=f"https://tools.example.org{PATH}/streamable")
    plan = plan_install(cursor, moved, machine_at(tmp_path))
    assert plan.replaced == ("hw-orders",)
    apply(plan)
    assert entries(cursor, path)["hw-orders"]["url"] == moved.http_url


def test_another_server_of_our_name_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    cursor = get_client("cursor")
    text = json.dumps({"mcpServers": {"hw-orders": {"url": "https://other.example/mcp"}}})
    path = make_client(tmp_path, cursor, text)
    with pytest.raises(NameTaken):
        plan_install(cursor, connection(), machine_at(tmp_path))
    assert not apply(plan_removal(cursor, connection(), machine_at(tmp_path))).was_changed
    assert path.read_text() == text
    apply(plan_install(cursor, connection(), machine_at(tmp_path), replace=True))
    assert entries(cursor, path)["hw-orders"]["url"] == HTTP_URL


def test_a_changed_key_changes_only_the_key(tmp_path: Path) -> None:
    codex = get_client("codex")
    path = make_client(tmp_path, codex, '# mine\nmodel = "x"\n')
    apply(plan_install(codex, connection(), machine_at(tmp_path)))
    first = path.read_text()
    other = KEY[::-1].replace("-ks", "") + "zz"
    plan = plan_install(codex, connection(key="sk-" + other), machine_at(tmp_path))
    assert KEY not in plan.difference()
    assert other not in plan.difference()
    apply(plan)
    assert path.read_text() == first.replace(KEY, "sk-" + other)
    assert tomllib.loads(path.read_text())["model"] == "x"


def test_vs_code_asks_for_the_key_and_stops_asking_after_removal(tmp_path: Path) -> None:
    client = get_client("vs-code")
    text = '{\n  "inputs": [\n    {"id": "theirs", "type": "promptString"}\n  ],\n  "servers": {"a": {"url": "x"}}\n}\n'
    (tmp_path / ".vscode").mkdir()
    path = tmp_path / ".vscode" / "mcp.json"
    path.write_text(text)
    machine = machine_at(tmp_path)
    apply(plan_install(client, connection(), machine, scope=Scope.PROJECT, project_folder=tmp_path))
    said = json.loads(path.read_text())
    assert [each["id"] for each in said["inputs"]] == ["theirs", "hw-orders-key"]
    assert said["servers"]["hw-orders"]["headers"] == {"x-api-key": "${input:hw-orders-key}"}
    apply(plan_removal(client, connection(), machine, scope=Scope.PROJECT, project_folder=tmp_path))
    assert path.read_text() == text


def test_a_project_for_claude_code_gets_the_bridge_because_headers_know_no_variables(tmp_path: Path) -> None:
    client = get_client("claude-code")
    plan = plan_install(client, connection(), machine_at(tmp_path), scope=Scope.PROJECT, project_folder=tmp_path)
    assert plan.transport is Transport.STDIO
    apply(plan)
    assert entries(client, tmp_path / ".mcp.json")["hw-orders"] == {
        "command": str(EXECUTABLE),
        "args": ["connect", HTTP_URL],
        "env": {"HEADWATER_API_KEY": "${HEADWATER_API_KEY}"},
    }


def test_the_file_that_is_there_is_the_one_that_is_edited(tmp_path: Path) -> None:
    opencode = get_client("opencode")
    make_client(tmp_path, opencode)
    plain = tmp_path / ".config" / "opencode" / "opencode.json"
    plain.write_text("{}")
    assert apply(plan_install(opencode, connection(), machine_at(tmp_path))).path == plain


def test_a_client_that_is_not_here_is_not_given_a_file_unless_asked(tmp_path: Path) -> None:
    cursor = get_client("cursor")
    with pytest.raises(ClientNotFound, match=r"\.cursor"):
        plan_install(cursor, connection(), machine_at(tmp_path))
    assert not find_status(cursor, connection(), machine_at(tmp_path)).is_available
    done = apply(plan_install(cursor, connection(), machine_at(tmp_path), create_folder=True))
    assert stat.S_IMODE(done.path.parent.stat().st_mode) == 0o700


def test_what_a_client_cannot_take_is_refused_with_the_way_that_works(tmp_path: Path) -> None:
    machine = machine_at(tmp_path)
    make_client(tmp_path, get_client("claude-desktop"))
    with pytest.raises(Unsupported, match="stdio"):
        plan_install(get_client("claude-desktop"), connection(), machine, transport=Transport.STREAMABLE_HTTP)
    with pytest.raises(Unsupported, match="Settings"):
        plan_install(get_client("jetbrains"), connection(), machine)
    with pytest.raises(Unsupported, match="in a project"):
        plan_install(get_client("windsurf"), connection(), machine, scope=Scope.PROJECT, project_folder=tmp_path)
    assert find_status(get_client("raycast"), connection(), machine).problem is not None


def test_a_file_somebody_else_wrote_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    client = get_client("claude-code")
    path = make_client(tmp_path, client, "{}")
    plan = plan_install(client, connection(), machine_at(tmp_path))
    path.write_text('{"numStartups": 2}')
    with pytest.raises(FileChanged):
        apply(plan)
    assert path.read_text() == '{"numStartups": 2}'


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    cursor = get_client("cursor")
    path = make_client(tmp_path, cursor)
    real = tmp_path / "dotfiles.json"
    real.write_text("{}")
    path.symlink_to(real)
    apply(plan_install(cursor, connection(), machine_at(tmp_path)))
    assert path.is_symlink()
    assert "hw-orders" in real.read_text()


def test_a_project_cannot_lead_us_out_of_itself(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / ".cursor").mkdir(parents=True)
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    (project / ".cursor" / "mcp.json").symlink_to(outside)
    plan = plan_install(get_client("cursor"), connection(), machine_at(tmp_path), scope=Scope.PROJECT, project_folder=project)
    with pytest.raises(UneditableFile):
        apply(plan)
    assert outside.read_text() == "{}"


@pytest.mark.skipif(os.name == "nt", reason="modes are of POSIX")
def test_a_project_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / ".cursor").mkdir()
    path = tmp_path / ".cursor" / "mcp.json"
    path.write_text("{}")
    path.chmod(0o644)
    apply(plan_install(get_client("cursor"), connection(), machine_at(tmp_path), scope=Scope.PROJECT, project_folder=tmp_path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_failed_write_leaves_the_file_and_nothing_beside_it(tmp_path: Path) -> None:
    cursor = get_client("cursor")
    path = make_client(tmp_path, cursor, "{}")
    path.with_name(path.name + ".headwater.bak").mkdir()  # stands where the backup must go
    with pytest.raises(UneditableFile):
        apply(plan_install(cursor, connection(), machine_at(tmp_path)))
    assert path.read_text() == "{}"
    assert sorted(each.name for each in path.parent.iterdir()) == ["mcp.json", "mcp.json.headwater.bak"]


def test_a_file_that_is_not_text_is_refused_with_its_line(tmp_path: Path) -> None:
    cursor = get_client("cursor")
    path = make_client(tmp_path, cursor)
    path.write_bytes(b'{\n"a": "\xff"}')
    with pytest.raises(UnreadableFile, match="line 2: not UTF-8"):
        plan_install(cursor, connection(), machine_at(tmp_path))


def test_the_difference_is_a_unified_diff(tmp_path: Path) -> None:
    cursor = get_client("cursor")
    path = make_client(tmp_path, cursor, '{\n  "mcpServers": {}\n}\n')
    shown = plan_install(cursor, connection(), machine_at(tmp_path)).difference()
    assert shown.startswith(f"--- {path}\n+++ {path}\n@@ ")
    assert '+        "x-api-key": "********"\n' in shown


def test_nothing_a_flow_says_becomes_a_command(tmp_path: Path) -> None:
    """A config file is a program: what is started is our executable or the pinned bridge, whatever the rest says."""
    for name in ("hw-$(id)", "a;b", "../x", "Ä", "", "x" * 27, "-a"):
        with pytest.raises(InstallationProblem):
            Connection(name, HTTP_URL)
    for address in (
        "javascript:alert(1)",
        "http://h/a b",
        "http://h/`id`",
        "http://h/&calc",
        "file:///etc/passwd",
        "http://u:p@h/",
        "http://h/%PATH%",
    ):
        with pytest.raises(InstallationProblem):
            Connection("hw-orders", address)
    for client in CLIENTS:
        own = client.command(connection(), KeyHandling.IN_FILE, machine_at(tmp_path))
        public = client.command(connection(executable=None), KeyHandling.IN_FILE, machine_at(tmp_path))
        assert (own.program, own.arguments) == (str(EXECUTABLE), ("connect", HTTP_URL))
        assert (public.program, public.arguments[:3]) == ("npx", ("-y", "mcp-remote@0.15.1", HTTP_URL))


def test_formats_are_those_of_the_files() -> None:
    suffixes = {FileFormat.JSON: {".json", ".jsonc"}, FileFormat.TOML: {".toml"}, FileFormat.YAML: {".yaml"}}
    for client in HERE:
        assert {file.suffix for file in client.user_files(machine_at(PurePosixPath("/h")))} <= suffixes[client.file_format]
