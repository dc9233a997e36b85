"""Grok Build: Codex's file with headers of its own name."""

from pathlib import PurePath

from client_configs.client import Client
from client_configs.collection import Collection
from client_configs.config_file import FileFormat
from client_configs.connection import Connection, Transport
from client_configs.locations import Machine


class GrokBuild(Client):
    id = "grok-build"
    display_name = "Grok Build"
    aliases = ("grok",)
    file_format = FileFormat.TOML
    collection = Collection(("mcp_servers",))
    transports = (Transport.STREAMABLE_HTTP, Transport.STDIO)
    limits = ("No reference to the environment: a project's file cannot hold a server that needs a key.",)

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return ((machine.folder_named_by("GROK_HOME") or machine.home / ".grok") / "config.toml",)

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".grok" / "config.toml",)
