"""GitHub Copilot CLI: entries that also say which tools to take; in a project's file it does not expect that."""

from pathlib import PurePath

from client_configs.client import Client, Entry, Scope
from client_configs.connection import Command, Connection, Transport
from client_configs.locations import Machine


class CopilotCli(Client):
    id = "copilot-cli"
    display_name = "GitHub Copilot CLI"
    aliases = ("copilot", "github-copilot-cli")
    variable_reference = "${NAME}"

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return ((machine.folder_named_by("XDG_CONFIG_HOME") or machine.home / ".copilot") / "mcp-config.json",)

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".mcp.json", project_folder / ".github" / "mcp.json")

    def own_folders(self, machine: Machine) -> tuple[PurePath, ...]:
        return (machine.home / ".copilot",) if machine.folder_named_by("XDG_CONFIG_HOME") is None else super().own_folders(machine)

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        kind = "http" if transport is Transport.STREAMABLE_HTTP else "sse"
        return {"type": kind, "url": address} | tools_in(scope) | ({"headers": headers} if headers else {})

    def stdio_entry(self, command: Command, connection: Connection, scope: Scope) -> Entry:
        return {"type": "stdio"} | super().stdio_entry(command, connection, scope) | tools_in(scope)


def tools_in(scope: Scope) -> Entry:
    return {"tools": ["*"]} if scope is Scope.USER else {}
