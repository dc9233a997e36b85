"""Continue: YAML, its servers a list; in a project a file of its own for each server."""

from pathlib import PurePath

from client_configs.client import Client, Entry, Scope
from client_configs.collection import Collection
from client_configs.config_file import FileFormat
from client_configs.connection import Command, Connection, Transport
from client_configs.locations import Machine


class Continue(Client):
    id = "continue"
    display_name = "Continue"
    file_format = FileFormat.YAML
    collection = Collection(("mcpServers",), name_field="name")
    variable_reference = "${{ secrets.NAME }}"
    new_file = "name: Local Config\nversion: 1.0.0\nschema: v1\n"
    limits = ("Reported to be no longer actively maintained.",)

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return (machine.home / ".continue" / "config.yaml",)

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".continue" / "mcpServers" / f"{connection.server_name}.yaml",)

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        kind = "streamable-http" if transport is Transport.STREAMABLE_HTTP else "sse"
        entry: Entry = {"name": connection.server_name, "type": kind, "url": address}
        return entry | ({"requestOptions": {"headers": headers}} if headers else {})

    def stdio_entry(self, command: Command, connection: Connection, scope: Scope) -> Entry:
        return {"name": connection.server_name} | super().stdio_entry(command, connection, scope)
