"""The bundle as a file: what its manifest says, that it holds no secret, and that nothing but Python is needed to run it."""

import ast
import io
import json
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from client_configs import bundle as bundles
from client_configs.bundle import ListedTool, bundle, bundle_name, make_manifest
from client_configs.connection import Connection
from client_configs.problems import InvalidConnection
from client_configs.project_connection import project_connection, server_names
from client_configs.server_manifest import make_server_manifest
from tests.client_configs.machines import HTTP_URL, KEY, SSE_URL, connection
from tests.client_configs.scripted_server import SECONDS, Answering, Received, scripted_server

VERSION = "1.2.3"
BRIDGE = files("client_configs.bundle_files")


def manifest_of(given: Connection | None = None, **texts: Any) -> dict[str, Any]:
    return make_manifest(given or connection(), **{"title": "Orders", "version": VERSION, **texts})


def test_the_manifest_starts_the_bridge_with_the_address_and_hands_it_the_key_from_the_keychain() -> None:
    manifest = manifest_of(tools=[ListedTool("find_order", "Finds\nan order.")])
    server = manifest["server"]
    assert (manifest["manifest_version"], manifest["name"], manifest["display_name"]) == ("0.3", "hw-orders", "Orders")
    assert (server["type"], server["entry_point"]) == ("python", "server/main.py")
    assert server["mcp_config"] == {
        "command": "python3",
        "args": ["${__dirname}/server/main.py", HTTP_URL],
        "env": {"HEADWATER_API_KEY": "${user_config.api_key}"},
        "platform_overrides": {"win32": {"command": "python"}},
    }
    setting = manifest["user_config"]["api_key"]
    assert (setting["type"], setting["sensitive"], setting["required"], "default" in setting) == ("string", True, True, False)
    assert manifest["tools"] == [{"name": "find_order", "description": "Finds an order."}]
    assert manifest["compatibility"]["runtimes"] == {"python": ">=3.9"}


def test_a_server_without_keys_asks_for_none() -> None:
    manifest = manifest_of(connection(needs_key=False, key=None))
    assert "user_config" not in manifest and "env" not in manifest["server"]["mcp_config"]


def test_texts_of_a_project_stay_texts_of_bounded_length() -> None:
    manifest = manifest_of(title="  ${__dirname}\n" + "x" * 2000, description="\x00 ")
    assert manifest["display_name"].startswith("$ {__dirname} xx") and len(manifest["display_name"]) == 500
    assert manifest_of(title=" \n ")["display_name"] == "hw-orders"
    assert "Orders" in manifest_of()["description"] and manifest_of(description="Of shops.")["description"] == "Of shops."


def test_the_file_holds_the_bridge_and_no_secret_and_is_the_same_each_time() -> None:
    content = bundle(connection(), title="Orders", version=VERSION)
    assert content == bundle(connection(key="sk-another-key-000000000"), title="Orders", version=VERSION)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert sorted(texts) == [
        "manifest.json",
        "server/headwater_bridge/__init__.py",
        "server/headwater_bridge/bridge.py",
        "server/headwater_bridge/exchange.py",
        "server/headwater_bridge/messages.py",
        "server/main.py",
    ]
    assert all(KEY not in text for text in texts.values())
    assert json.loads(texts["manifest.json"]) == manifest_of()
    assert bundle_name(connection()) == "hw-orders.mcpb"


def test_every_file_of_the_bridge_is_in_the_bundle() -> None:
    there = {each.name for each in BRIDGE.iterdir() if each.name.endswith(".py")}
    assert there == {*bundles.BRIDGE_FILES, "main.py"}


@pytest.mark.parametrize("name", [*bundles.BRIDGE_FILES, "main.py"])
def test_the_bridge_is_python_3_9_and_imports_only_the_standard_library_and_itself(name: str) -> None:
    tree = ast.parse(BRIDGE.joinpath(name).read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").split(".")[0] in sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1 and f"{node.module}.py" in bundles.BRIDGE_FILES


def test_a_server_json_names_every_transport_and_that_a_key_is_needed() -> None:
    header = {"name": "x-api-key", "description": "A Headwater API key", "isRequired": True, "isSecret": True}
    assert make_server_manifest(connection(), title="Orders", version=VERSION) == {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": "local/hw-orders",
        "title": "Orders",
        "description": "The tools of the project Orders on Headwater.",
        "version": VERSION,
        "remotes": [
            {"type": "streamable-http", "url": HTTP_URL, "headers": [header]},
            {"type": "sse", "url": SSE_URL, "headers": [header]},
        ],
    }
    long = make_server_manifest(connection(), title="t" * 200, description="d " * 200, version=VERSION)
    assert (len(long["title"]), len(long["description"])) == (100, 100) and long["description"].endswith("…")
    alone = Connection("hw-orders", HTTP_URL, needs_key=False)
    assert make_server_manifest(alone, title="", version=VERSION)["remotes"] == [{"type": "streamable-http", "url": HTTP_URL}]


@pytest.mark.parametrize(
    ("base_url", "publisher"),
    [
        ("https://tools.example.org", "org.example.tools"),
        ("https://Tools.Example.org./", "org.example.tools"),
        ("http://127.0.0.1:7860", "local"),
        ("http://localhost:7860", "local"),
        ("http://10.0.0.4:7860", "10.0.0.4"),
        ("http://[fd00::5]:7860", "ipv6-fd00-5"),
        ("http://nas", "nas"),
    ],
)
def test_the_publisher_of_a_server_json_is_the_host_in_reverse(base_url: str, publisher: str) -> None:
    made = project_connection(base_url, "0190d3b0-6a4e-7cc1-b5a0-2f2f3f0c9d11", "hw-orders")
    assert make_server_manifest(made, title="Orders", version=VERSION)["name"] == f"{publisher}/hw-orders"


def test_projects_that_would_share_a_name_do_not() -> None:
    projects = [("aaaaaaaa-1", "Orders"), ("bbbbbbbb-2", "orders"), ("cccccccc-3", "Other")]
    assert server_names(projects) == {"aaaaaaaa-1": "hw-orders", "bbbbbbbb-2": "hw-orders-bbbbbbb2", "cccccccc-3": "hw-other"}


def test_an_address_that_no_client_can_be_given_is_refused() -> None:
    for base_url in ("ftp://h", "http://under_score", "http://h/?x", "http://user@h"):
        with pytest.raises(InvalidConnection):
            project_connection(base_url, "p", "hw-orders")


def test_an_unpacked_bundle_runs_on_bare_python_and_ends_with_its_client(tmp_path: Path) -> None:
    """`-I -S`: nothing that is installed, nothing of the environment, not even the script's own folder."""
    content = bundle(connection(), title="Orders", version=VERSION)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path)

    def script(handler: Answering, received: Received) -> None:
        if received.message["method"] == "tools/list":
            handler.answer(200, {"jsonrpc": "2.0", "id": received.message["id"], "result": {"tools": []}})
        else:
            handler.begin_stream()
            handler.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})
            handler.wait_until_closed()

    def line(method: str) -> bytes:
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
        return json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": {"name": "t", "_meta": meta}}).encode() + b"\n"

    with scripted_server(script) as server:
        command = [sys.executable, "-I", "-S", str(tmp_path / "server" / "main.py"), server.address]
        with subprocess.Popen(command, env={"HEADWATER_API_KEY": KEY}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(line("tools/list"))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["result"] == {"tools": []}
            process.stdin.write(line("tools/call"))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["method"] == "notifications/progress"
            process.stdin.close()
            assert process.wait(SECONDS) == 0
        assert server.closed.wait(SECONDS)
        assert {each.headers["x-api-key"] for each in server.received} == {KEY}
