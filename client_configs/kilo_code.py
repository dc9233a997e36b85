"""Kilo Code: opencode's form, in files of its own."""

from pathlib import PurePath

from client_configs.client import Client, Entry, Scope
from client_configs.collection import Collection
from client_configs.connection import Command, Connection, Transport
from client_configs.locations import Machine


class KiloCode(Client):
    id = "kilo-code"
    display_name = "Kilo Code"
    aliases = ("kilo",)
    collection = Collection(("mcp",))
    limits = ("No reference to the environment that is sure to work: a project's file cannot hold a server that needs a key.",)

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        folder = (machine.folder_named_by("XDG_CONFIG_HOME") or machine.home / ".config") / "kilo"
        return (folder / "kilo.json", folder / "kilo.jsonc")

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        hidden = tuple(project_folder / folder / name for folder in (".kilo", ".kilocode") for name in ("kilo.jsonc", "kilo.json"))
        return (project_folder / "kilo.json", project_folder / "kilo.jsonc", *hidden)

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        return {"type": "remote", "url": address} | ({"headers": headers} if headers else {}) | {"enabled": True}

    def stdio_entry(self, command: Command, connection: Connection, scope: Scope) -> Entry:
        words = [command.program, *command.arguments]
        return {"type": "local", "command": words, "environment": dict(command.environment), "enabled": True}
