"""`headwater serve`: one process, one event loop, one listening socket."""

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
import uvicorn

from mcp_server.app import create_app
from mcp_server.first_start import FirstStart, greeting, model_line, welcome
from mcp_server.settings import Settings, SettingsProblem
from mcp_server.wiring import open_services

BACKLOG = 2_048
KEEP_ALIVE_SECONDS = 75  # longer than common proxies keep theirs, so that it is they who close
GRACE_SECONDS = 10  # for running calls and open streams after SIGTERM
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
    with listener, asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, listener))


async def _serve(settings: Settings, listener: socket.socket) -> None:
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

    _on_signals(stop)
    try:
        async with open_services(settings, on_first_start=first.append) as services:
            app = create_app(services, settings)
            config = uvicorn.Config(
                app,
                loop="none",
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=settings.access_log,
                server_header=False,
                # Whoever listens for others by a public address stands behind a proxy on this machine; nobody else is believed.
                proxy_headers=settings.public_url is not None,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
                backlog=BACKLOG,
            )

            def tell() -> None:
                click.echo(welcome(first[0], settings.base_url) if first else greeting(settings.base_url), nl=False)
                sys.stdout.flush()
                first.clear()
                # Looking for models takes a moment, and those who wait for this server need not wait for that.
                told.append(asyncio.create_task(tell_model(), name="which model"))

            async def tell_model() -> None:
                click.echo(await model_line(services, settings))
                sys.stdout.flush()

            server = _Server(config, tell, app.state.close_streams)
            try:
                await server.serve(sockets=[listener])
            finally:
                for each in told:
                    each.cancel()
                await asyncio.gather(*told, return_exceptions=True)
    except asyncio.CancelledError:
        if server is not None:
            raise


class _Server(uvicorn.Server):
    """Says that it is there once it is, and leaves signals to `_serve`, so that SIGTERM is an ordinary end."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None], on_stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._on_stopping = on_stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            gc.freeze()
            gc.set_threshold(YOUNG_OBJECTS, 20, 50)
            gc.enable()
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        await super().shutdown(sockets)


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


def _on_signals(stop: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # Windows loops cannot
            signal.signal(number, lambda given, frame: loop.call_soon_threadsafe(stop, given) and None)


def _loop_factory() -> Callable[[], Any] | None:
    try:
        import uvloop  # not there on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop
