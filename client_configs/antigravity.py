"""Antigravity: Windsurf's `serverUrl`, beside Gemini's files. Two folders are in use; the one that is there wins."""

from pathlib import PurePath

from client_configs.client import Client, Entry, Scope
from client_configs.connection import Connection, Transport
from client_configs.locations import Machine, Side


class Antigravity(Client):
    id = "antigravity"
    display_name = "Antigravity"
    side = Side.DESKTOP
    limits = ("No project file, and no reference to the environment: the key stands in the user's file.",)

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        home = machine.home_of(self.side)
        return () if home is None else tuple(home / ".gemini" / folder / "mcp_config.json" for folder in ("config", "antigravity"))

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        return {"serverUrl": address} | ({"headers": headers} if headers else {})
