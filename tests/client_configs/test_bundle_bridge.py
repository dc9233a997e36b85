"""The bridge of a bundle against a server that does what servers do: answer, stream, refuse, break off, go away and forget."""

import io
import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from client_configs.bundle_files.bridge import Bridge, main
from tests.client_configs.machines import KEY
from tests.client_configs.scripted_server import SECONDS, Answering, Message, Received, Script, Scripted, Sessions, scripted_server
from tests.running_server import free_port

REVISION = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
INITIALIZE: Message = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}},
}
INITIALIZED: Message = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class Client:
    """The client's end of a bridge."""

    def __init__(self, address: str, *, key: str = KEY, patience_seconds: float = SECONDS) -> None:
        self.lines: queue.Queue[bytes] = queue.Queue()
        self.log: queue.Queue[str] = queue.Queue()
        self.bridge = Bridge(address, key, self.lines.put, self.log.put, patience_seconds=patience_seconds)

    def send(self, *messages: Message) -> None:
        for message in messages:
            self.bridge.receive(json.dumps(message).encode() + b"\n")

    def next(self) -> Message:
        line = self.lines.get(timeout=SECONDS)
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        message: Message = json.loads(line)
        return message

    def ask(self, message: Message) -> Message:
        self.send(message)
        return self.next()


@contextmanager
def connected(script: Script, **options: Any) -> Iterator[tuple[Scripted, Client]]:
    with scripted_server(script) as server:
        client = Client(server.address, **options)
        try:
            yield server, client
        finally:
            client.bridge.close()


def modern(method: str, identifier: Any = 1, **params: Any) -> Message:
    return {"jsonrpc": "2.0", "id": identifier, "method": method, "params": {**params, "_meta": REVISION}}


def legacy(method: str, identifier: Any = 1, **params: Any) -> Message:
    return {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}


def result(received: Received, text: str = "done") -> Message:
    return {"jsonrpc": "2.0", "id": received.message["id"], "result": {"text": text}}


def at_once(handler: Answering, received: Received) -> None:
    handler.answer(200, result(received))


def test_a_request_of_the_current_revision_says_in_headers_what_it_calls() -> None:
    with connected(at_once) as (server, client):
        answer = client.ask(modern("tools/call", "a-1", name="grüße", arguments={"x": "ä\u2028"}))
        client.ask(modern("resources/read", 2, uri="flow://x"))
        client.ask(modern("tools/list", 3))
    assert answer == {"jsonrpc": "2.0", "id": "a-1", "result": {"text": "done"}}
    call, read, listed = (each.headers for each in server.received)
    assert (call["mcp-protocol-version"], call["mcp-method"], call["x-api-key"]) == ("2026-07-28", "tools/call", KEY)
    assert call["mcp-name"] == "=?base64?Z3LDvMOfZQ==?="
    assert call["accept"] == "application/json, text/event-stream" and "mcp-session-id" not in call
    assert read["mcp-name"] == "flow://x" and "mcp-name" not in listed
    assert server.received[0].message["params"]["arguments"] == {"x": "ä\u2028"}


def test_a_stream_is_passed_on_as_it_comes_and_ends_with_the_answer() -> None:
    go_on = threading.Event()

    def script(handler: Answering, received: Received) -> None:
        handler.begin_stream()
        handler.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}})
        assert go_on.wait(SECONDS)
        handler.event(result(received))

    with connected(script) as (_, client):
        assert client.ask(modern("tools/call", name="t"))["method"] == "notifications/progress"
        go_on.set()
        assert client.next()["result"] == {"text": "done"}


def test_slow_calls_do_not_hold_up_others() -> None:
    go_on = threading.Event()

    def script(handler: Answering, received: Received) -> None:
        assert received.message["params"]["name"] == "quick" or go_on.wait(SECONDS)
        handler.answer(200, result(received))

    with connected(script) as (_, client):
        client.send(modern("tools/call", 1, name="slow"), modern("tools/call", 2, name="quick"))
        assert client.next()["id"] == 2
        go_on.set()
        assert client.next()["id"] == 1


def test_a_session_is_kept_and_its_first_notification_is_not_overtaken() -> None:
    with connected(Sessions(at_once)) as (server, client):
        assert client.ask(INITIALIZE)["result"]["protocolVersion"] == "2025-06-18"
        client.send(INITIALIZED)
        assert client.ask(legacy("tools/list"))["result"] == {"text": "done"}
    posted = [each for each in server.received if each.method == "POST"]
    assert [each.message["method"] for each in posted] == ["initialize", "notifications/initialized", "tools/list"]
    for each in posted[1:]:
        assert (each.headers["mcp-session-id"], each.headers["mcp-protocol-version"]) == ("session-1", "2025-06-18")
    assert "mcp-session-id" not in posted[0].headers
    told = [each for each in server.received if each.method != "GET"]  # whose stream is asked for beside all others
    assert [each.method for each in told] == ["POST", "POST", "POST", "DELETE"]
    assert told[-1].headers["mcp-session-id"] == "session-1"


def test_a_cancelled_call_of_the_current_revision_is_told_by_closing_its_connection() -> None:
    def script(handler: Answering, received: Received) -> None:
        handler.begin_stream()
        handler.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})
        handler.wait_until_closed()

    with connected(script) as (server, client):
        client.ask(modern("tools/call", 7, name="t"))
        client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
        assert server.closed.wait(SECONDS)
        assert len(server.received) == 1
    assert client.lines.empty()


def test_a_cancelled_call_of_a_session_is_told_by_a_notification() -> None:
    cancelled = threading.Event()

    def calls(handler: Answering, received: Received) -> None:
        handler.begin_stream()
        handler.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})
        cancelled.wait(SECONDS)

    class Cancelling(Sessions):
        def __call__(self, handler: Answering, received: Received) -> None:
            super().__call__(handler, received)
            if received.message.get("method") == "notifications/cancelled":
                cancelled.set()

    with connected(Cancelling(calls)) as (server, client):
        client.ask(INITIALIZE)
        client.send(INITIALIZED)
        client.ask(legacy("tools/call", 7, name="t"))
        client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
        assert cancelled.wait(SECONDS)
        (told,) = server.sent("notifications/cancelled")
        assert told.message["params"] == {"requestId": 7} and told.headers["mcp-session-id"] == "session-1"
        assert len(server.sent("tools/call")) == 1
    assert client.lines.empty()


def test_a_question_of_the_server_reaches_the_client_and_its_answer_the_server() -> None:
    answered = threading.Event()

    class Asking(Sessions):
        def __call__(self, handler: Answering, received: Received) -> None:
            super().__call__(handler, received)
            if received.message.get("id") == "q":
                answered.set()

    def calls(handler: Answering, received: Received) -> None:
        handler.begin_stream()
        handler.event({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {"message": "Sure?"}})
        assert answered.wait(SECONDS)
        handler.event(result(received))

    with connected(Asking(calls)) as (_, client):
        client.ask(INITIALIZE)
        assert client.ask(legacy("tools/call", 1, name="t"))["method"] == "elicitation/create"
        assert client.ask({"jsonrpc": "2.0", "id": "q", "result": {"action": "accept"}})["id"] == 1


def test_what_the_server_says_between_requests_reaches_the_client() -> None:
    def stream(handler: Answering, received: Received) -> None:
        handler.begin_stream()
        handler.event({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        handler.wait_until_closed()

    with connected(Sessions(at_once, stream=stream)) as (_, client):
        client.ask(INITIALIZE)
        assert client.ask(INITIALIZED)["method"] == "notifications/tools/list_changed"


def test_a_call_made_while_the_server_is_away_waits_for_it() -> None:
    port = free_port()
    client = Client(f"http://127.0.0.1:{port}/mcp")
    client.send(modern("tools/call", 1, name="t"))
    with scripted_server(at_once, port=port) as server:
        assert client.next()["result"] == {"text": "done"}
    assert len(server.received) == 1
    client.bridge.close()


def test_a_server_that_stays_away_is_named_after_a_while() -> None:
    address = f"http://127.0.0.1:{free_port()}/mcp"
    client = Client(address, patience_seconds=0)
    for request in (INITIALIZE, modern("tools/call", 1, name="t")):
        error = client.ask(request)["error"]
        assert address in error["message"] and "is it running" in error["message"]
    client.bridge.close()


def test_a_call_that_may_have_run_is_never_sent_twice_and_what_only_reads_is() -> None:
    broken: set[str] = set()

    def script(handler: Answering, received: Received) -> None:
        method = received.message["method"]
        if method not in broken:
            broken.add(method)
            handler.break_off()
        else:
            handler.answer(200, result(received))

    with connected(script) as (server, client):
        assert "may have been carried out" in client.ask(modern("tools/call", 1, name="t"))["error"]["message"]
        assert client.ask(modern("tools/list", 2))["result"] == {"text": "done"}
        assert (len(server.sent("tools/call")), len(server.sent("tools/list"))) == (1, 2)


def test_a_stream_that_breaks_in_the_middle_of_a_call_is_an_error_too() -> None:
    def script(handler: Answering, received: Received) -> None:
        handler.begin_stream()
        handler.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})
        handler.break_off()

    with connected(script) as (_, client):
        client.ask(modern("tools/call", 1, name="t"))
        assert "may have been carried out" in client.next()["error"]["message"]


def test_a_forgotten_session_is_opened_again_and_the_call_goes_through() -> None:
    sessions = Sessions(at_once)
    with connected(sessions) as (server, client):
        client.ask(INITIALIZE)
        client.send(INITIALIZED)
        client.ask(legacy("tools/list"))
        sessions.known.clear()
        client.send(legacy("tools/call", 2, name="t"))
        said = [client.next(), client.next()]
        assert said[0] == {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
        assert said[1]["result"] == {"text": "done"}
        again = server.sent("initialize")[1]
        assert again.message["params"] == INITIALIZE["params"] and "mcp-session-id" not in again.headers
        assert server.sent("tools/call")[-1].headers["mcp-session-id"] == "session-2"


def test_many_calls_that_miss_the_session_open_one() -> None:
    sessions = Sessions(at_once)
    with connected(sessions) as (server, client):
        client.ask(INITIALIZE)
        sessions.known.clear()
        client.send(*(legacy("tools/call", number, name="t") for number in range(1, 9)))
        answered = [client.next() for _ in range(9)]
        assert sorted(each["id"] for each in answered if "id" in each) == list(range(1, 9))
        assert len(server.sent("initialize")) == 2


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"detail": "No."}, "does not accept the API key"),
        (403, {"error": "No."}, "headwater key create"),
        (404, {"detail": "Project not found"}, "download its bundle again"),
        (500, {"detail": "The server failed."}, "500"),
        (301, None, "301"),
    ],
)
def test_a_refusal_says_what_to_do_and_holds_no_key(status: int, body: Any, said: str) -> None:
    with connected(lambda handler, received: handler.answer(status, body)) as (_, client):
        answer = client.ask(modern("tools/list", 5))
        assert answer["id"] == 5 and said in answer["error"]["message"]
        assert KEY not in json.dumps(answer) + client.log.get(timeout=SECONDS)


def test_a_missing_key_is_called_missing() -> None:
    with connected(lambda handler, received: handler.answer(401), key="") as (server, client):
        assert "none is set" in client.ask(modern("tools/list"))["error"]["message"]
        assert "x-api-key" not in server.received[0].headers


def test_the_servers_own_errors_are_passed_on_under_the_requests_id() -> None:
    error = {"code": -32601, "message": "Method not found"}
    with connected(lambda handler, received: handler.answer(404, {"jsonrpc": "2.0", "id": None, "error": error})) as (_, client):
        assert client.ask(modern("no/such", "x")) == {"jsonrpc": "2.0", "id": "x", "error": error}


def test_a_busy_server_is_asked_again_when_it_wants_to_be() -> None:
    def script(handler: Answering, received: Received) -> None:
        if len(handler.server.received) == 1:
            handler.answer(503, {"detail": "busy"}, {"Retry-After": "0"})
        else:
            handler.answer(200, result(received))

    with connected(script) as (server, client):
        assert client.ask(modern("tools/call", 1, name="t"))["result"] == {"text": "done"}
        assert len(server.received) == 2


def test_lines_that_are_no_message_are_answered_and_the_next_ones_pass() -> None:
    with connected(at_once) as (_, client):
        client.bridge.receive(b"{broken\n")
        assert client.next()["error"]["code"] == -32700
        client.bridge.receive(b"[]\n")
        assert client.next()["error"]["code"] == -32600
        assert "result" in client.ask(modern("tools/list"))


def test_the_end_of_the_input_ends_the_session_and_the_bridge() -> None:
    with scripted_server(Sessions(at_once)) as server:
        done = threading.Event()
        source, target = Input(json.dumps(INITIALIZE).encode() + b"\n\n", done), Written(done)
        assert main([server.address], {"HEADWATER_API_KEY": KEY}, source=source, target=target) == 0
        assert json.loads(target.getvalue())["result"]["protocolVersion"] == "2025-06-18"
        assert [each.method for each in server.received] == ["POST", "DELETE"]
        assert server.received[1].headers["mcp-session-id"] == "session-1"


def test_calls_that_are_open_when_the_client_goes_are_given_up() -> None:
    def script(handler: Answering, received: Received) -> None:
        handler.begin_stream()
        handler.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})
        handler.wait_until_closed()

    with scripted_server(script) as server:
        done = threading.Event()
        source, target = Input(json.dumps(modern("tools/call", 1, name="t")).encode() + b"\n", done), Written(done)
        assert main([server.address], {}, source=source, target=target) == 0
        assert server.closed.wait(SECONDS)


@pytest.mark.parametrize(
    ("arguments", "key", "code"),
    [
        ([], "", 2),
        (["ftp://h/"], "", 2),
        (["http://h/", "more"], "", 2),
        (["http://h/mcp"], "sk-\u00e4", 2),
        (["http://h/mcp"], "sk-\n1", 2),
    ],
)
def test_a_start_that_cannot_work_says_so(arguments: list[str], key: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments, {"HEADWATER_API_KEY": key}, source=io.BytesIO(), target=io.BytesIO()) == code
    said = capsys.readouterr().err
    assert said.startswith("headwater: ") and "sk-" not in said


def test_a_key_that_was_not_filled_in_is_no_key() -> None:
    received: list[Received] = []

    def script(handler: Answering, one: Received) -> None:
        received.append(one)
        handler.answer(200, result(one))

    with scripted_server(script) as server:
        done = threading.Event()
        written = Written(done)
        source = Input(json.dumps(modern("tools/list")).encode() + b"\n", done)
        assert main([server.address], {"HEADWATER_API_KEY": "${user_config.api_key}"}, source=source, target=written) == 0
    assert b"done" in written.getvalue() and "x-api-key" not in received[0].headers


class Written(io.BytesIO):
    def __init__(self, done: threading.Event) -> None:
        super().__init__()
        self._done = done

    def flush(self) -> None:
        self._done.set()


class Input(io.BytesIO):
    """Ends when the answer is written, as a client does."""

    def __init__(self, content: bytes, done: threading.Event) -> None:
        super().__init__(content)
        self._done = done

    def __next__(self) -> bytes:
        try:
            return super().__next__()
        except StopIteration:
            assert self._done.wait(SECONDS)
            raise
