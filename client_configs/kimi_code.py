"""Kimi Code: every entry names its transport."""

from pathlib import PurePath

from client_configs.client import Client, Entry, Scope
from client_configs.connection import Command, Connection, Transport
from client_configs.locations import Machine


class KimiCode(Client):
    id = "kimi-code"
    display_name = "Kimi Code"
    aliases = ("kimi",)
    limits = ("No reference to the environment: a project's file cannot hold a server that needs a key.",)

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return ((machine.folder_named_by("KIMI_CODE_HOME") or machine.home / ".kimi-code") / "mcp.json",)

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".kimi-code" / "mcp.json",)

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        kind = "http" if transport is Transport.STREAMABLE_HTTP else "sse"
        return {"transport": kind, "url": address} | ({"headers": headers} if headers else {})

    def stdio_entry(self, command: Command, connection: Connection, scope: Scope) -> Entry:
        return {"transport": "stdio"} | super().stdio_entry(command, connection, scope)
