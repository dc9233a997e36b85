"""`headwater connect`: the bridge as a process. The key comes from the environment alone: others can read what stands on a command line."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from importlib.metadata import version

import click

from client_configs.connection import ADDRESS_PATTERN, KEY_PATTERN, is_loopback
from mcp_server.bridge.relay import Bridge
from mcp_server.bridge.remote import KEY_VARIABLE, Remote, open_http
from mcp_server.bridge.standard_streams import ClientGone, read_lines, write_line
from mcp_server.settings_problem import SettingsProblem

STANDARD_INPUT, STANDARD_OUTPUT = 0, 1


def connect(url: str, *, patience_seconds: float) -> None:
    """Until the client closes standard input. Raises SettingsProblem for an address or a key that cannot be used."""
    if not ADDRESS_PATTERN.fullmatch(url):
        raise SettingsProblem(
            "The address must be http(s)://host[:port]/path, without user, query or fragment. A key belongs into the environment as "
            f"{KEY_VARIABLE}, where others on this machine cannot read it."
        )
    key = os.environ.get(KEY_VARIABLE, "").strip() or None
    if key is not None and not KEY_PATTERN.fullmatch(key):
        raise SettingsProblem(f"{KEY_VARIABLE} is not a key: a client that fills in variables may have left the reference as it was.")
    if key is not None and "${" in key:
        raise SettingsProblem(f"{KEY_VARIABLE} is {key}, a reference that the client did not fill in: set the variable, or write the key.")
    if key is not None and url.startswith("http:") and not is_loopback(url):
        _tell(f"the key travels unencrypted to {url}; use https.")
    if sys.stdin.isatty():
        _tell("speaks MCP on standard input; an MCP client starts it. Ctrl+D ends it.")
    with suppress(asyncio.CancelledError):
        asyncio.run(_bridge(url, key, patience_seconds))


async def _bridge(url: str, key: str | None, patience_seconds: float) -> None:
    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError):  # Windows: the process just ends
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with open_http(url, version("headwater")) as http:
        bridge = Bridge(Remote(url, key, http), _write, _tell, patience_seconds=patience_seconds)
        with suppress(ClientGone):
            await bridge.run(read_lines(STANDARD_INPUT))


def _write(line: bytes) -> None:
    write_line(STANDARD_OUTPUT, line)


def _tell(text: str) -> None:
    with suppress(OSError):
        click.echo(f"headwater connect: {text}", err=True)
