"""Claude Code: a JSON file that the client itself writes often, a shared `.mcp.json`, and a command that adds a server."""

from pathlib import PurePath
from typing import ClassVar

from client_configs.client import Client, Entry, Scope
from client_configs.connection import Connection, Transport
from client_configs.locations import Machine


class ClaudeCode(Client):
    id = "claude-code"
    display_name = "Claude Code"
    variable_reference = "${NAME}"
    limits: ClassVar[tuple[str, ...]] = (
        "References to the environment are not filled in within headers (claude-code#6204, #51581), so a project's file gets the bridge.",
    )

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return ((machine.folder_named_by("CLAUDE_CONFIG_DIR") or machine.home) / ".claude.json",)

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".mcp.json",)

    def own_folders(self, machine: Machine) -> tuple[PurePath, ...]:
        return (machine.folder_named_by("CLAUDE_CONFIG_DIR") or machine.home / ".claude",)

    def transports_in(self, scope: Scope, connection: Connection) -> tuple[Transport, ...]:
        if scope is Scope.PROJECT and connection.needs_key:
            return (Transport.STDIO, Transport.STREAMABLE_HTTP, Transport.SSE)
        return self.transports

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        # Without "type" it takes the entry for a program.
        kind = "http" if transport is Transport.STREAMABLE_HTTP else "sse"
        return {"type": kind, "url": address} | ({"headers": headers} if headers else {})

    def command_line(self, connection: Connection, scope: Scope = Scope.USER) -> tuple[str, ...] | None:
        # The name stands before the header, because --header takes every word that follows it.
        start = ("claude", "mcp", "add", "--transport", "http", "--scope", scope.value, connection.server_name, connection.http_url)
        return (*start, "--header", f"{connection.header}: {self.key_reference(connection)}") if connection.needs_key else start
