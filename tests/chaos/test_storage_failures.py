"""Databases that go away, are locked or cannot grow any more, and folders that cannot be written. R4 and R5."""

import ctypes
import os
import resource
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from tests import flow_documents as flows
from tests.chaos.hardship import FINAL, Place, run_once, three_steps, wait_for
from tests.chaos.wire import wire_to
from tests.databases import PostgresqlServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def only(place: Place, kind: str) -> None:
    if place.is_postgresql is not (kind == "postgresql"):
        pytest.skip(f"for {kind}")


def is_told(answer: httpx.Response) -> bool:
    """Whether it is a refusal that says when to come again."""
    return answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1


class Load:
    """Clients that run a flow, and have it run in the background, until they are told to stop. They know what was promised to them."""

    def __init__(self, place: Place, flow_id: str) -> None:
        self._place = place
        self._flow_id = flow_id
        self._stopped = threading.Event()
        self.answered: list[str] = []
        self.accepted: dict[str, str] = {}  # idempotency key → run
        self.refused: list[str] = []  # keys
        self.wrong: list[str] = []

    def _ask(self, client: int) -> None:
        number = 0
        with self._place.http() as http:
            while not self._stopped.is_set():
                number += 1
                key = f"{client}-{number}"
                answer = run_once(http, self._flow_id)
                if answer.status_code == 200:
                    self.answered.append(answer.headers["x-headwater-run-id"])
                elif not is_told(answer):
                    self.wrong.append(f"{answer.status_code} {answer.text}")
                started = http.post("/api/v1/runs", json={"flow": self._flow_id}, headers={"Idempotency-Key": key})
                if started.status_code == 202:
                    self.accepted[key] = started.json()["id"]
                elif is_told(started):
                    self.refused.append(key)
                else:
                    self.wrong.append(f"{started.status_code} {started.text}")

    @contextmanager
    def going_on(self, clients: int = 4) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=(client,)) for client in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()


def test_a_database_that_is_gone_under_load_is_told_with_503_and_comes_back_without_a_restart(
    place: Place, request: pytest.FixtureRequest
) -> None:
    """R4: first the way to it is cut, then it takes no connections."""
    only(place, "postgresql")
    assert place.database_url is not None
    with wire_to(place.database_url) as wire:
        place.serve(HEADWATER_DATABASE_URL=wire.address)
        flow_id = place.make_flow("steps", three_steps(0.05))
        load = Load(place, flow_id)
        with load.going_on():
            wait_for(lambda: len(load.answered) >= 4 and len(load.accepted) >= 4, what="the load to be taken")
            for _ in range(2):
                wire.cut()
                refused = len(load.refused)
                wait_for(lambda refused=refused: len(load.refused) > refused + 8, what="refusals")  # type: ignore[misc]
                wire.mend()
                accepted, answered = len(load.accepted), len(load.answered)
                wait_for(
                    lambda accepted=accepted, answered=answered: len(load.accepted) > accepted and len(load.answered) > answered,  # type: ignore[misc]
                    seconds=20,
                    what="the server to recover",
                )
        assert load.wrong == []
        _take_no_connections(place, request.getfixturevalue("postgresql_server"), flow_id)
        with place.http() as http:
            for key in load.refused[:10]:  # what was refused may be asked again, and is one run
                again = [http.post("/api/v1/runs", json={"flow": flow_id}, headers={"Idempotency-Key": key}) for _ in range(2)]
                assert {each.status_code for each in again} == {202} and len({each.json()["id"] for each in again}) == 1
                load.accepted[key] = again[0].json()["id"]
        assert set(place.wait_until_over(load.accepted.values(), seconds=60).values()) == {"completed"}
        assert set(place.states(load.answered).values()) == {"completed"}
        _is_whole(place)
    print(f"{len(load.answered)} answered, {len(load.accepted)} accepted, {len(load.refused)} refused")


@pytest.mark.usefixtures("only_at_length")
def test_a_database_that_stops_answering_without_closing_is_told_in_time_and_found_again(place: Place) -> None:
    """R4: nothing is passed on any more between server and database, and nothing is closed."""
    only(place, "postgresql")
    assert place.database_url is not None
    with wire_to(place.database_url) as wire:
        server = place.serve(HEADWATER_DATABASE_URL=wire.address)
        flow_id = place.make_flow("steps", three_steps(0.05))
        with place.http(timeout=90) as http:
            accepted = [http.post("/api/v1/runs", json={"flow": flow_id}).json()["id"] for _ in range(4)]
            wire.freeze()
            for path in ("/health_check", f"/api/v1/run/{flow_id}", "/api/v1/runs"):
                began = time.monotonic()
                answer = http.get(path) if "health" in path else http.post(path, json={"flow": flow_id} if "runs" in path else {})
                assert is_told(answer) or ("health" in path and answer.status_code == 500), answer.text  # 500 as Langflow has it
                assert time.monotonic() - began < 15
            assert http.get("/health").status_code == 200
            wire.thaw()
            wait_for(lambda: run_once(http, flow_id).status_code == 200, seconds=60, what="the server to recover")
            assert http.get("/health_check").status_code == 200
            wire.freeze()
            refused = run_once(http, flow_id)
            assert is_told(refused), refused.text
            began = time.monotonic()
            assert server.terminate(seconds=120) == 0  # and nothing keeps it from stopping
            print(f"stopped after {time.monotonic() - began:.0f} s")
        wire.thaw()
        place.serve()
        assert set(place.wait_until_over(accepted).values()) == {"completed"}


def _take_no_connections(place: Place, server: PostgresqlServer, flow_id: str) -> None:
    name = make_url(place.database_url or "").database
    with place.http() as http:
        server.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        refused = wait_for(lambda: answer if (answer := run_once(http, flow_id)).status_code != 200 else None, seconds=10, what="a refusal")
        assert refused is not None and is_told(refused), refused.text
        server.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
        wait_for(lambda: run_once(http, flow_id).status_code == 200, seconds=20, what="the server to recover")


def _is_whole(place: Place) -> None:
    """Every run that is kept has ended, and one that is completed has all of its steps: no half rows."""

    def open_runs() -> list[str]:
        with place.http() as http:
            runs = http.get("/api/v1/runs", params={"limit": 200}).json()["runs"]
            return [run["id"] for run in runs if run["state"] not in FINAL]

    wait_for(lambda: not open_runs(), seconds=60, what="every run that was begun to end")
    with place.http() as http:
        for run in http.get("/api/v1/runs", params={"limit": 200, "state": "completed"}).json()["runs"]:
            assert len(http.get(f"/api/v1/runs/{run['id']}").json()["vertices"]) == 5


@pytest.mark.usefixtures("only_at_length")
def test_a_database_that_another_program_has_locked_is_told_with_503_while_reading_goes_on(place: Place) -> None:
    """R4 for SQLite: a backup, or a person with a shell, that holds the one lock for writing."""
    only(place, "sqlite")
    place.serve()
    flow_id = place.make_flow("echo", flows.echo())
    other = sqlite3.connect(place.folder / "data" / "headwater.db", isolation_level=None)
    with place.http() as http:
        assert run_once(http, flow_id).status_code == 200
        other.execute("BEGIN IMMEDIATE")
        refused: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: refused.append(run_once(http, flow_id)))
        asking.start()
        with place.http() as reader:
            while asking.is_alive():
                assert reader.get(f"/api/v1/flows/{flow_id}").status_code == 200
                asking.join(timeout=0.2)
        assert is_told(refused[0]), refused[0].text
        other.execute("ROLLBACK")
        other.close()
        wait_for(lambda: run_once(http, flow_id).status_code == 200, seconds=20, what="the server to recover")


def obey_modes() -> None:
    """In a child before it becomes another program: the superuser's leave to pass over the modes of files is given up for good."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
            raise OSError(ctypes.get_errno(), "prctl")


def test_a_data_folder_that_cannot_be_written_is_told_and_nothing_that_was_answered_is_lost(place: Place) -> None:
    """R4 for SQLite: the folder and everything in it becomes read-only under a running server, and before a start."""
    only(place, "sqlite")
    prepare: Callable[[], None] | None = obey_modes if os.geteuid() == 0 else None
    server = place.serve(prepare=prepare)
    flow_id = place.make_flow("echo", flows.echo())
    data = place.folder / "data"
    answered: list[str] = []
    with place.http() as http:

        def upload() -> httpx.Response:
            return http.post(f"/api/v1/files/upload/{flow_id}", files={"file": ("a.txt", b"text", "text/plain")})

        assert upload().status_code == 201
        with read_only(data):
            refused = upload()
            assert is_told(refused), refused.text
            for _ in range(20):  # the files that were opened before may be written, and the answer must be true either way
                answer = run_once(http, flow_id)
                assert answer.status_code == 200 or is_told(answer), answer.text
                if answer.status_code == 200:
                    answered.append(answer.headers["x-headwater-run-id"])
            assert http.get(f"/api/v1/flows/{flow_id}").status_code == 200
        wait_for(
            lambda: upload().status_code == 201 and run_once(http, flow_id).status_code == 200, seconds=20, what="the server to recover"
        )
    assert server.terminate() == 0
    assert "Traceback" not in server.printed, server.printed
    with read_only(data):
        refused_start = place.run("serve", "--port", str(place.port), prepare=prepare)
        assert refused_start.running.wait(timeout=30) == 1
        assert "Traceback" not in refused_start.printed and "cannot be" in refused_start.printed, refused_start.printed
    place.serve()
    assert set(place.states(answered).values()) <= {"completed"}


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing below can be made, changed or removed by who obeys modes."""
    found = [folder, *folder.rglob("*")]
    before = [path.stat().st_mode for path in found]
    for path in found:
        path.chmod(stat.S_IRUSR | (stat.S_IXUSR if path.is_dir() else 0))
    try:
        yield
    finally:
        for path, mode in zip(found, before, strict=True):
            if path.exists():
                path.chmod(mode)


def test_a_file_that_cannot_be_written_is_told_with_503_and_reading_goes_on(place: Place) -> None:
    """R5, by a bound on the size of files, which the database meets as a full disk."""
    only(place, "sqlite")
    server = place.serve()
    flow_id = place.make_flow("echo", flows.echo())
    failing = place.make_flow("failing", _failing())
    size = max(path.stat().st_size for path in (place.folder / "data").glob("headwater.db*"))
    resource.prlimit(server.running.pid, resource.RLIMIT_FSIZE, (size + 1_000_000, resource.RLIM_INFINITY))
    accepted: list[str] = []
    answered: set[str] = set()
    with place.http() as http:
        for number in range(60):
            answer = run_once(http, flow_id)
            assert answer.status_code in (200, 503), answer.text
            if answer.status_code == 200:
                answered.add(answer.headers["x-headwater-run-id"])
            else:
                assert int(answer.headers["retry-after"]) >= 1
            started = http.post(
                "/api/v1/runs", json={"flow": flow_id, "input_value": f"run {number}"}, headers={"Idempotency-Key": str(number)}
            )
            assert started.status_code in (202, 503), started.text
            if started.status_code == 202:
                accepted.append(started.json()["id"])
        assert (answer.status_code, started.status_code) == (503, 503)
        resource.prlimit(server.running.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))  # small changes found room till now
        assert run_once(http, failing).status_code == 503  # it fails, and that cannot be kept either
        changed = http.patch(f"/api/v1/flows/{flow_id}", json={"description": "other"})
        assert changed.status_code == 503, changed.text
        assert http.get(f"/api/v1/flows/{flow_id}").status_code == 200
        resource.prlimit(server.running.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_for(lambda: run_once(http, flow_id).status_code == 200, seconds=20, what="the server to recover")
        again = http.post("/api/v1/runs", json={"flow": flow_id, "input_value": "run 59"}, headers={"Idempotency-Key": "59"})
        assert again.status_code == 202, again.text
        print(f"before the disk was full: {len(answered)} answered, {len(accepted)} accepted")
        assert set(place.wait_until_over([*accepted, again.json()["id"]], seconds=30).values()) == {"completed"}
        kept = {run["id"] for run in http.get("/api/v1/runs", params={"limit": 200, "state": "completed"}).json()["runs"]}
        assert answered <= kept
    assert server.terminate() == 0
    assert "Traceback" not in server.printed, server.printed
    with sqlite3.connect(place.folder / "data" / "headwater.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def _failing() -> dict[str, Any]:
    return flows.document(
        [flows.chat_input(), flows.node("HeadwaterTestFail", "HeadwaterTestFail-f", {"text": ""}), flows.chat_output()],
        [flows.edge("ChatInput-in", "HeadwaterTestFail-f", "text"), flows.edge("HeadwaterTestFail-f", "ChatOutput-out", "input_value")],
    )
