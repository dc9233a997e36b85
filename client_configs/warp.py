"""Warp, the terminal."""

from pathlib import PurePath

from client_configs.client import Client
from client_configs.connection import Connection
from client_configs.locations import Machine, Side


class Warp(Client):
    id = "warp"
    display_name = "Warp"
    side = Side.DESKTOP
    limits = ("No reference to the environment that is sure to work: a project's file cannot hold a server that needs a key.",)

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        home = machine.home_of(self.side)
        return () if home is None else (home / ".warp" / ".mcp.json",)

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".warp" / ".mcp.json",)
