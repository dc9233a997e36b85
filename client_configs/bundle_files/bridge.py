"""Passes messages between a client on standard input and output and a project's server over HTTP.

A request runs in a thread of its own. While the server is away, what was not sent waits for it; a session that the server forgot is
opened again. What may have been carried out is never sent twice: the client is told instead.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from .exchange import Broken, Exchange, NotSent
from .messages import INVALID_REQUEST, PARSE_ERROR, REPEATABLE, SERVER_ERROR, encoded, error_answer, revision_of, routing_headers

KEY_VARIABLE = "HEADWATER_API_KEY"
PATIENCE_SECONDS = 45.0  # clients give up after 60
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
GOODBYE_SECONDS = 1.0
BOTH_TYPES = "application/json, text/event-stream"

Message = dict[str, Any]


class Refused(Exception):
    """The server's no, in words for a person: trying again does not help."""


class Busy(Exception):
    """The server has not looked at the request yet; `seconds` is when it wants to be asked again."""

    def __init__(self, seconds: float) -> None:
        super().__init__("it is busy")
        self.seconds = seconds


class SessionLost(Exception):
    """The server does not know the session any more, so it has not looked at the request."""

    def __init__(self, session: str) -> None:
        super().__init__("it forgot the session")
        self.session = session


class Call:
    """One message on its way to the server."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.is_given_up = threading.Event()
        self.exchange: Exchange | None = None
        self.was_answered = False

    def give_up(self) -> None:
        self.is_given_up.set()
        if self.exchange is not None:
            self.exchange.close()


class Bridge:
    """`write` gets whole lines for the client, `log` lines for a person; both may be called from any thread."""

    def __init__(
        self,
        address: str,
        key: str,
        write: Callable[[bytes], None],
        log: Callable[[str], None],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._address = address
        self._key = key
        self._write_line = write
        self._log = log
        self._patience_seconds = patience_seconds
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self._calls: dict[str, Call] = {}  # by the JSON of the request's id: 1 and "1" are two
        self._opening = threading.Lock()
        self._initialize: Message | None = None
        self._session = ""
        self._revision = ""
        self._reopened = 0
        self._listener: threading.Thread | None = None
        self._outbox: queue.Queue[tuple[Message, threading.Event]] = queue.Queue()
        self._last_sent = threading.Event()
        self._last_sent.set()
        threading.Thread(target=self._send_outbox, daemon=True).start()

    def receive(self, line: bytes) -> None:
        """One line from the client. Returns at once."""
        try:
            message = json.loads(line)
        except ValueError:
            self._write(error_answer(None, PARSE_ERROR, "This line is not JSON."))
            return
        if not isinstance(message, dict):
            self._write(error_answer(None, INVALID_REQUEST, "Send one message a line; batches are not passed on."))
        elif "method" in message and "id" in message:
            call = self._calls[json.dumps(message["id"])] = Call(message)
            threading.Thread(target=self._answer, args=(call, self._last_sent), daemon=True).start()
        elif message.get("method") == "notifications/cancelled" and self._cancel(message):
            return
        else:  # notifications and answers to the server's questions, in the client's order
            self._last_sent = threading.Event()
            self._outbox.put((message, self._last_sent))

    def close(self) -> None:
        """The client is gone: give up what is on its way and end the session."""
        self._ended.set()
        for call in list(self._calls.values()):
            call.give_up()
        if self._session:
            goodbye = Exchange(self._address)
            with suppress(NotSent, Broken):
                goodbye.open("DELETE", self._headers({}), None, answer_seconds=GOODBYE_SECONDS)
            goodbye.release()

    def _answer(self, call: Call, before: threading.Event) -> None:
        identifier = call.message["id"]
        try:
            before.wait()  # a request must not overtake the notification before it
            self._carry(call)
        except Refused as refusal:
            self._log(str(refusal))
            if not call.is_given_up.is_set():
                self._write(error_answer(identifier, SERVER_ERROR, str(refusal)))
        except Exception as error:
            # The boundary of one request: the client must not wait for an answer that nobody gives.
            self._log(f"{call.message.get('method')} failed: {error!r}")
            self._write(error_answer(identifier, SERVER_ERROR, f"The bridge to Headwater failed: {error!r}."))
        finally:
            if self._calls.get(json.dumps(identifier)) is call:
                del self._calls[json.dumps(identifier)]

    def _cancel(self, message: Message) -> bool:
        """Stop a request. True when the server need not be told: without sessions, closing the connection tells it."""
        params = message.get("params")
        call = self._calls.get(json.dumps(params.get("requestId"))) if isinstance(params, dict) else None
        if call is None:
            return False
        if revision_of(call.message) is not None:
            call.give_up()
            return True
        call.is_given_up.set()
        return False

    def _send_outbox(self) -> None:
        while not self._ended.is_set():
            message, sent = self._outbox.get()
            try:
                self._carry(Call(message))
                if message.get("method") == "notifications/initialized":
                    self._listen()
            except Refused as refusal:
                self._log(str(refusal))
            except Exception as error:
                # The same boundary for messages that nobody waits for.
                self._log(f"{message.get('method', 'an answer')} failed: {error!r}")
            finally:
                sent.set()

    def _carry(self, call: Call) -> None:
        """Bring one message to the server and its answer back, over restarts. Raises Refused."""
        method = str(call.message.get("method", ""))
        deadline = time.monotonic() + self._patience_seconds
        pause = FIRST_PAUSE_SECONDS
        while not call.is_given_up.is_set() and not self._ended.is_set():
            wanted = 0.0
            try:
                self._try(call)
                return
            except SessionLost as lost:
                try:
                    self._reopen(lost.session)
                    continue
                except (NotSent, Broken, Busy) as error:
                    problem: Exception = error
            except (NotSent, Busy) as error:
                problem = error
                wanted = error.seconds if isinstance(error, Busy) else 0.0
            except Broken as error:
                if call.is_given_up.is_set() or self._ended.is_set():
                    return
                if method not in REPEATABLE:
                    raise Refused(
                        f"The connection to Headwater at {self._address} broke during {method or 'an answer'} ({error}). "
                        "It may have been carried out: look before you call it again."
                    ) from None
                if method == "subscriptions/listen" and call.was_answered:
                    deadline = time.monotonic() + self._patience_seconds
                problem = error
            if time.monotonic() + max(pause, wanted) > deadline:
                raise Refused(f"Headwater at {self._address} cannot be reached ({problem}): is it running? Start it, then try again.")
            call.is_given_up.wait(max(pause, wanted))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _try(self, call: Call) -> None:
        """One attempt. Raises NotSent, Busy or SessionLost when the server has not looked at it, Broken when nobody knows, Refused."""
        message = call.message
        is_request = "method" in message and "id" in message
        is_opening = message.get("method") == "initialize"
        session = "" if is_opening or revision_of(message) is not None else self._session
        call.exchange = exchange = Exchange(self._address)
        try:
            if call.is_given_up.is_set():
                return
            response = exchange.open("POST", self._headers(message), encoded(message))
            if response.status == 202 or (response.status < 300 and not is_request):
                return
            if response.status != 200:
                self._write(self._error(exchange, response.status, response.getheader("Retry-After"), message, session))
                return
            for received in exchange.messages():
                is_answer = "method" not in received and received.get("id") == message["id"]
                if is_answer and is_opening:
                    self._opened(message, received, response.getheader("Mcp-Session-Id") or "")
                call.was_answered = True
                self._write(received)
                if is_answer:
                    return
            raise Broken("the answer ended early")
        finally:
            exchange.release()

    def _error(self, exchange: Exchange, status: int, retry_after: str | None, message: Message, session: str) -> Message:
        """An answer that is no good one: the server's own JSON-RPC error for the client, or raised as what it means."""
        body = exchange.error_body()
        if status == 404 and session:
            raise SessionLost(session)
        if status in (429, 503):
            raise Busy(float(retry_after) if retry_after and retry_after.isdigit() else 1.0)
        is_request = "method" in message and "id" in message
        if is_request and isinstance(body, dict) and isinstance(body.get("error"), dict) and status not in (401, 403):
            return {"jsonrpc": "2.0", "id": message["id"], "error": body["error"]}
        said = body.get("detail") or body.get("error") if isinstance(body, dict) else None
        details = f" It says: {said}" if isinstance(said, str) else ""
        if status in (401, 403):
            problem = "does not accept the API key" if self._key else "wants an API key, and none is set"
            raise Refused(
                f"Headwater {problem}. Make one with `headwater key create` and put it into the settings of this extension.{details}"
            )
        if status == 404:
            raise Refused(f"Headwater has no project at {self._address}: download its bundle again.{details}")
        raise Refused(f"Headwater at {self._address} answered with status {status}.{details}")

    def _opened(self, request: Message, answer: Message, session: str) -> Any:
        """Keep what an answer to `initialize` opened; its result."""
        result = answer.get("result")
        if isinstance(result, dict):
            self._initialize, self._session = request, session
            self._revision = str(result.get("protocolVersion", ""))
        return result

    def _reopen(self, lost: str) -> None:
        """Open the session anew, once for all that miss it, and tell the client that the lists may be others now."""
        with self._opening:
            if self._session != lost or self._initialize is None:
                return
            self._reopened += 1
            request = {**self._initialize, "id": f"headwater-bridge-{self._reopened}"}
            exchange = Exchange(self._address)
            try:
                response = exchange.open("POST", self._headers(request), encoded(request))
                if response.status != 200:
                    self._error(exchange, response.status, response.getheader("Retry-After"), {}, "")
                result = None
                for received in exchange.messages():
                    if received.get("id") == request["id"]:
                        result = self._opened(self._initialize, received, response.getheader("Mcp-Session-Id") or "")
                        break
            finally:
                exchange.release()
            if not isinstance(result, dict):
                raise Refused(f"Headwater at {self._address} did not open the session again.")
            self._try(Call({"jsonrpc": "2.0", "method": "notifications/initialized"}))
        self._log("The server was away; the session is open again.")
        capabilities = result.get("capabilities")
        for kind, held in (capabilities if isinstance(capabilities, dict) else {}).items():
            if isinstance(held, dict) and held.get("listChanged"):
                self._write({"jsonrpc": "2.0", "method": f"notifications/{kind}/list_changed"})

    def _listen(self) -> None:
        if self._listener is None and self._session:
            self._listener = threading.Thread(target=self._follow_session, daemon=True)
            self._listener.start()

    def _follow_session(self) -> None:
        """The session's own stream, on which the server says what belongs to no request; opened again whenever it ends."""
        pause = FIRST_PAUSE_SECONDS
        while not self._ended.is_set():
            session = self._session
            exchange = Exchange(self._address)
            try:
                response = exchange.open("GET", self._headers({}), None)
                if response.status == 404:
                    self._reopen(session)
                elif response.status in (200, 429, 503):
                    for received in exchange.messages() if response.status == 200 else ():
                        pause = FIRST_PAUSE_SECONDS
                        self._write(received)
                else:
                    return  # there is no such stream, or none for this key
            except Refused as refusal:
                self._log(str(refusal))
                return
            except (NotSent, Broken, Busy, SessionLost):
                pass  # the server is away; this stream just waits for it
            finally:
                exchange.release()
            self._ended.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _headers(self, message: Message) -> dict[str, str]:
        headers = {"Accept": BOTH_TYPES if message else "text/event-stream", "User-Agent": "headwater-bundle"}
        if message:
            headers["Content-Type"] = "application/json"
        if self._key:
            headers["x-api-key"] = self._key
        routing = routing_headers(message)
        if not routing and self._session and message.get("method") != "initialize":
            routing = {"Mcp-Session-Id": self._session, "MCP-Protocol-Version": self._revision}
        return {**headers, **routing}

    def _write(self, message: Message) -> None:
        with self._writing:
            self._write_line(encoded(message))


def main(arguments: list[str], environment: Mapping[str, str], *, source: BinaryIO | None = None, target: BinaryIO | None = None) -> int:
    """Run until the client closes its end. 2 when it was started in a way that cannot work."""
    incoming, outgoing = source or sys.stdin.buffer, target or sys.stdout.buffer
    address = arguments[0] if len(arguments) == 1 else ""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        log_line(
            "The one argument must be the address of a project's server, such as http://127.0.0.1:7860/api/v1/mcp/project/…/streamable."
        )
        return 2
    key = environment.get(KEY_VARIABLE, "").strip()
    if key.startswith("${"):  # a client leaves its own word there when nothing was set
        key = ""
    if key and not (key.isascii() and key.isprintable()):
        log_line(f"{KEY_VARIABLE} holds characters that no key has: copy the key again.")
        return 2

    def write(line: bytes) -> None:
        with suppress(OSError, ValueError):  # the client is gone; its closed input ends us
            outgoing.write(line)
            outgoing.flush()

    bridge = Bridge(address, key, write, log_line)
    for line in incoming:
        if line.strip():
            bridge.receive(line)
    bridge.close()
    return 0


def log_line(text: str) -> None:
    print(f"headwater: {text}", file=sys.stderr, flush=True)
