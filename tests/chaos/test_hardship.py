"""What the surroundings do to a server: disks that fill, databases that go away, clients that dawdle or vanish, floods. R4 to R8, R11."""

import shutil
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from storage import migrate
from storage.database import DatabaseSettings
from tests import flow_documents as flows
from tests.chaos.hardship import Place, Process, three_steps, wait_for
from tests.databases import PostgresqlServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def only(place: Place, kind: str) -> None:
    if place.is_postgresql is not (kind == "postgresql"):
        pytest.skip(f"for {kind}")


def resources(process: Process) -> dict[str, int]:
    """Open files and threads of a process."""
    folder = Path(f"/proc/{process.running.pid}")
    return {"files": len(list((folder / "fd").iterdir())), "threads": len(list((folder / "task").iterdir()))}


def percentile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))]


def run_once(http: httpx.Client, flow_id: str, **options: Any) -> httpx.Response:
    return http.post(f"/api/v1/run/{flow_id}", json={"input_value": "hi"}, **options)


def test_a_database_that_is_gone_is_told_with_503_and_comes_back_without_a_restart(place: Place, request: pytest.FixtureRequest) -> None:
    """R4."""
    only(place, "postgresql")
    place.serve()
    flow_id = place.make_flow("echo", flows.echo())
    database: PostgresqlServer = request.getfixturevalue("postgresql_server")
    name = make_url(place.database_url or "").database
    end_all = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    with place.http() as http:
        assert run_once(http, flow_id).status_code == 200
        database.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        database.execute(end_all)
        refused = wait_for(lambda: answer if (answer := run_once(http, flow_id)).status_code != 200 else None, seconds=10, what="a refusal")
        assert refused is not None and refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1, refused.text
        database.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
        wait_for(lambda: run_once(http, flow_id).status_code == 200, seconds=20, what="the server to recover")
        started = http.post("/api/v1/runs", json={"flow": flow_id})
        assert started.status_code == 202
        assert place.wait_until_over([started.json()["id"]], seconds=20) == {started.json()["id"]: "completed"}


def test_a_file_that_cannot_be_written_is_told_with_503_and_reading_goes_on(place: Place) -> None:
    """R5, by a bound on the size of files, which the database meets as a full disk."""
    only(place, "sqlite")
    server = place.serve()
    flow_id = place.make_flow("echo", flows.echo())
    import resource  # not on Windows

    size = sum(path.stat().st_size for path in (place.folder / "data").glob("headwater.db*"))
    resource.prlimit(server.running.pid, resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
    with place.http() as http:
        statuses = {run_once(http, flow_id).status_code for _ in range(20)}
        assert statuses <= {200, 503}, statuses
        assert 503 in statuses
        assert http.get(f"/api/v1/flows/{flow_id}").status_code == 200
        resource.prlimit(server.running.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_for(lambda: run_once(http, flow_id).status_code == 200, seconds=20, what="the server to recover")
    assert server.terminate() == 0
    import sqlite3

    with sqlite3.connect(place.folder / "data" / "headwater.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@contextmanager
def dawdlers(place: Place, count: int) -> Iterator[None]:
    """Connections that send their headers byte by byte, each by a thread's turn, and those that read nothing of what they get."""
    sockets = [socket.create_connection(("127.0.0.1", place.port), timeout=10) for _ in range(count)]
    stopped = threading.Event()

    def dribble() -> None:
        text = f"GET /api/v1/flows/ HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: {place.key}\r\nx-slow: ".encode() + b"a" * 1_000
        for position in range(len(text)):
            for each in sockets:
                try:
                    each.send(text[position : position + 1])
                except OSError:
                    continue
            if stopped.wait(0.2):
                return

    thread = threading.Thread(target=dribble)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        for each in sockets:
            each.close()


def test_slow_clients_do_not_slow_down_the_others(place: Place) -> None:
    """R6."""
    place.serve()
    flow_id = place.make_flow("echo", flows.echo())

    def times(http: httpx.Client) -> list[float]:
        taken = []
        for _ in range(200):
            began = time.perf_counter()
            assert run_once(http, flow_id).status_code == 200
            taken.append(time.perf_counter() - began)
        return taken

    with place.http() as http:
        alone = times(http)
        with dawdlers(place, 200):
            beside = times(http)
    print(f"p99 alone {percentile(alone, 0.99) * 1000:.1f} ms, beside 200 slow clients {percentile(beside, 0.99) * 1000:.1f} ms")
    assert percentile(beside, 0.99) < max(0.25, 4 * percentile(alone, 0.99))


def test_clients_that_vanish_leave_nothing_behind(place: Place, many: int) -> None:
    """R7: a stream is left after its first event, again and again."""
    server = place.serve()
    flow_id = place.make_flow("slow", three_steps(5.0))
    echo = place.make_flow("echo", flows.echo())

    def leave(_: int) -> None:
        with place.http() as http, http.stream("POST", f"/api/v1/run/{flow_id}?stream=true", json={"input_value": "hi"}) as answer:
            assert answer.status_code in (200, 503), answer.status_code
            if answer.status_code == 200:
                next(answer.iter_raw(), None)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(leave, range(100)))  # connections to the database are opened and kept
        with place.http() as http:
            wait_for(lambda: run_once(http, echo).status_code == 200, what="the server to answer")
        time.sleep(2)
        before = resources(server)
        list(pool.map(leave, range(10 * many)))
    wait_for(lambda: resources(server)["files"] <= before["files"] + 5, seconds=30, what=f"the open files to come back to {before}")
    after = resources(server)
    assert after["threads"] <= before["threads"] + 4, (before, after)
    with place.http() as http:
        assert run_once(http, echo).status_code == 200


@pytest.mark.parametrize("skew", ["+1h", "-1h"])
def test_a_clock_that_jumps_costs_nothing(place: Place, skew: str) -> None:
    """R8: the same data under clocks an hour apart, by libfaketime."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
    if library is None:
        pytest.skip("libfaketime is not installed")
    place.environment |= {"HEADWATER_BACKGROUND_RUNS": "4"}
    server = place.serve()
    flow_id = place.make_flow("steps", three_steps(2.0))
    with place.http() as http:
        runs = [http.post("/api/v1/runs", json={"flow": flow_id}).json()["id"] for _ in range(8)]
        server.kill()
        place.serve(LD_PRELOAD=str(library), FAKETIME=skew, FAKETIME_DONT_FAKE_MONOTONIC="1")
        runs += [http.post("/api/v1/runs", json={"flow": flow_id}).json()["id"] for _ in range(4)]
        assert len(set(runs)) == len(runs)
        assert set(place.wait_until_over(runs, seconds=60).values()) == {"completed"}
        for run_id in runs:
            vertices = http.get(f"/api/v1/runs/{run_id}").json()["vertices"]
            assert all(vertex["duration_seconds"] >= 0 for vertex in vertices)


def test_a_flood_is_refused_quickly_and_what_was_accepted_is_kept(place: Place, many: int) -> None:
    """R11: a queue of 50, and ten times as many runs as it holds."""
    place.serve(HEADWATER_BACKGROUND_RUNS="4", HEADWATER_MAX_QUEUED_RUNS="50")
    flow_id = place.make_flow("steps", three_steps(0.1))
    accepted: list[str] = []
    refused: list[float] = []

    def flood(_: int) -> None:
        with place.http() as http:
            for _ in range(many // 4):
                began = time.perf_counter()
                answer = http.post("/api/v1/runs", json={"flow": flow_id})
                if answer.status_code == 202:
                    accepted.append(answer.json()["id"])
                else:
                    assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1, answer.text
                    refused.append(time.perf_counter() - began)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(flood, range(20)))
    assert refused and accepted
    print(f"{len(accepted)} accepted, {len(refused)} refused, p50 of a refusal {percentile(refused, 0.5) * 1000:.0f} ms")
    assert percentile(refused, 0.5) < 0.5
    assert set(place.wait_until_over(accepted, seconds=120).values()) == {"completed"}
    with place.http() as http:
        assert http.post("/api/v1/runs", json={"flow": flow_id}).status_code == 202


def test_two_starts_at_once_bring_an_older_database_to_the_newest_shape_once(place: Place) -> None:
    """R13: the first shape there was, with two servers racing."""
    (place.folder / "data").mkdir(mode=0o700)
    _first_shape(DatabaseSettings(url=place.database_url or f"sqlite:///{place.folder / 'data' / 'headwater.db'}"))
    racing = [place.run("worker") for _ in range(2)]
    wait_for(lambda: all("takes runs" in each.printed or each.running.poll() is not None for each in racing), what="both to start")
    assert [each.running.poll() for each in racing] == [None, None], [each.printed for each in racing]
    assert [each.terminate() for each in racing] == [0, 0]
    place.serve()
    flow_id = place.make_flow("echo", flows.echo())
    with place.http() as http:
        assert run_once(http, flow_id).status_code == 200


def _first_shape(settings: DatabaseSettings) -> None:
    from alembic.command import upgrade
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    config.set_main_option("path_separator", "os")
    (first,) = ScriptDirectory.from_config(config).get_bases()
    with migrate.locked_connection(settings) as connection:
        config.attributes["connection"] = connection
        upgrade(config, first)


def test_the_data_folder_may_not_be_taken_away_silently(place: Place) -> None:
    """R4 for SQLite: the folder becomes read-only under a running server."""
    only(place, "sqlite")
    if sys.platform == "win32" or Path("/proc/self").stat().st_uid == 0:
        pytest.skip("modes mean nothing to this user")
    server = place.serve()
    flow_id = place.make_flow("echo", flows.echo())
    data = place.folder / "data"
    data.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with place.http() as http:
            assert run_once(http, flow_id).status_code in (200, 503)
    finally:
        data.chmod(0o700)
    with place.http() as http:
        wait_for(lambda: run_once(http, flow_id).status_code == 200, seconds=20, what="the server to recover")
    assert server.terminate() == 0
    shutil.rmtree(data)
