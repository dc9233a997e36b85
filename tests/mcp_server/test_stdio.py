"""`headwater stdio`: one project on standard input and output, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.application import open_application
from tests.flow_documents import echo


def command(data_dir: Path, project: str) -> list[str]:
    return ["-m", "mcp_server", "stdio", "--project", project, "--data-dir", str(data_dir)]


@pytest.fixture
async def data_dir(tmp_path: Path) -> Path:
    """A data folder whose first project has one echo tool."""
    async with open_application(tmp_path / "data") as application:
        draft = {
            "name": "Stdio echo",
            "data": echo(),
            "folder_id": application.project_id,
            "mcp_enabled": True,
            "action_name": "stdio_echo",
        }
        answer = await application.http.post("/api/v1/flows/", json=draft)
        assert answer.status_code == 201, answer.text
    return tmp_path / "data"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_project_is_served_on_stdio_in_both_eras(data_dir: Path, mode: str) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    server = StdioServerParameters(command=sys.executable, args=command(data_dir, "Starter Project"), env=dict(os.environ))
    async with Client(stdio_client(server), mode=mode) as client:
        assert client.server_info is not None
        assert client.server_info.title == "Starter Project"
        assert "stdio_echo" in [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("stdio_echo", {"input_value": "through the pipe ✓"}, progress_callback=note)
        wrong = await client.call_tool("stdio_echo", {"colour": "red"})
    assert [block.model_dump()["text"] for block in result.content] == ["through the pipe ✓"]
    assert wrong.is_error
    assert [progress for progress, _, _ in told] == [0, 1, 2]


def test_an_unknown_project_ends_the_start_with_its_name_and_leaves_standard_output_to_the_protocol(data_dir: Path) -> None:
    ended = subprocess.run(
        [sys.executable, *command(data_dir, "No such")], input="", capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode != 0
    assert "No such" in ended.stderr
    assert ended.stdout == ""


def test_standard_output_carries_nothing_but_messages_even_after_malformed_ones(data_dir: Path) -> None:
    with subprocess.Popen(
        [sys.executable, *command(data_dir, "Starter Project")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write('{\nnull\n{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        process.stdin.close()
        rest = process.stdout.read()
    assert answer == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert rest == ""
    assert process.returncode == 0
