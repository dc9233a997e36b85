"""`headwater serve`: one process, one event loop, one listening socket."""

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import click
import uvicorn
from starlette.applications import Starlette

from mcp_server import bounded_websocket
from mcp_server.app import allowed_hosts, create_app
from mcp_server.bounded_http import BoundedHttp
from mcp_server.first_start import FirstStart, model_line, told_at_start
from mcp_server.mcp_face import McpFace
from mcp_server.peers import Peers, Proofs
from mcp_server.relay import Neighbours, Relay
from mcp_server.settings import Settings, SettingsProblem
from mcp_server.wiring import open_services, secret_keys_of
from projects.services import ProjectServices

if TYPE_CHECKING:
    from mcp_server.workers import Member

BACKLOG = 2_048
KEEP_ALIVE_SECONDS = 75  # longer than common proxies keep theirs, so that it is they who close
CUT_OFF_SECONDS = 1  # beyond the time to drain, for what was cut off to say so
YOUNG_OBJECTS = 20_000  # a call makes a few hundred; the default of 700 collects in the middle of most of them


def serve(settings: Settings) -> None:
    """Until SIGTERM or Ctrl+C. Raises SettingsProblem when the address cannot be had."""
    listener = _listen(settings.host, settings.port)
    if not settings.is_local and not settings.is_public_url_https:
        click.echo(
            f"headwater: warning: {settings.host} is reachable by others and keys travel unencrypted; put a TLS proxy before it and set "
            "HEADWATER_PUBLIC_URL to its https address.",
            err=True,
        )
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    with listener:
        if settings.workers > 1:
            from mcp_server import workers  # not needed by most

            workers.serve(settings, listener, lambda member: _run(settings, listener, member))
        else:
            _run(settings, listener, None)


def _run(settings: Settings, listener: socket.socket, member: "Member | None") -> None:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(settings, listener, member))


async def _serve(settings: Settings, listener: socket.socket, member: "Member | None") -> None:
    """`member` when this is one worker of several, which leave it to their parent to greet."""
    first: list[FirstStart] = []
    told: list[asyncio.Task[None]] = []
    server: _Server | None = None
    task = asyncio.current_task()
    assert task is not None

    def stop(number: int) -> None:
        if server is None:
            task.cancel()
        else:
            server.handle_exit(number, None)

    on_signals(stop)
    if member is not None:
        member.on_parent_gone(lambda: stop(signal.SIGTERM))
    try:
        async with open_services(settings, on_first_start=first.append) as services:
            app = create_app(services, settings)
            relay = None
            if member is not None or settings.peers:
                relay = relay_of(app, services, settings, Neighbours() if member is None else member.neighbours)
            config = uvicorn.Config(
                app if relay is None else relay,
                loop="none",
                http=BoundedHttp,
                **bounded_websocket.OPTIONS,
                lifespan="on",
                log_config=None,
                access_log=settings.access_log,
                server_header=False,
                # Whoever listens for others by a public address stands behind a proxy on this machine; nobody else is believed.
                proxy_headers=settings.public_url is not None,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(settings.drain_seconds) + CUT_OFF_SECONDS),
                backlog=BACKLOG,
            )

            def tell() -> None:
                if member is not None:
                    return
                click.echo(told_at_start(settings, first[0] if first else None), nl=False)
                sys.stdout.flush()
                first.clear()
                # Looking for models takes a moment, and those who wait for this server need not wait for that.
                told.append(asyncio.create_task(tell_model(), name="which model"))

            async def tell_model() -> None:
                await app.state.mcp_face.opened()  # what both import, the loop would otherwise wait for
                click.echo(await model_line(services, settings))
                sys.stdout.flush()

            async def drain() -> None:
                await services.invocations.drain(settings.drain_seconds)

            def close_streams() -> None:
                app.state.close_streams()
                if relay is not None:
                    relay.close_streams()

            server = _Server(config, tell, app.state.mcp_face.opened, close_streams, drain)
            try:
                await server.serve(sockets=[listener] if member is None else [listener, member.own])
                server.require_complete()
            finally:
                if relay is not None:
                    await relay.close()
                for each in told:
                    each.cancel()
                await asyncio.gather(*told, return_exceptions=True)
    except asyncio.CancelledError:
        if server is not None:
            raise


def relay_of(app: Starlette, services: ProjectServices, settings: Settings, neighbours: Neighbours) -> Relay:
    face: McpFace = app.state.mcp_face
    peers = None
    if settings.peers:
        peers = Peers(settings.peers, Proofs(secret_keys_of(settings), neighbours.nonces), allowed_hosts(settings))
    return Relay(app, neighbours, {"session": face.has_session, "sse": face.has_stream, "build": services.builds.has_job}, peers)


class _Server(uvicorn.Server):
    """Says that it is there once it is, and leaves signals to `_serve`, so that SIGTERM is an ordinary end."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_started: Callable[[], None],
        complete: Callable[[], Awaitable[object]],
        on_stopping: Callable[[], None],
        drain: Callable[[], Awaitable[None]],
    ) -> None:
        """`complete` returns when what is still loaded after the start is there; what it raises ends the server."""
        super().__init__(config)
        self._on_started = on_started
        self._complete = complete
        self._completing: asyncio.Task[None] | None = None
        self._on_stopping = on_stopping
        self._drain = drain

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()
            self._completing = asyncio.create_task(self._until_complete(), name="completing the start")

    async def _until_complete(self) -> None:
        try:
            await self._complete()
        except BaseException:
            self.should_exit = True
            raise
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, 20, 50)
        gc.enable()

    def require_complete(self) -> None:
        """After the end: raise what kept the start from being completed."""
        if self._completing is not None and self._completing.done():
            self._completing.result()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        # Side by side: requests that came on open connections are answered while runs in the background end.
        await asyncio.gather(self._drain(), super().shutdown(sockets))


def _listen(host: str, port: int) -> socket.socket:
    """Bound and listening before anything else is opened: who comes early waits instead of being refused."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror:
        raise SettingsProblem(f"HEADWATER_HOST cannot be used: this machine does not know the name {host!r}.") from None
    # With the protocol left out, asyncio's own loop leaves Nagle's delay on, which costs 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere this option lets two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = "it is in use already" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise SettingsProblem(f"Port {port} of {host} cannot be listened on: {reason}. Choose another with --port.") from None
    listener.setblocking(False)
    return listener


def on_signals(stop: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # Windows loops cannot
            signal.signal(number, lambda given, frame: loop.call_soon_threadsafe(stop, given) and None)


def loop_factory() -> Callable[[], Any] | None:
    try:
        import uvloop  # not there on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop
