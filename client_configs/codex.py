"""OpenAI Codex: TOML, with headers whose values are names of environment variables.

add-mcp 2.4.0 also writes `type`, which Codex's reference does not know: it tells the transports apart by `url` and `command`.
"""

from pathlib import PurePath

from client_configs.client import Client, Entry, Scope
from client_configs.collection import Collection
from client_configs.config_file import FileFormat
from client_configs.connection import Connection, KeyHandling, Transport
from client_configs.locations import Machine


class Codex(Client):
    id = "codex"
    display_name = "Codex"
    file_format = FileFormat.TOML
    collection = Collection(("mcp_servers",))
    transports = (Transport.STREAMABLE_HTTP, Transport.STDIO)
    limits = ("No SSE.", "Its command can name a bearer token's variable only; we use the file, where our own header has its place.")

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return ((machine.folder_named_by("CODEX_HOME") or machine.home / ".codex") / "config.toml",)

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        # Read in folders the user trusts.
        return (project_folder / ".codex" / "config.toml",)

    @property
    def can_reference_key(self) -> bool:
        return True

    def key_reference(self, connection: Connection) -> str:
        return connection.variable

    def remote_entry(self, address: str, transport: Transport, headers: dict[str, str], connection: Connection, scope: Scope) -> Entry:
        return {"url": address} | ({"http_headers": headers} if headers else {})

    def entry(
        self,
        connection: Connection,
        transport: Transport,
        key_handling: KeyHandling,
        *,
        scope: Scope = Scope.USER,
        machine: Machine | None = None,
    ) -> Entry:
        written = super().entry(connection, transport, key_handling, scope=scope, machine=machine)
        if key_handling is KeyHandling.REFERENCE and connection.needs_key:
            # The variable's name goes into fields of its own, which pass its value on.
            if headers := written.pop("http_headers", None):
                written["env_http_headers"] = headers
            elif environment := written.pop("env", None):
                written["env_vars"] = list(environment)
        return written

    def command_line(self, connection: Connection, scope: Scope = Scope.USER) -> tuple[str, ...] | None:
        if scope is Scope.PROJECT:
            return None
        start = ("codex", "mcp", "add", connection.server_name, "--url", connection.http_url)
        return (*start, "--bearer-token-env-var", connection.variable) if connection.needs_key else start
