"""What the surroundings do to a server: disks that fill, databases that go away, clients that dawdle or vanish, floods. R4 to R8, R11."""

import json
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
from tests.chaos.hardship import Place, Process, percentile, resources, three_steps, wait_for
from tests.databases import PostgresqlServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def only(place: Place, kind: str) -> None:
    if place.is_postgresql is not (kind == "postgresql"):
        pytest.skip(f"for {kind}")


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
    failing = place.make_flow("failing", _failing())
    import resource  # not on Windows

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
    import sqlite3

    with sqlite3.connect(place.folder / "data" / "headwater.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def _failing() -> dict[str, Any]:
    return flows.document(
        [flows.chat_input(), flows.node("HeadwaterTestFail", "HeadwaterTestFail-f", {"text": ""}), flows.chat_output()],
        [flows.edge("ChatInput-in", "HeadwaterTestFail-f", "text"), flows.edge("HeadwaterTestFail-f", "ChatOutput-out", "input_value")],
    )


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


@contextmanager
def deaf_readers(place: Place, flow_id: str, text: str, count: int) -> Iterator[None]:
    """Connections that asked for a stream and take nothing of it."""
    body = json.dumps({"input_value": text})
    head = [f"POST /api/v1/run/{flow_id}?stream=true HTTP/1.1", "host: 127.0.0.1", f"x-api-key: {place.key}"]
    head += ["content-type: application/json", f"content-length: {len(body)}", "", body]
    sockets = []
    try:
        for _ in range(count):
            each = socket.socket()
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sockets.append(each)
            each.connect(("127.0.0.1", place.port))
            each.sendall("\r\n".join(head).encode())
        yield
    finally:
        for each in sockets:
            each.close()


def times(http: httpx.Client, flow_id: str, count: int = 200) -> list[float]:
    """Seconds that each of some runs takes, one after the other."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        assert run_once(http, flow_id).status_code == 200
        taken.append(time.perf_counter() - began)
    return taken


def test_slow_clients_do_not_slow_down_the_others(place: Place) -> None:
    """R6: those that dribble their headers."""
    place.serve()
    flow_id = place.make_flow("echo", flows.echo())
    with place.http() as http:
        alone = times(http, flow_id)
        with dawdlers(place, 200):
            beside = times(http, flow_id)
    print(f"p99 alone {percentile(alone, 0.99) * 1000:.1f} ms, beside 200 slow clients {percentile(beside, 0.99) * 1000:.1f} ms")
    assert percentile(beside, 0.99) < max(0.25, 4 * percentile(alone, 0.99))


def test_readers_that_take_nothing_of_their_streams_cost_neither_memory_nor_time(place: Place, many: int) -> None:
    """R6: those that asked for a stream, of a megabyte each, and read none of it."""
    server = place.serve()
    flow_id = place.make_flow("echo", flows.echo())
    words = flows.document(
        [flows.chat_input(), flows.node("HeadwaterTestStream", "HeadwaterTestStream-s", {"text": ""}), flows.chat_output()],
        [
            flows.edge("ChatInput-in", "HeadwaterTestStream-s", "text"),
            flows.edge("HeadwaterTestStream-s", "ChatOutput-out", "input_value"),
        ],
    )
    streaming = place.make_flow("words", words)
    readers = 2 * many
    with place.http() as http:
        alone = times(http, flow_id)
        before = resources(server)
        with deaf_readers(place, streaming, "word " * 8_000, readers):
            wait_for(lambda: resources(server)["files"] >= before["files"] + readers, what="the readers to be served")
            settled = wait_for(lambda: _settled(server), what="the streams to fill what they may")
            beside = times(http, flow_id)
        wait_for(lambda: not _running(http), seconds=30, what="the abandoned runs to be over")
        # The database's connections, which are opened when there is much to do, stay open.
        wait_for(lambda: resources(server)["files"] <= before["files"] + 16, what="the connections to be closed")
    print(
        f"p99 alone {percentile(alone, 0.99) * 1000:.1f} ms, beside {readers} deaf readers {percentile(beside, 0.99) * 1000:.1f} ms; "
        f"{before} → {settled} → {resources(server)}"
    )
    assert percentile(beside, 0.99) < max(0.25, 4 * percentile(alone, 0.99))
    assert settled["megabytes"] < before["megabytes"] + 40 + readers  # unread, the streams come to a megabyte each and more


def _settled(server: Process) -> dict[str, int]:
    """What it takes up once it works no more."""
    spent = _spent(server)
    time.sleep(0.5)
    return resources(server) if _spent(server) - spent < 10 else {}


def _spent(server: Process) -> int:
    """Hundredths of a second of computing so far."""
    fields = Path(f"/proc/{server.running.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


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
        list(pool.map(leave, range(50)))  # connections to the database are opened and kept
        with place.http() as http:
            assert run_once(http, echo).status_code == 200
            wait_for(lambda: not _running(http), seconds=30, what="the first to be over")
        before = resources(server)
        list(pool.map(leave, range(10 * many)))
    with place.http() as http:
        wait_for(lambda: not _running(http), seconds=30, what="the runs to be over")
        assert run_once(http, echo).status_code == 200
    # PostgreSQL's connections are kept open up to a bound; nothing else may be.
    spare = 5 if place.is_postgresql else 0
    wait_for(lambda: resources(server)["files"] <= before["files"] + spare, seconds=10, what=f"the open files to come back to {before}")
    after = resources(server)
    print(f"{10 * many} clients vanished: {before} → {after}")
    assert after["threads"] <= before["threads"] + 4, (before, after)


def _running(http: httpx.Client) -> list[Any]:
    return list(http.get("/api/v1/runs", params={"state": "running"}).json()["runs"])


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
            for _ in range(max(6, many // 4)):
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


def test_what_is_accepted_in_a_flood_takes_no_longer_than_what_the_server_is_full_with(place: Place, many: int) -> None:
    """R11: two runs at once are allowed; twenty clients want one. More would measure what the clients themselves take of the machine."""
    place.serve(HEADWATER_MAX_RUNNING_RUNS="2", HEADWATER_CALLS_PER_MINUTE_PER_KEY="0")
    flow_id = place.make_flow("steps", three_steps(0.1))

    def all_of(clients: int) -> tuple[list[float], list[float]]:
        """Seconds until 200, and until 503."""
        accepted: list[float] = []
        refused: list[float] = []

        def ask(_: int) -> None:
            with place.http() as http:
                for _ in range(max(5, many // 5)):
                    began = time.perf_counter()
                    answer = run_once(http, flow_id)
                    taken = time.perf_counter() - began
                    if answer.status_code == 200:
                        accepted.append(taken)
                    else:
                        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1, answer.text
                        refused.append(taken)
                        time.sleep(0.1)

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(ask, range(clients)))
        return accepted, refused

    full, _ = all_of(2)
    accepted, refused = all_of(20)
    assert accepted and refused
    p99, full_p99 = percentile(accepted, 0.99), percentile(full, 0.99)
    print(
        f"p99 of {len(full)} at capacity {full_p99 * 1000:.0f} ms, of {len(accepted)} accepted in a flood {p99 * 1000:.0f} ms; "
        f"{len(refused)} refused, p50 {percentile(refused, 0.5) * 1000:.0f} ms"
    )
    assert p99 < max(2 * full_p99, 2.0)  # the flood itself takes up half of a small machine
    with place.http() as http:
        wait_for(lambda: run_once(http, flow_id).status_code == 200, seconds=5, what="the server to recover")


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
