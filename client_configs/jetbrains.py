"""JetBrains AI Assistant: a form that takes pasted JSON; there is no file to write."""

from client_configs.client import Client
from client_configs.connection import Connection
from client_configs.locations import Side


class JetBrains(Client):
    id = "jetbrains"
    display_name = "JetBrains AI Assistant"
    side = Side.DESKTOP
    limits = ("No file: the block is pasted by hand.",)

    def instructions(self, connection: Connection) -> str:
        return "Settings → Tools → AI Assistant → Model Context Protocol (MCP) → Add → As JSON, then paste the block."
