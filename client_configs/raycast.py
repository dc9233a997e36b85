"""Raycast: a form; there is no file to write."""

from client_configs.client import Client
from client_configs.connection import Connection
from client_configs.locations import Side


class Raycast(Client):
    id = "raycast"
    display_name = "Raycast"
    side = Side.DESKTOP
    takes_block = False
    limits = ("No file and no link: its form is filled in by hand.",)

    def instructions(self, connection: Connection) -> str:
        header = f", header {connection.header} with the key" if connection.needs_key else ""
        return f'Run "Install MCP Server": name {connection.server_name}, transport HTTP, URL {connection.http_url}{header}.'
