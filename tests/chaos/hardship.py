"""Servers and workers in processes of their own, to be killed, stopped and started again on the same data."""

import itertools
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests import flow_documents as flows
from tests.running_server import free_port

PLUGIN = Path(__file__).parents[1] / "plugin"
START_SECONDS = 60
PASSWORD = "a-long-password"
# Of no use but to be given: a client that makes its own reads every certificate of the machine, 20 ms of computing that floods would pay.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
FINAL = frozenset({"completed", "failed", "cancelled", "interrupted"})

T = TypeVar("T")


@dataclass
class Process:
    """One `headwater` command and what it printed, in a file."""

    running: "subprocess.Popen[bytes]"
    log: Path

    def kill(self) -> None:
        self.running.kill()
        self.running.wait(timeout=10)

    def terminate(self, *, seconds: float = 60) -> int:
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(timeout=seconds)

    @property
    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@dataclass
class Place:
    """Where the processes of one test keep their things. `http` talks to whatever listens on its one port."""

    folder: Path
    database_url: str | None
    port: int = field(default_factory=free_port)
    processes: list[Process] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    key: str = ""

    @property
    def is_postgresql(self) -> bool:
        return self.database_url is not None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def effects(self) -> list[tuple[str, str]]:
        """(run, vertex) of each beginning of an Effect, in order."""
        path = self.folder / "effects"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(run, vertex) for run, vertex in (line.split() for line in lines)]

    def run(self, *arguments: str, prepare: Callable[[], None] | None = None, **environment: str) -> Process:
        """A `headwater` command on this place's data; `prepare` is called in its process before it begins."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER_", "LANGFLOW_"))}
        clean |= {
            "HEADWATER_DATA_DIR": str(self.folder / "data"),
            "HEADWATER_SUPERUSER_PASSWORD": PASSWORD,
            "HEADWATER_LOGINS_PER_MINUTE": "10000",
            "HEADWATER_MAX_RUNNING_CALLS_PER_KEY": "0",
            "TEST_EFFECTS_FILE": str(self.folder / "effects"),
            "PYTHONPATH": f"{PLUGIN}{os.pathsep}{Path(__file__).parents[2]}",
        }
        if self.database_url is not None:
            clean["HEADWATER_DATABASE_URL"] = self.database_url
        log = self.folder / f"process-{len(self.processes)}.log"
        with log.open("wb") as output:
            running = subprocess.Popen(
                [sys.executable, "-m", "mcp_server", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean | self.environment | environment,
                preexec_fn=prepare,
            )
        process = Process(running, log)
        self.processes.append(process)
        return process

    def serve(self, *arguments: str, prepare: Callable[[], None] | None = None, **environment: str) -> Process:
        """A server on this place's port, once it answers; the first one makes the key."""
        process = self.run("serve", "--port", str(self.port), *arguments, prepare=prepare, **environment)
        wait_for(lambda: self._is_healthy(process), what=f"the server: {process.log}")
        if not self.key:
            with httpx.Client(base_url=self.address, verify=NO_TLS) as http:
                session = http.post("/api/v1/login", data={"username": "admin", "password": PASSWORD}).raise_for_status().json()
                bearer = {"authorization": f"Bearer {session['access_token']}"}
                made = http.post("/api/v1/api_key/", json={"name": "chaos"}, headers=bearer).raise_for_status().json()
            self.key = made["api_key"]
        return process

    def _is_healthy(self, process: Process) -> bool:
        if process.running.poll() is not None:
            raise AssertionError(f"the server ended with {process.running.returncode}:\n{process.printed}")
        try:
            return httpx.get(f"{self.address}/health_check", timeout=5, verify=NO_TLS).status_code == 200
        except httpx.TransportError:
            return False

    def http(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.address, headers={"x-api-key": self.key}, verify=NO_TLS, **{"timeout": 30, **options})

    def make_flow(self, name: str, document: dict[str, Any], **fields: Any) -> str:
        with self.http() as http:
            answer = http.post("/api/v1/flows/", json={"name": name, "data": document, **fields})
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

    def state_of(self, http: httpx.Client, run_id: str) -> str:
        answer = http.get(f"/api/v1/runs/{run_id}")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["state"])

    def states(self, run_ids: Iterable[str]) -> dict[str, str]:
        with self.http() as http:
            return {run_id: self.state_of(http, run_id) for run_id in run_ids}

    def wait_until_over(self, run_ids: Iterable[str], *, seconds: float = 90) -> dict[str, str]:
        """The final state of each."""
        open_runs, ended = list(run_ids), dict[str, str]()
        with self.http() as http:

            def look() -> bool:
                for run_id in tuple(open_runs):
                    if (state := self.state_of(http, run_id)) in FINAL:
                        ended[run_id] = state
                        open_runs.remove(run_id)
                return not open_runs

            try:
                wait_for(look, seconds=seconds, what="the runs to end")
            except AssertionError as error:
                raise AssertionError(f"{error}: {[http.get(f'/api/v1/runs/{run_id}').json() for run_id in open_runs[:3]]}") from None
        return ended

    def kill_all(self) -> None:
        for process in self.processes:
            if process.running.poll() is None:
                process.kill()


def run_once(http: httpx.Client, flow_id: str) -> httpx.Response:
    return http.post(f"/api/v1/run/{flow_id}", json={"input_value": "hi"})


def resources(process: Process) -> dict[str, int]:
    """Open files, threads and megabytes of a process."""
    folder = Path(f"/proc/{process.running.pid}")
    resident = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("VmRSS"))
    return {
        "files": len(list((folder / "fd").iterdir())),
        "threads": len(list((folder / "task").iterdir())),
        "megabytes": int(resident.split()[1]) // 1024,
    }


def spent_seconds(process: Process) -> float:
    """Of computing so far."""
    fields = Path(f"/proc/{process.running.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))]


def wait_for(look: Callable[[], T | None], *, seconds: float = START_SECONDS, what: str) -> T:
    """What `look` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.05)
    return found


def three_steps(seconds: float = 0.2) -> dict[str, Any]:
    """Chat input → three effects, of which the one in the middle takes its time → chat output."""
    effects = [
        flows.node("HeadwaterTestEffect", f"HeadwaterTestEffect-{name}", {"text": "", "seconds": taken})
        for name, taken in (("a", 0.0), ("b", seconds), ("c", 0.0))
    ]
    ids = ["ChatInput-in", *(node["id"] for node in effects)]
    return flows.document(
        [flows.chat_input(), *effects, flows.chat_output()],
        [
            *(flows.edge(source, target, "text") for source, target in itertools.pairwise(ids)),
            flows.edge(ids[-1], "ChatOutput-out", "input_value"),
        ],
    )
