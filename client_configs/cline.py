"""Cline, in VS Code and on the command line. "streamableHttp" must be spelled so, or it speaks SSE and gets a 405."""

from pathlib import PurePath
from typing import ClassVar

from client_configs.client import Client, Entry, Scope
from client_configs.connection import Command, Connection, Transport
from client_configs.locations import Machine, Side

FILE_NAME = "cline_mcp_settings.json"


class Cline(Client):
    id = "cline"
    display_name = "Cline (VS Code)"
    side = Side.DESKTOP
    limits: ClassVar[tuple[str, ...]] = (
        "No project file, and no reference to the environment: the key stands in the user's file.",
        "In a remote or WSL window it keeps its file on that side: paste the block there.",
    )

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return tuple(folder / "settings" / FILE_NAME for folder in self.own_folders(machine))

    def own_folders(self, machine: Machine) -> tuple[PurePath, ...]:
        folder = machine.vs_code_folder()
        return () if folder is None else (folder / "globalStorage" / "saoudrizwan.claude-dev",)

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        kind = "streamableHttp" if transport is Transport.STREAMABLE_HTTP else "sse"
        return {"url": address, "type": kind} | ({"headers": headers} if headers else {}) | {"disabled": False}

    def stdio_entry(self, command: Command, connection: Connection, scope: Scope) -> Entry:
        return super().stdio_entry(command, connection, scope) | {"disabled": False}


class ClineCli(Cline):
    id = "cline-cli"
    display_name = "Cline CLI"
    side = Side.HERE
    limits: ClassVar[tuple[str, ...]] = ("No project file, and no reference to the environment: the key stands in the user's file.",)

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return tuple(folder / "data" / "settings" / FILE_NAME for folder in self.own_folders(machine))

    def own_folders(self, machine: Machine) -> tuple[PurePath, ...]:
        return (machine.folder_named_by("CLINE_DIR") or machine.home / ".cline",)
