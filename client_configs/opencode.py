"""opencode: `mcp`, with "remote" and "local" entries, and a program's words in one list.

Where add-mcp 2.4.0 leaves it out, we write `oauth: false`: without it opencode starts a sign-in before it sends the key.
"""

from pathlib import PurePath

from client_configs.client import Client, Entry, Scope
from client_configs.collection import Collection
from client_configs.connection import Command, Connection, Transport
from client_configs.locations import Machine


class OpenCode(Client):
    id = "opencode"
    display_name = "opencode"
    collection = Collection(("mcp",))
    variable_reference = "{env:NAME}"

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        # Everywhere the same folder, Windows included; XDG_CONFIG_HOME is its own affair (add-mcp 2.4.0 does not read it either).
        folder = machine.home / ".config" / "opencode"
        return (folder / "opencode.jsonc", folder / "opencode.json")

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        folders = (project_folder, project_folder / ".opencode")
        return tuple(folder / name for folder in folders for name in ("opencode.jsonc", "opencode.json"))

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        return {"type": "remote", "url": address} | ({"headers": headers} if headers else {}) | {"enabled": True, "oauth": False}

    def stdio_entry(self, command: Command, connection: Connection, scope: Scope) -> Entry:
        words = [command.program, *command.arguments]
        return {"type": "local", "command": words, "environment": dict(command.environment), "enabled": True}
