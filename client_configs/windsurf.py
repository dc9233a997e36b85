"""Windsurf's Cascade, until its rename: only `serverUrl` is read there, never `url`."""

from pathlib import PurePath

from client_configs.client import Client, Entry, Scope
from client_configs.connection import Connection, Transport
from client_configs.locations import Machine, Side


class Windsurf(Client):
    id = "windsurf"
    display_name = "Windsurf"
    side = Side.DESKTOP
    variable_reference = "${env:NAME}"
    limits = ("No project file; its links reach only its own registry.",)

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        home = machine.home_of(self.side)
        return () if home is None else (home / ".codeium" / "windsurf" / "mcp_config.json",)

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        return {"serverUrl": address} | ({"headers": headers} if headers else {})
