"""Gemini CLI: `url` with `type`; `httpUrl` is deprecated in its code, and a bare `url` means SSE."""

from pathlib import PurePath

from client_configs.client import Client, Entry, Scope
from client_configs.connection import Connection, Transport
from client_configs.locations import Machine


class GeminiCli(Client):
    id = "gemini-cli"
    display_name = "Gemini CLI"
    aliases = ("gemini",)
    variable_reference = "$NAME"

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return (machine.home / ".gemini" / "settings.json",)

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".gemini" / "settings.json",)

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        kind = "http" if transport is Transport.STREAMABLE_HTTP else "sse"
        return {"type": kind, "url": address} | ({"headers": headers} if headers else {})

    def command_line(self, connection: Connection, scope: Scope = Scope.USER) -> tuple[str, ...]:
        start = ("gemini", "mcp", "add", "--transport", "http", "--scope", scope.value)
        header = ("-H", f"{connection.header}: ${{{connection.variable}}}") if connection.needs_key else ()
        return (*start, *header, connection.server_name, connection.http_url)
