"""Clients that dawdle, that take nothing of what they asked for, or that vanish. R6 and R7."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests import flow_documents as flows
from tests.chaos.hardship import Place, Process, percentile, resources, run_once, spent_seconds, three_steps, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


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


def times(http: httpx.Client, flow_id: str, count: int) -> list[float]:
    """Seconds that each of some runs takes, one after the other."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        assert run_once(http, flow_id).status_code == 200
        taken.append(time.perf_counter() - began)
    return taken


def test_slow_clients_do_not_slow_down_the_others(place: Place, many: int) -> None:
    """R6: those that dribble their headers."""
    place.serve()
    flow_id = place.make_flow("echo", flows.echo())
    with place.http() as http:
        alone = times(http, flow_id, 2 * many)
        with dawdlers(place, 200):
            beside = times(http, flow_id, 2 * many)
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
        alone = times(http, flow_id, 2 * many)
        before = resources(server)
        with deaf_readers(place, streaming, "word " * 8_000, readers):
            wait_for(lambda: resources(server)["files"] >= before["files"] + readers, what="the readers to be served")
            settled = wait_for(lambda: _settled(server), what="the streams to fill what they may")
            beside = times(http, flow_id, 2 * many)
        wait_for(lambda: not _running(http), seconds=30, what="the abandoned runs to be over")
        # The database's connections, which are opened when there is much to do, stay open.
        wait_for(lambda: resources(server)["files"] <= before["files"] + 16, what="the connections to be closed")
    print(
        f"p99 alone {percentile(alone, 0.99) * 1000:.1f} ms, beside {readers} deaf readers {percentile(beside, 0.99) * 1000:.1f} ms; "
        f"{before} → {settled} → {resources(server)}"
    )
    assert percentile(beside, 0.99) < max(0.25, 4 * percentile(alone, 0.99))
    # A reader costs its request, the frames that wait for it and what is on its way to the system: not its stream, of a megabyte and more.
    assert settled["megabytes"] < before["megabytes"] + 15 + readers / 4


def _settled(server: Process) -> dict[str, int]:
    """What it takes up once it works no more."""
    spent = spent_seconds(server)
    time.sleep(0.5)
    return resources(server) if spent_seconds(server) - spent < 0.1 else {}


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
