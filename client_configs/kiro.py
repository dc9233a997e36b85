"""Kiro, IDE and command line, and the Amazon Q Developer CLI it was before. Unlike Cursor's, its link holds plain JSON."""

from pathlib import PurePath

from client_configs.client import Client, encoded_json
from client_configs.connection import Connection, KeyHandling, Transport
from client_configs.locations import Machine


class Kiro(Client):
    id = "kiro"
    display_name = "Kiro"
    aliases = ("kiro-cli",)
    transports = (Transport.STREAMABLE_HTTP, Transport.STDIO)
    variable_reference = "${NAME}"

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return tuple(folder / "settings" / "mcp.json" for folder in self.own_folders(machine))

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".kiro" / "settings" / "mcp.json",)

    def own_folders(self, machine: Machine) -> tuple[PurePath, ...]:
        return (machine.home / ".kiro",)

    def install_link(self, connection: Connection) -> str | None:
        return None

    def web_link(self, connection: Connection) -> str | None:
        entry = self.entry(connection, Transport.STREAMABLE_HTTP, KeyHandling.REFERENCE)
        return f"https://kiro.dev/launch/mcp/add?name={connection.server_name}&config={encoded_json(entry)}"


class AmazonQ(Client):
    id = "amazon-q"
    display_name = "Amazon Q Developer CLI"
    transports = (Transport.STDIO,)
    limits = ("Renamed to Kiro; only for those who still have it.", "Programs only: it gets the bridge.")

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return (machine.home / ".aws" / "amazonq" / "mcp.json",)
