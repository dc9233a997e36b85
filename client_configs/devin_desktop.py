"""Devin Desktop, which was Windsurf: a file of its own, with `url` and `transport`."""

from pathlib import PurePath

from client_configs.client import Client, Entry, Scope
from client_configs.connection import Connection, Transport
from client_configs.locations import Machine, Side


class DevinDesktop(Client):
    id = "devin-desktop"
    display_name = "Devin Desktop"
    aliases = ("devin",)
    side = Side.DESKTOP
    transports = (Transport.STREAMABLE_HTTP, Transport.STDIO)
    limits = ("Its links reach only its own registry.", "A project's file cannot name an environment variable, as far as is known.")

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        folder = machine.configuration_folder(self.side)
        return () if folder is None else (folder / "devin" / "mcp_config.json",)

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".devin" / "mcp_config.json",)

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        return {"url": address, "transport": "http"} | ({"headers": headers} if headers else {})
