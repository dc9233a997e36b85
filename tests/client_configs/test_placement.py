"""Where client and server do not share a loopback, and what the installation does about it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from client_configs.client import Client, Scope
from client_configs.connection import Transport
from client_configs.installation import apply, find_key, plan_install
from client_configs.locations import Machine
from client_configs.placement import container_note, placement_notes, reaching_transport
from client_configs.registry import CLIENTS, find_client
from tests.client_configs.machines import KEY, LINUX, MACOS, WINDOWS, WSL, connection, machine_at


def client(name: str) -> Client:
    found = find_client(name)
    assert found is not None
    return found


def test_a_program_of_windows_reaches_a_server_in_wsl_by_the_bridge_that_runs_beside_the_server() -> None:
    cursor = client("cursor")
    assert reaching_transport(cursor, connection(), WSL) is Transport.STDIO
    (note,) = placement_notes(cursor, connection(), WSL, Transport.STDIO)
    assert "WSL" in note and "Cursor" in note
    command = cursor.command(connection(), cursor.key_handling_in(Scope.USER, connection()), WSL)
    assert command.program == "wsl.exe" and KEY not in " ".join(command.arguments)


@pytest.mark.parametrize("name", ["claude-code", "codex", "gemini-cli"])
def test_programs_of_linux_share_its_loopback_in_wsl_too(name: str) -> None:
    assert reaching_transport(client(name), connection(), WSL) is None
    assert placement_notes(client(name), connection(), WSL, Transport.STREAMABLE_HTTP) == ()


@pytest.mark.parametrize("machine", [LINUX, MACOS, WINDOWS])
def test_elsewhere_and_with_a_public_address_each_client_has_its_own_way(machine: Machine) -> None:
    for each in CLIENTS:
        assert reaching_transport(each, connection(), machine) is None
        assert reaching_transport(each, connection(http_url="https://tools.example.org/x"), WSL) is None


def test_without_our_executable_there_is_no_bridge_to_prefer() -> None:
    assert reaching_transport(client("cursor"), connection(executable=None), WSL) is None


def test_outside_a_container_the_block_is_the_way_and_loopback_leads_nowhere() -> None:
    note = container_note(client("cursor"), connection())
    assert "headwater config cursor" in note and "HEADWATER_PUBLIC_URL" in note
    assert "HEADWATER_PUBLIC_URL" not in container_note(client("cursor"), connection(http_url="https://tools.example.org/x"))


def test_the_key_of_an_installation_is_found_in_its_entry_and_nowhere_else(tmp_path: Path) -> None:
    machine, cursor = machine_at(tmp_path), client("cursor")
    (tmp_path / ".cursor").mkdir()
    file = tmp_path / ".cursor" / "mcp.json"
    assert find_key(cursor, connection(), machine) is None
    other = {"url": "https://example.org/mcp", "headers": {"authorization": "sk-somebody-elses-secret-key"}}
    file.write_text(json.dumps({"mcpServers": {"other": other}}))
    assert find_key(cursor, connection(), machine) is None
    apply(plan_install(cursor, connection(), machine))
    assert find_key(cursor, connection(), machine) == KEY
    elsewhere = replace(connection(), server_name="hw-more", http_url="http://127.0.0.1:7860/y", sse_url=None)
    assert find_key(cursor, elsewhere, machine) is None
    file.write_text("{ broken")
    assert find_key(cursor, connection(), machine) is None
