"""What add-mcp writes into a throwaway home and what we write mean the same, client by client. Run by `make witness`; needs npm."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client_configs.client import Client
from client_configs.config_file import READ
from client_configs.connection import KeyHandling, Transport
from client_configs.installation import apply, plan_install
from client_configs.registry import find_client
from tests.client_configs.machines import EXECUTABLE, HTTP_URL, KEY, SSE_URL, connection, machine_at
from tests.witness.project import INSTALL_SECONDS
from tests.witness.test_foreign_clients import install_node_clients

pytestmark = [pytest.mark.witness, pytest.mark.timeout(INSTALL_SECONDS + 120)]

HERE = Path(__file__).parent
NODE = HERE / "node_modules" / ".bin" / "node"
NAME = "hw-orders"
CLIENTS = {
    "antigravity": "antigravity",
    "cline": "cline",
    "cline-cli": "cline-cli",
    "claude-code": "claude-code",
    "claude-desktop": "claude-desktop",
    "codex": "codex",
    "cursor": "cursor",
    "gemini-cli": "gemini-cli",
    "goose": "goose",
    "github-copilot-cli": "copilot-cli",
    "grok-build": "grok-build",
    "kilo-code": "kilo-code",
    "kimi-code": "kimi-code",
    "kiro-cli": "kiro",
    "opencode": "opencode",
    "vscode": "vs-code",
    "windsurf": "windsurf",
    "zed": "zed",
}
SERVERS: dict[Transport, dict[str, Any]] = {
    Transport.STREAMABLE_HTTP: {"type": "http", "url": HTTP_URL, "headers": {"x-api-key": KEY}},
    Transport.SSE: {"type": "sse", "url": SSE_URL, "headers": {"x-api-key": KEY}},
    Transport.STDIO: {"command": str(EXECUTABLE), "args": ["connect", HTTP_URL], "env": {"HEADWATER_API_KEY": KEY}},
}
# Where we differ on purpose; the reason stands in the client's file.
DIFFERENCES: dict[tuple[str, Transport], Callable[[dict[str, Any]], dict[str, Any]]] = {
    ("codex", Transport.STREAMABLE_HTTP): lambda theirs: {key: value for key, value in theirs.items() if key != "type"},
    ("opencode", Transport.STREAMABLE_HTTP): lambda theirs: theirs | {"oauth": False},
    ("opencode", Transport.SSE): lambda theirs: theirs | {"oauth": False},
    ("vs-code", Transport.STDIO): lambda theirs: theirs | {"type": "stdio"},
}


@pytest.fixture(scope="module", autouse=True)
def add_mcp() -> None:
    install_node_clients()


@pytest.mark.parametrize("transport", list(Transport))
def test_our_files_mean_what_those_of_add_mcp_mean(transport: Transport, tmp_path: Path) -> None:
    home, ours = tmp_path / "theirs", tmp_path / "ours"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    done = subprocess.run(
        [str(NODE), "add_mcp.mjs", NAME, json.dumps(SERVERS[transport])],
        cwd=HERE,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    written: dict[str, str] = json.loads(done.stdout)
    assert set(CLIENTS) <= set(written)
    compared = set()
    for agent, name in CLIENTS.items():
        client = find_client(name)
        assert client is not None
        if transport not in client.transports:
            continue
        plan = plan_install(
            client,
            connection(),
            machine_at(ours),
            transport=transport,
            key_handling=KeyHandling.IN_FILE,
            create_folder=True,
        )
        apply(plan)
        assert plan.path.relative_to(ours) == Path(written[agent]).relative_to(home), name
        theirs = entry_in(client, Path(written[agent]))
        change = DIFFERENCES.get((name, transport))
        assert entry_in(client, plan.path) == (theirs if change is None else change(theirs)), name
        compared.add(name)
    assert len(compared) >= 10


def entry_in(client: Client, path: Path) -> dict[str, Any]:
    entry: dict[str, Any] = client.collection.entries_of(READ[client.file_format](path.read_text()))[NAME]
    return entry
