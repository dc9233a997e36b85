"""The server starts no programs: none that a flow or a client's configuration names, and nothing that fetches code while it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("mcp_server", "rest_adapter", "projects", "storage", "client_configs")

# Module → why it may. The first two are commands that a person gives on the server's machine; neither is part of serving.
MAY_START = {
    "projects/models/local.py": "`headwater models` fetches the local model's package when it is told to",
    "mcp_server/reach.py": "a client's entry is tried as that client would start it",
    "mcp_server/workers.py": "the server's own worker processes",
    "projects/custom_code/reading.py": "this Python, to parse long code of flows; it runs nothing of it",
    "projects/custom_code/sandbox/process.py": "bubblewrap, around this Python and a worker of ours; the operator switches it on",
}
MODULES = frozenset(("subprocess", "multiprocessing", "pty"))
CALLS = frozenset(("create_subprocess_exec", "create_subprocess_shell", "subprocess_exec", "subprocess_shell", "ProcessPoolExecutor"))
OF_OS = ("fork", "exec", "spawn", "posix_spawn", "popen", "system", "startfile")


def starts_of_processes(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.partition(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                if module.partition(".")[0] in MODULES:
                    yield module
                yield from (name.name for name in names if name.name in CALLS or (module == "os" and name.name.startswith(OF_OS)))
            case ast.Attribute(value=ast.Name(id="os"), attr=name) if name.startswith(OF_OS):
                yield f"os.{name}"
            case ast.Attribute(attr=name) if name in CALLS:
                yield name
            case _:
                pass


def test_only_named_modules_start_processes_and_each_still_does() -> None:
    modules = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(modules) > 200
    found = {str(path.relative_to(ROOT)) for path in modules if any(starts_of_processes(path.read_text()))}
    assert found == set(MAY_START)


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess",
        "from subprocess import run",
        "import multiprocessing.pool",
        "import os\nos.system('x')",
        "import os\nos.execvp('npx', [])",
        "from os import posix_spawn",
        "import asyncio\nasyncio.create_subprocess_exec('uvx')",
        "from asyncio import create_subprocess_shell",
        "from concurrent.futures import ProcessPoolExecutor",
    ],
)
def test_each_way_is_found(source: str) -> None:
    assert list(starts_of_processes(source))


@pytest.mark.parametrize("source", ["import os\nos.environ", "text = 'npx -y'", "engine.execute(query)", "import asyncio"])
def test_what_starts_nothing_is_let_through(source: str) -> None:
    assert list(starts_of_processes(source)) == []
