"""An HTTP server whose answers a test gives, one function for all requests; it keeps what it was sent."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECONDS = 20
Message = dict[str, Any]


@dataclass(frozen=True)
class Received:
    method: str
    headers: dict[str, str]
    message: Message


class Answering(BaseHTTPRequestHandler):
    """What a test's function answers with."""

    protocol_version = "HTTP/1.1"
    server: "Scripted"

    def answer(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def begin_stream(self, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": "text/event-stream", "Connection": "close", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def event(self, message: Message) -> None:
        self.wfile.write(f": alive\nevent: message\ndata: {json.dumps(message)}\n\n".encode())
        self.wfile.flush()

    def break_off(self) -> None:
        """As a server that dies does it."""
        self.close_connection = True
        self.connection.close()

    def wait_until_closed(self) -> None:
        """Until the client ends the connection."""
        with suppress(OSError):
            while self.connection.recv(1):
                pass
        self.server.closed.set()

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_GET(self) -> None:
        self._serve({})

    def do_DELETE(self) -> None:
        self._serve({})

    def _serve(self, message: Message) -> None:
        received = Received(self.command, {name.lower(): value for name, value in self.headers.items()}, message)
        self.server.received.append(received)
        with suppress(BrokenPipeError, ConnectionResetError):
            self.server.script(self, received)

    def log_message(self, format: str, *args: Any) -> None:
        """A test prints nothing."""


Script = Callable[[Answering, Received], None]


class Scripted(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: Script, port: int) -> None:
        super().__init__(("127.0.0.1", port), Answering)
        self.script = script
        self.received: list[Received] = []
        self.closed = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/mcp"

    def sent(self, method: str) -> list[Received]:
        """What came with this JSON-RPC method, in order."""
        return [each for each in self.received if each.message.get("method") == method]


@contextmanager
def scripted_server(script: Script, *, port: int = 0) -> Iterator[Scripted]:
    with Scripted(script, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(SECONDS)


@dataclass
class Sessions:
    """A script that keeps sessions as revisions before 2026-07-28 have them; `calls` answers the rest."""

    calls: Script
    capabilities: Message = field(default_factory=lambda: {"tools": {"listChanged": True}})
    number: int = 0
    known: set[str] = field(default_factory=set)
    stream: Script = lambda handler, received: handler.answer(405)

    def __call__(self, handler: Answering, received: Received) -> None:
        method = received.message.get("method")
        if received.method == "DELETE":
            handler.answer(200)
        elif method == "initialize":
            self.number += 1
            session = f"session-{self.number}"
            self.known.add(session)
            result = {"protocolVersion": "2025-06-18", "capabilities": self.capabilities, "serverInfo": {"name": "s", "version": "1"}}
            handler.begin_stream({"Mcp-Session-Id": session})
            handler.event({"jsonrpc": "2.0", "id": received.message["id"], "result": result})
        elif received.headers.get("mcp-session-id") not in self.known:
            handler.answer(404, {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Session not found"}})
        elif received.method == "GET":
            self.stream(handler, received)
        elif "id" not in received.message or method is None:
            handler.answer(202)
        else:
            self.calls(handler, received)
