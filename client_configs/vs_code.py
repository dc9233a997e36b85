"""VS Code: `servers` instead of `mcpServers`, and inputs that ask for the key once and keep it in VS Code's own store.

Programs say `type: stdio`, as its reference has it; add-mcp 2.4.0 leaves that out, which VS Code also takes.
"""

import json
from pathlib import PurePath
from typing import Any, ClassVar

from client_configs.client import Client, Entry, Scope, encoded_json
from client_configs.collection import Collection
from client_configs.config_file import Put, Remove
from client_configs.connection import Command, Connection, KeyHandling, Transport
from client_configs.locations import Machine, Side

INPUTS = Collection(("inputs",), name_field="id")


class VsCode(Client):
    id = "vs-code"
    display_name = "VS Code"
    aliases: ClassVar[tuple[str, ...]] = ("vscode", "code")
    collection = Collection(("servers",))
    side = Side.DESKTOP
    limits: ClassVar[tuple[str, ...]] = (
        "The user's file takes part in Settings Sync; a project's file, and a link, ask for the key instead of holding it.",
    )

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        folder = machine.vs_code_folder()
        return () if folder is None else (folder / "mcp.json",)

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".vscode" / "mcp.json",)

    @property
    def can_reference_key(self) -> bool:
        return True

    def key_reference(self, connection: Connection) -> str:
        return f"${{input:{input_id(connection)}}}"

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        kind = "http" if transport is Transport.STREAMABLE_HTTP else "sse"
        return {"type": kind, "url": address} | ({"headers": headers} if headers else {})

    def stdio_entry(self, command: Command, connection: Connection, scope: Scope) -> Entry:
        return {"type": "stdio"} | super().stdio_entry(command, connection, scope)

    def further_edits(self, connection: Connection, key_handling: KeyHandling) -> tuple[Put, ...]:
        if key_handling is not KeyHandling.REFERENCE or not connection.needs_key:
            return ()
        return (Put(INPUTS, input_id(connection), key_input(connection)),)

    def further_removals(self, connection: Connection) -> tuple[Remove, ...]:
        return (Remove(INPUTS, input_id(connection)),)

    def install_link(self, connection: Connection) -> str | None:
        return f"vscode:mcp/install?{encoded_json({'name': connection.server_name} | self._linked_entry(connection))}"

    def web_link(self, connection: Connection) -> str | None:
        entry = encoded_json(self.entry(connection, Transport.STREAMABLE_HTTP, KeyHandling.REFERENCE))
        link = f"https://insiders.vscode.dev/redirect/mcp/install?name={connection.server_name}&config={entry}"
        return f"{link}&inputs={encoded_list([key_input(connection)])}" if connection.needs_key else link

    def command_line(self, connection: Connection, scope: Scope = Scope.USER) -> tuple[str, ...] | None:
        entry = {"name": connection.server_name} | self._linked_entry(connection)
        return None if scope is Scope.PROJECT else ("code", "--add-mcp", json.dumps(entry))

    def _linked_entry(self, connection: Connection) -> Entry:
        entry = self.entry(connection, Transport.STREAMABLE_HTTP, KeyHandling.REFERENCE)
        return entry | ({"inputs": [key_input(connection)]} if connection.needs_key else {})


def input_id(connection: Connection) -> str:
    return f"{connection.server_name}-key"


def key_input(connection: Connection) -> dict[str, Any]:
    return {
        "type": "promptString",
        "id": input_id(connection),
        "description": f"Headwater API key ({connection.server_name})",
        "password": True,
    }


def encoded_list(values: list[dict[str, Any]]) -> str:
    return "%5B" + "%2C".join(encoded_json(value) for value in values) + "%5D"
