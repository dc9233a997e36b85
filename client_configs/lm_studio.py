"""LM Studio: Cursor's notation, and links of its own."""

from pathlib import PurePath

from client_configs.client import Client, encoded_base64
from client_configs.connection import Connection, KeyHandling, Transport
from client_configs.locations import Machine, Side


class LmStudio(Client):
    id = "lm-studio"
    display_name = "LM Studio"
    aliases = ("lmstudio",)
    side = Side.DESKTOP
    limits = ("No project file, and no reference to the environment: put the key in place of the words in the link.",)

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        home = machine.home_of(self.side)
        return () if home is None else (home / ".lmstudio" / "mcp.json",)

    def install_link(self, connection: Connection) -> str:
        return f"lmstudio://add_mcp?{self._query(connection)}"

    def web_link(self, connection: Connection) -> str:
        return f"https://lmstudio.ai/install-mcp?{self._query(connection)}"

    def _query(self, connection: Connection) -> str:
        entry = self.entry(connection, Transport.STREAMABLE_HTTP, KeyHandling.PLACEHOLDER)
        return f"name={connection.server_name}&config={encoded_base64(entry)}"
