"""Junie, JetBrains' agent. Its IDE plugin is documented for programs only, so the bridge comes first."""

from pathlib import PurePath

from client_configs.client import Client
from client_configs.connection import Connection, Transport
from client_configs.locations import Machine, Side


class Junie(Client):
    id = "junie"
    display_name = "Junie"
    side = Side.DESKTOP
    transports = (Transport.STDIO, Transport.STREAMABLE_HTTP)
    limits = ("No reference to the environment: a project's file cannot hold a server that needs a key.",)

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return tuple(folder / "mcp" / "mcp.json" for folder in self.own_folders(machine))

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".junie" / "mcp" / "mcp.json",)

    def own_folders(self, machine: Machine) -> tuple[PurePath, ...]:
        home = machine.home_of(self.side)
        return () if home is None else (home / ".junie",)
