"""The connection to one project of a Headwater server: its addresses, and a name that none of the owner's other projects has."""

from collections.abc import Sequence

from client_configs.connection import Connection, make_server_name

# The paths of the MCP face; they are part of its contract.
PROJECT_PATH = "/api/v1/mcp/project/{project_id}"


def server_names(projects: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Project id → server name, for `(id, name)` of all of an owner's projects; who comes first has the plain name."""
    names: dict[str, str] = {}
    for project_id, name in projects:
        names[project_id] = make_server_name(name, taken=set(names.values()), project_id=project_id)
    return names


def project_connection(base_url: str, project_id: str, server_name: str, *, needs_key: bool = True) -> Connection:
    """The connection of a client that reaches the server at `base_url`. Raises InvalidConnection for an address no client can be given."""
    address = base_url.rstrip("/") + PROJECT_PATH.format(project_id=project_id)
    return Connection(server_name, f"{address}/streamable", f"{address}/sse", needs_key=needs_key)
