"""Zed: `context_servers` in its settings, a file with comments that people write themselves.

On macOS its documentation names ~/.config/zed, where add-mcp 2.4.0 writes to Application Support; we follow the documentation.
"""

from pathlib import PurePath

from client_configs.client import Client, Entry, Scope
from client_configs.collection import Collection
from client_configs.connection import Command, Connection, Transport
from client_configs.locations import Machine, Side


class Zed(Client):
    id = "zed"
    display_name = "Zed"
    side = Side.DESKTOP
    collection = Collection(("context_servers",))
    transports = (Transport.STREAMABLE_HTTP, Transport.STDIO)
    limits = ("No reference to the environment: a project's file cannot hold a server that needs a key.",)

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        folder = machine.configuration_folder(self.side)
        return () if folder is None else (folder / ("Zed" if machine.is_windows(self.side) else "zed") / "settings.json",)

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".zed" / "settings.json",)

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        return {"source": "custom", "type": "http", "url": address, "headers": headers}

    def stdio_entry(self, command: Command, connection: Connection, scope: Scope) -> Entry:
        return {"source": "custom", "command": command.program, "args": list(command.arguments), "env": dict(command.environment)}
