"""Goose: YAML extensions, and a link for servers that need no secret."""

from pathlib import PurePath
from urllib.parse import quote

from client_configs.client import Client, Entry, Scope
from client_configs.collection import Collection
from client_configs.config_file import FileFormat
from client_configs.connection import Command, Connection, Transport
from client_configs.locations import Machine, Platform

TIMEOUT_SECONDS = 300


class Goose(Client):
    id = "goose"
    display_name = "Goose"
    file_format = FileFormat.YAML
    collection = Collection(("extensions",))
    transports = (Transport.STREAMABLE_HTTP, Transport.STDIO)
    limits = ("No project file.", "Its links carry no headers: with a key, the link is only a start.")

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        folder = machine.configuration_folder(self.side)
        if folder is None:
            return ()
        return ((folder / "Block" / "goose" / "config" if machine.platform is Platform.WINDOWS else folder / "goose") / "config.yaml",)

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        return self._named(connection) | {"type": "streamable_http", "uri": address, "headers": headers} | self._running()

    def stdio_entry(self, command: Command, connection: Connection, scope: Scope) -> Entry:
        started = {"type": "stdio", "cmd": command.program, "args": list(command.arguments), "envs": dict(command.environment)}
        return self._named(connection) | started | self._running()

    def install_link(self, connection: Connection) -> str | None:
        if connection.needs_key:
            return None
        name = connection.server_name
        address = quote(connection.http_url, safe="")
        return f"goose://extension?url={address}&type=streamable_http&id={name}&name={name}&description=Headwater&timeout={TIMEOUT_SECONDS}"

    def _named(self, connection: Connection) -> Entry:
        return {"name": connection.server_name, "description": ""}

    def _running(self) -> Entry:
        return {"enabled": True, "timeout": TIMEOUT_SECONDS}
