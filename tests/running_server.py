"""A real `headwater serve` in a process of its own, for tests that must cross a socket."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60  # a start takes two seconds of a core, which a busy machine may give it a tenth of


@dataclass(frozen=True)
class RunningServer:
    """What the first start printed, and the process behind it."""

    address: str  # http://127.0.0.1:PORT
    key: str
    project_address: str  # the first project's streamable MCP address
    process: "subprocess.Popen[str]"
    printed: list[str]

    @property
    def sse_address(self) -> str:
        return self.project_address.replace("/streamable", "/sse")

    @property
    def global_address(self) -> str:
        return f"{self.address}/api/v1/mcp/streamable"


def free_port() -> int:
    """One to be used later: from below those that systems give out by themselves, which another test might be given meanwhile."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def running_server(
    data_dir: Path, *, environment: dict[str, str] | None = None, arguments: tuple[str, ...] = (), port: int | None = None
) -> Iterator[RunningServer]:
    """Start on a free port (or this one) with an empty data directory; stops with SIGTERM and expects exit code 0."""
    port = port or free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER_", "LANGFLOW_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "mcp_server", "serve", "--port", str(port), "--data-dir", str(data_dir), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean | (environment or {}),
    )
    printed: list[str] = []
    reader = threading.Thread(target=_read, args=(process, printed), daemon=True)
    reader.start()
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_healthy(process, address, printed)
        text = "".join(printed)
        key = re.search(r"sk-[A-Za-z0-9_-]{43}", text)
        project = re.search(r"http://\S+/api/v1/mcp/project/[0-9a-f-]{36}/streamable", text)
        yield RunningServer(address, key.group() if key else "", project.group() if project else "", process, printed)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=START_SECONDS)
        reader.join(timeout=5)
        if process.stdout is not None:
            process.stdout.close()


def _read(process: "subprocess.Popen[str]", printed: list[str]) -> None:
    if process.stdout is not None:
        for line in process.stdout:
            printed.append(line)


def _wait_until_healthy(process: "subprocess.Popen[str]", address: str, printed: list[str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode}:\n{''.join(printed)}")
        try:
            with urllib.request.urlopen(f"{address}/health_check", timeout=2) as answer:
                # What it prints on the first start follows the first healthy answer closely.
                if answer.status == 200 and any("/api/v1/mcp/" in line for line in list(printed)):
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"the server was not healthy within {START_SECONDS} s:\n{''.join(printed)}")
