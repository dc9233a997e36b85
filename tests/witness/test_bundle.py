"""A project's bundle in the hands of the official packer, then of an SDK that nobody here wrote. Run by `make witness`; needs npm."""

import json
import subprocess
import urllib.request
from pathlib import Path

import pytest

from client_configs.bundle import bundle
from tests.client_configs.machines import connection
from tests.running_server import running_server
from tests.witness.project import INSTALL_SECONDS
from tests.witness.test_foreign_clients import ANSWER, ARGUMENTS, EXPECTED_TOOLS, HERE, TOOL, install_node_clients, run_node

pytestmark = [pytest.mark.witness, pytest.mark.timeout(INSTALL_SECONDS + 120)]

PACKER = HERE / "node_modules" / "@anthropic-ai" / "mcpb" / "dist" / "cli" / "cli.js"


@pytest.fixture(scope="module", autouse=True)
def node_clients() -> None:
    install_node_clients()


def test_the_official_packer_takes_the_bundle_and_what_it_starts_is_the_project(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        address = server.project_address.replace("/streamable", "/bundle")
        file, folder = tmp_path / "project.mcpb", tmp_path / "unpacked"
        with urllib.request.urlopen(urllib.request.Request(address, headers={"x-api-key": server.key}), timeout=30) as answer:
            file.write_bytes(answer.read())
        output = run_node("bundle.mjs", str(file), str(folder), server.key, TOOL, json.dumps(ARGUMENTS), home=tmp_path)
        seen = json.loads(output.strip().splitlines()[-1])
    assert (seen["isUnpacked"], seen["isValid"], seen["startsWithoutKey"]) == (True, True, False)
    assert seen["args"] == [str(folder / "server" / "main.py"), server.project_address]
    assert set(seen["tools"]) == EXPECTED_TOOLS
    assert ANSWER in seen["result"]["content"][0]["text"]


def test_the_official_packer_packs_the_bundle_again(tmp_path: Path) -> None:
    file = tmp_path / "project.mcpb"
    file.write_bytes(bundle(connection(), title="Orders", version="1.2.3"))
    out = str(tmp_path / "out")
    for arguments in (("unpack", str(file), out), ("validate", out), ("pack", out)):
        command = [str(HERE / "node_modules" / ".bin" / "node"), str(PACKER), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
