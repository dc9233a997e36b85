"""Foreign clients list, call, follow progress and give a call up; what one of them cannot do is said here and in README.md."""

import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running_server import running_server
from tests.witness.project import INSTALL_SECONDS, LONG, SLOW, TASK_AFTER_SECONDS, TEXT, TOOLS, WitnessProject, make_project
from tests.witness.test_foreign_clients import NODE, install_node_clients

pytestmark = [pytest.mark.witness, pytest.mark.timeout(INSTALL_SECONDS + 120)]

HERE = Path(__file__).parent
PYTHON_CLIENTS = HERE / "python_clients"
PLUGIN = HERE.parent / "plugin"
VENVS = Path(os.environ.get("WITNESS_VENVS") or Path(sys.prefix) / "witness")  # goes when .venv goes
ROOT = HERE.parents[1]
ALL = os.environ.get("WITNESS") == "all"

in_full_only = pytest.mark.skipif(not ALL, reason="part of `make witness WITNESS=all`")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WitnessProject]:
    environment = {"PYTHONPATH": os.pathsep.join((str(PLUGIN), str(ROOT))), "HEADWATER_TASK_AFTER_SECONDS": str(TASK_AFTER_SECONDS)}
    with running_server(tmp_path_factory.mktemp("data"), environment=environment) as server:
        yield make_project(server)


def python_of(name: str) -> Path:
    """The interpreter of the clients that `<name>.lock` lists; they cannot share our own packages, nor each other's."""
    lock, folder = PYTHON_CLIENTS / f"{name}.lock", VENVS / name
    python, stamp = folder / "bin" / "python", folder / "installed.lock"
    if not stamp.exists() or stamp.read_text() != lock.read_text():
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        if done.returncode:
            unreachable = any(
                word in done.stderr for word in ("Max retries", "Failed to establish", "timed out", "No matching distribution")
            )
            (pytest.skip if unreachable else pytest.fail)(f"The clients of {lock.name} could not be installed: {done.stderr[-500:]}")
        stamp.write_text(lock.read_text())
    return python


def say(command: list[str], cwd: Path) -> dict[str, Any]:
    """What a client's script tells on its last line."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def assert_lists_and_calls(told: dict[str, Any]) -> None:
    assert set(told["tools"]) >= TOOLS
    assert TEXT in told["text"]


def assert_follows_progress(told: dict[str, Any]) -> None:
    assert len(told["progress"]) >= 4
    assert told["progress"] == sorted(set(told["progress"]))


def state_of_newest(project: WitnessProject, tool: str, *, until: str) -> str:
    """The state of a tool's newest run, once it is the wanted one or after half a minute."""
    deadline = time.monotonic() + 30
    while True:
        runs = project.runs(tool)
        assert runs, f"no run of {tool} was begun"
        if runs[0]["state"] == until or time.monotonic() > deadline:
            return str(runs[0]["state"])
        time.sleep(0.05)


def assert_ends_by_cancelling(project: WitnessProject, before: int) -> None:
    assert len(project.runs(SLOW)) == before + 1
    assert state_of_newest(project, SLOW, until="cancelled") == "cancelled"


def assert_does_all(project: WitnessProject, command: list[str], cwd: Path) -> None:
    before = len(project.runs(SLOW))
    told = say(command, cwd)
    assert_lists_and_calls(told)
    assert_follows_progress(told)
    assert_ends_by_cancelling(project, before)


@pytest.mark.parametrize("way", ["v1", "v2", pytest.param("v1-sse", marks=in_full_only), pytest.param("v2-legacy", marks=in_full_only)])
def test_the_typescript_sdks_do_all(project: WitnessProject, way: str) -> None:
    install_node_clients()
    address = project.sse_address if way == "v1-sse" else project.address
    assert_does_all(project, [str(NODE), "steps.mjs", address, project.key, way], HERE)


def test_mcp_remote_does_all(project: WitnessProject) -> None:
    install_node_clients()
    assert_does_all(project, [str(NODE), "steps.mjs", project.address, project.key, "mcp-remote"], HERE)


@in_full_only
def test_supergateway_lists_and_calls_and_passes_no_progress_on_but_cancels(project: WitnessProject) -> None:
    install_node_clients()
    told = say([str(NODE), "steps.mjs", project.address, project.key, "supergateway"], HERE)
    assert_lists_and_calls(told)
    assert told["progress"] == []
    assert state_of_newest(project, SLOW, until="cancelled") == "cancelled"


@pytest.mark.parametrize("mode", ["auto", pytest.param("legacy", marks=in_full_only)])
def test_fastmcp_does_all(project: WitnessProject, mode: str) -> None:
    command = [str(python_of("newer")), "fastmcp_client.py", project.address, project.key, "http", mode]
    assert_does_all(project, command, PYTHON_CLIENTS)


def test_fastmcp_waits_for_a_task_and_cancels_one(project: WitnessProject) -> None:
    told = say([str(python_of("newer")), "fastmcp_task_client.py", project.address, project.key], PYTHON_CLIENTS)
    assert TEXT in told["text"]
    assert (told["before"], told["after"]) == ("working", "cancelled")
    assert state_of_newest(project, SLOW, until="cancelled") == "cancelled"
    assert state_of_newest(project, LONG, until="completed") == "completed"


def test_pydantic_ai_does_all(project: WitnessProject) -> None:
    assert_does_all(project, [str(python_of("newer")), "pydantic_ai_client.py", project.address, project.key], PYTHON_CLIENTS)


@in_full_only
def test_openai_agents_does_all_but_follow_progress(project: WitnessProject) -> None:
    before = len(project.runs(SLOW))
    told = say([str(python_of("newer")), "openai_agents_client.py", project.address, project.key, "http"], PYTHON_CLIENTS)
    assert_lists_and_calls(told)
    assert_ends_by_cancelling(project, before)


@in_full_only
def test_langchain_mcp_adapters_does_all_but_cancel(project: WitnessProject) -> None:
    told = say([str(python_of("older")), "langchain_client.py", project.address, project.key, "streamable_http"], PYTHON_CLIENTS)
    assert_lists_and_calls(told)
    assert_follows_progress(told)
    assert state_of_newest(project, SLOW, until="running") == "running"


@in_full_only
def test_mcp_proxy_does_all_but_cancel(project: WitnessProject) -> None:
    told = say([str(python_of("older")), "mcp_proxy_client.py", project.address, project.key, "streamablehttp"], PYTHON_CLIENTS)
    assert_lists_and_calls(told)
    assert_follows_progress(told)
    assert state_of_newest(project, SLOW, until="running") == "running"
