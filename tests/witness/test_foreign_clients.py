"""Clients that nobody here wrote list and call the first project's tools. Run by `make witness`; needs Node and npm."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from tests.running_server import RunningServer, running_server
from tests.witness.project import INSTALL_SECONDS

pytestmark = [pytest.mark.witness, pytest.mark.timeout(INSTALL_SECONDS + 120)]

HERE = Path(__file__).parent
LOCK = HERE / "package-lock.json"
INSTALLED = HERE / "node_modules" / ".installed.json"
NODE = HERE / "node_modules" / ".bin" / "node"
INSPECTOR = HERE / "node_modules" / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
TOOL = "evaluate_expression"
ARGUMENTS = {"input_value": "6 * 7"}
ANSWER = "42"
EXPECTED_TOOLS = {"split_text_into_chunks", "evaluate_expression", "json_rows_to_table", "fill_template"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def node_clients() -> None:
    install_node_clients()


def install_node_clients() -> None:
    """`npm ci` once: exact versions, hashes from the lock file."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: the Node clients cannot be tried here")
    if not NODE.exists() or not INSTALLED.exists() or INSTALLED.read_text() != LOCK.read_text():
        subprocess.run(["npm", "ci", "--no-progress"], cwd=HERE, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        INSTALLED.write_text(LOCK.read_text())


def run_node(*arguments: str, home: Path | None = None) -> str:
    environment = os.environ | ({"HOME": str(home), "MCP_CATALOG_PATH": str(home / "catalog.json")} if home else {})
    done = subprocess.run([str(NODE), *arguments], cwd=HERE, capture_output=True, text=True, timeout=90, env=environment, check=False)
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def assert_works(output: str) -> None:
    seen: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    assert set(seen["tools"]) == EXPECTED_TOOLS
    assert seen["result"].get("isError") in (None, False)
    assert ANSWER in seen["result"]["content"][0]["text"]


def test_the_typescript_sdk_v1_lists_and_calls_over_streamable_http(server: RunningServer) -> None:
    assert_works(run_node("typescript_sdk_v1.mjs", server.project_address, server.key, "http", TOOL, json.dumps(ARGUMENTS)))


def test_the_typescript_sdk_v1_lists_and_calls_over_sse(server: RunningServer) -> None:
    assert_works(run_node("typescript_sdk_v1.mjs", server.sse_address, server.key, "sse", TOOL, json.dumps(ARGUMENTS)))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_typescript_sdk_v2_lists_and_calls(server: RunningServer, mode: str) -> None:
    assert_works(run_node("typescript_sdk_v2.mjs", server.project_address, server.key, mode, TOOL, json.dumps(ARGUMENTS)))


def test_mcp_remote_lists_and_calls_on_stdio(server: RunningServer, tmp_path: Path) -> None:
    assert_works(run_node("mcp_remote.mjs", server.project_address, server.key, TOOL, json.dumps(ARGUMENTS), home=tmp_path))


@pytest.mark.parametrize("era", ["legacy", "modern", "auto"])
def test_the_inspector_finds_nothing_wrong_with_the_tools_in_strict_mode(server: RunningServer, tmp_path: Path, era: str) -> None:
    common = [
        "--cli",
        "--server-url",
        server.project_address,
        "--transport",
        "http",
        "--protocol-era",
        era,
        "--header",
        f"x-api-key: {server.key}",
    ]
    listed = run_node(str(INSPECTOR), *common, "--method", "tools/list", "--strict", "--format", "json", "-q", home=tmp_path)
    assert {tool["name"] for tool in find_tools(json.loads(listed))} == EXPECTED_TOOLS
    called = run_node(
        str(INSPECTOR),
        *common,
        "--method",
        "tools/call",
        "--tool-name",
        TOOL,
        "--tool-arg",
        "input_value=6 * 7",
        "--format",
        "json",
        "-q",
        home=tmp_path,
    )
    assert ANSWER in called


def find_tools(listed: Any) -> list[dict[str, Any]]:
    if isinstance(listed, dict):
        if isinstance(listed.get("tools"), list):
            return list(listed["tools"])
        return next((found for value in listed.values() if (found := find_tools(value))), [])
    return []


async def test_the_python_sdk_lists_and_calls_in_every_era(server: RunningServer) -> None:
    headers = {"x-api-key": server.key}
    for mode in ("auto", "legacy"):
        async with (
            asyncio.timeout(20),
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(server.project_address, http_client=http), mode=mode) as client,
        ):
            assert {tool.name for tool in (await client.list_tools()).tools} == EXPECTED_TOOLS
            assert ANSWER in (await client.call_tool(TOOL, ARGUMENTS)).content[0].text  # type: ignore[union-attr]
    async with asyncio.timeout(20), Client(sse_client(server.sse_address, headers=headers), mode="legacy") as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == EXPECTED_TOOLS
        assert ANSWER in (await client.call_tool(TOOL, ARGUMENTS)).content[0].text  # type: ignore[union-attr]
