"""Roo Code, in VS Code: "streamable-http" with a hyphen, and required."""

from pathlib import PurePath

from client_configs.client import Client, Entry, Scope
from client_configs.connection import Connection, Transport
from client_configs.locations import Machine, Side


class RooCode(Client):
    id = "roo-code"
    display_name = "Roo Code"
    aliases = ("roo",)
    side = Side.DESKTOP
    limits = ("No reference to the environment that is sure to work: a project's file cannot hold a server that needs a key.",)

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return tuple(folder / "settings" / "mcp_settings.json" for folder in self.own_folders(machine))

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".roo" / "mcp.json",)

    def own_folders(self, machine: Machine) -> tuple[PurePath, ...]:
        folder = machine.vs_code_folder()
        return () if folder is None else (folder / "globalStorage" / "rooveterinaryinc.roo-cline",)

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        kind = "streamable-http" if transport is Transport.STREAMABLE_HTTP else "sse"
        return {"type": kind, "url": address} | ({"headers": headers} if headers else {})
