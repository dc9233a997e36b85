"""Cursor: one JSON file for the user, one for a project; a link that installs."""

from pathlib import PurePath

from client_configs.client import Client, encoded_base64
from client_configs.connection import Connection, KeyHandling, Transport
from client_configs.locations import Machine, Side


class Cursor(Client):
    id = "cursor"
    display_name = "Cursor"
    side = Side.DESKTOP
    variable_reference = "${env:NAME}"

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        home = machine.home_of(self.side)
        return () if home is None else (home / ".cursor" / "mcp.json",)

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".cursor" / "mcp.json",)

    def install_link(self, connection: Connection) -> str:
        return f"cursor://anysphere.cursor-deeplink/mcp/install?{self._query(connection)}"

    def web_link(self, connection: Connection) -> str:
        return f"https://cursor.com/en/install-mcp?{self._query(connection)}"

    def _query(self, connection: Connection) -> str:
        entry = self.entry(connection, Transport.STREAMABLE_HTTP, KeyHandling.REFERENCE)
        return f"name={connection.server_name}&config={encoded_base64(entry)}"
