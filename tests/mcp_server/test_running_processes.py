"""Which processes are alive, told by locks that die with them."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcp_server import running_processes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks on Windows; leases decide there")


def test_a_process_is_alive_while_it_is_announced_and_not_before_or_after(tmp_path: Path) -> None:
    assert running_processes.dead_among(tmp_path, ["one"]) == ["one"]
    with running_processes.announced(tmp_path, "one"):
        assert running_processes.dead_among(tmp_path, ["one", "two"]) == ["two"]
    assert running_processes.dead_among(tmp_path, ["one"]) == ["one"]


def test_a_killed_process_is_dead_at_once_and_its_file_goes(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from mcp_server import running_processes\n"
        "with running_processes.announced(pathlib.Path(sys.argv[1]), 'killed'):\n"
        "    print('here', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        assert running_processes.dead_among(tmp_path, ["killed"]) == []
        process.kill()
        process.wait()
        running_processes.forget_the_dead(tmp_path)
    assert list((tmp_path / "processes").iterdir()) == []
    assert running_processes.dead_among(tmp_path, ["killed"]) == ["killed"]
