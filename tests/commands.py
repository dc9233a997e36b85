"""The `headwater` command in processes of their own that have the server's modules already.

A command spends most of its time with imports, and a test may run eight of them. They are forked from one process that has imported
everything and does nothing else, so each still has its own environment, streams and end. What depends on how the interpreter starts is
tested with `running_server` and with plain subprocesses.
"""

import multiprocessing
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60
PRELOADED = ["mcp_server.cli", "mcp_server.wiring", "mcp_server.first_start", "projects.starter_flows", "storage.tables"]

if sys.platform == "win32":
    _processes = multiprocessing.get_context("spawn")  # each pays for its imports
else:
    _processes = multiprocessing.get_context("forkserver")
    _processes.set_forkserver_preload(PRELOADED)


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


def headwater(*arguments: str | Path, environment: dict[str, str] | None = None, given: str = "") -> Done:
    """Run it to its end. `environment` is added to this one's, without its settings; `given` is typed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER_", "LANGFLOW_", "OPENAI_"))}
    with tempfile.TemporaryDirectory(prefix="headwater-command-") as name:
        folder = Path(name)
        (folder / "stdin").write_text(given)
        process = _processes.Process(target=_run, args=([*map(str, arguments)], clean | (environment or {}), folder))
        process.start()
        process.join(SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode
        process.close()
        assert code is not None
        return Done(code, (folder / "stdout").read_text(), (folder / "stderr").read_text())


def _run(arguments: list[str], environment: dict[str, str], folder: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, (stream, flags) in enumerate(
        (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY | os.O_CREAT), ("stderr", os.O_WRONLY | os.O_CREAT))
    ):
        descriptor = os.open(folder / stream, flags)
        os.dup2(descriptor, number)
        os.close(descriptor)
        setattr(sys, stream, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115 - until the end
    sys.argv = ["headwater", *arguments]

    from mcp_server.cli import main

    main()
