"""What every client answers: where its file is, what its entry looks like, its link, its command, and what it cannot do.

Above are the clients, a file each, and `installation.py`, which asks them; below are `connection.py` and `locations.py`.
"""

import base64
import json
import shlex
from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePath
from typing import Any, ClassVar
from urllib.parse import quote

from client_configs.collection import Collection
from client_configs.config_file import FileFormat, Put, Remove
from client_configs.connection import PLACEHOLDER, Command, Connection, KeyHandling, Transport, is_public
from client_configs.locations import Machine, Platform, Side
from client_configs.problems import InvalidConnection, SecretWouldBeShared, Unsupported

Entry = dict[str, Any]

# What an entry says about the way to the server. On a new installation these go; what else a person set in the entry stays.
CONNECTION_KEYS = frozenset(
    (
        *("url", "serverUrl", "httpUrl", "uri", "type", "transport", "source"),
        *("headers", "http_headers", "env_http_headers", "bearer_token_env_var", "requestOptions", "oauth", "headersHelper"),
        *("command", "cmd", "args", "env", "environment", "envs", "env_vars", "env_keys"),
    )
)


class Scope(StrEnum):
    USER = "user"
    PROJECT = "project"


class Client:
    """A client with a file; those without one override less. Every answer is pure: machine and connection are passed in."""

    id: ClassVar[str]
    display_name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    file_format: ClassVar[FileFormat] = FileFormat.JSON
    collection: ClassVar[Collection] = Collection(("mcpServers",))
    transports: ClassVar[tuple[Transport, ...]] = (Transport.STREAMABLE_HTTP, Transport.SSE, Transport.STDIO)
    """What its file takes, the best first."""
    side: ClassVar[Side] = Side.HERE
    variable_reference: ClassVar[str | None] = None
    """How its file names an environment variable, with NAME for the name; None when it cannot."""
    new_file: ClassVar[str] = ""
    limits: ClassVar[tuple[str, ...]] = ()
    """What it cannot do, in words for a person."""
    connects_from_the_internet: ClassVar[bool] = False
    takes_block: ClassVar[bool] = True
    """Whether there is a place to paste its entry into."""

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        """Where its file for the user may be; the first is made when none is there. Empty where it has none."""
        return ()

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        """The same, in a project's folder."""
        return ()

    def own_folders(self, machine: Machine) -> tuple[PurePath, ...]:
        """The folders that are there when the client is; the first leads to its file."""
        return tuple(dict.fromkeys(file.parent for file in self.user_files(machine)))

    def collection_in(self, scope: Scope) -> Collection:
        return self.collection

    def transports_in(self, scope: Scope, connection: Connection) -> tuple[Transport, ...]:
        """What its file takes there, the best first."""
        return self.transports

    def key_handling_in(self, scope: Scope, connection: Connection) -> KeyHandling:
        """How the key is best written there. A project's file is shared, so the key itself never goes into it."""
        if scope is Scope.USER or not connection.needs_key:
            return KeyHandling.IN_FILE
        if not self.can_reference_key:
            raise SecretWouldBeShared(
                f"{self.display_name} cannot take a key from the environment, and a project's file is shared: "
                "install it for the user instead."
            )
        return KeyHandling.REFERENCE

    @property
    def can_reference_key(self) -> bool:
        return self.variable_reference is not None

    def key_reference(self, connection: Connection) -> str:
        """The client's own words for "the key, from elsewhere"."""
        if self.variable_reference is None:
            raise Unsupported(f"{self.display_name} has no way to name an environment variable in its file.")
        return self.variable_reference.replace("NAME", connection.variable)

    def key_text(self, connection: Connection, key_handling: KeyHandling) -> str | None:
        """What stands where the key belongs; None when the server needs none."""
        if not connection.needs_key:
            return None
        match key_handling:
            case KeyHandling.IN_FILE:
                if connection.key is None:
                    raise InvalidConnection("A key is needed to write one into a file.")
                return connection.key
            case KeyHandling.REFERENCE:
                return self.key_reference(connection)
            case KeyHandling.PLACEHOLDER:
                return PLACEHOLDER

    def headers(self, connection: Connection, key_handling: KeyHandling) -> dict[str, str]:
        text = self.key_text(connection, key_handling)
        return {} if text is None else {connection.header: text}

    def command(self, connection: Connection, key_handling: KeyHandling, machine: Machine | None) -> Command:
        """The stdio form, fit for where the client runs; the key in the environment, never in an argument."""
        text = self.key_text(connection, key_handling)
        environment: dict[str, str] = {} if text is None else {connection.variable: text}
        command = connection.local_command()
        program, arguments = command.program, command.arguments
        if machine is not None and machine.is_windows(self.side):
            if connection.executable is None:
                # npx is a script there, and a program cannot start one by itself.
                program, arguments = "cmd", ("/c", program, *arguments)
            elif machine.platform is Platform.WSL:
                # The client is a Windows program, our executable one of Linux; WSLENV carries the variable across.
                distribution = machine.environment.get("WSL_DISTRO_NAME")
                program, arguments = "wsl.exe", (*(("-d", distribution) if distribution else ()), "--", program, *arguments)
                if environment:
                    environment["WSLENV"] = f"{connection.variable}/u"
        return Command(program, arguments, tuple(environment.items()))

    def entry(
        self,
        connection: Connection,
        transport: Transport,
        key_handling: KeyHandling,
        *,
        scope: Scope = Scope.USER,
        machine: Machine | None = None,
    ) -> Entry:
        """What stands under the server's name."""
        if transport is Transport.STDIO:
            return self.stdio_entry(self.command(connection, key_handling, machine), connection, scope)
        address = connection.http_url if transport is Transport.STREAMABLE_HTTP else connection.sse_url
        if address is None:
            raise Unsupported("This server has no SSE address.")
        return self.remote_entry(address, transport, self.headers(connection, key_handling), connection, scope)

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        return {"url": address} | ({"headers": headers} if headers else {})

    def stdio_entry(self, command: Command, connection: Connection, scope: Scope) -> Entry:
        environment = dict(command.environment)
        return {"command": command.program, "args": list(command.arguments)} | ({"env": environment} if environment else {})

    def further_edits(self, connection: Connection, key_handling: KeyHandling) -> tuple[Put, ...]:
        """What else its file needs beside the entry."""
        return ()

    def further_removals(self, connection: Connection) -> tuple[Remove, ...]:
        return ()

    def install_link(self, connection: Connection) -> str | None:
        """A link that asks the client to install the server. Links travel in clear: a placeholder stands for the key."""
        return None

    def web_link(self, connection: Connection) -> str | None:
        """The same through an https page, for places that take no other links."""
        return None

    def command_line(self, connection: Connection, scope: Scope = Scope.USER) -> tuple[str, ...] | None:
        """The client's own command that adds the server, without the key itself."""
        return None

    def instructions(self, connection: Connection) -> str | None:
        """What a person does where there is no file."""
        return None

    def connection_notes(self, connection: Connection, transport: Transport, machine: Machine) -> tuple[str, ...]:
        """What may keep this client from the server's address."""
        if self.connects_from_the_internet and not is_public(connection.http_url):
            return (
                f"{self.display_name} connects from the internet and cannot reach {connection.http_url}: it needs a public https address "
                "(set HEADWATER_PUBLIC_URL).",
            )
        if machine.platform is Platform.WSL and self.side is Side.DESKTOP and connection.is_loopback and transport is not Transport.STDIO:
            return (
                f"{self.display_name} runs in Windows, Headwater in WSL. Windows passes localhost on to WSL unless that is switched off; "
                "if it cannot connect, install with the stdio transport, or serve on WSL's own address.",
            )
        return ()


def shown_command(arguments: tuple[str, ...]) -> str:
    """A line to paste into a POSIX shell; references to variables stay open, so the shell fills them in."""
    return " ".join(f'"{argument}"' if "${" in argument and '"' not in argument else shlex.quote(argument) for argument in arguments)


def encoded_json(value: Mapping[str, Any]) -> str:
    """Compact JSON, percent-encoded for a link's query."""
    return quote(json.dumps(value, separators=(",", ":"), ensure_ascii=False), safe="")


def encoded_base64(value: Mapping[str, Any]) -> str:
    """Compact JSON in standard base64, percent-encoded: the alphabet for URLs is not what the clients decode."""
    return quote(base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode(), safe="")
