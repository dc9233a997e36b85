"""A project as a `server.json`, as MCP registries and VS Code's "install from manifest" read it (schema of 2025-12-11)."""

import re
from typing import Any
from urllib.parse import urlsplit

from client_configs.connection import Connection, is_loopback

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
LONGEST_TEXT = 100
LONGEST_NAMESPACE = 150
IP_NUMBER = re.compile(r"[0-9.]+")


def make_server_manifest(connection: Connection, *, title: str, description: str = "", version: str) -> dict[str, Any]:
    """The document. It says that a key is needed and never holds one."""
    shown = shortened(title) or connection.server_name
    addresses = [("streamable-http", connection.http_url)]
    if connection.sse_url is not None:
        addresses.append(("sse", connection.sse_url))
    return {
        "$schema": SCHEMA,
        "name": f"{namespace(connection.http_url)}/{connection.server_name}",
        "title": shown,
        "description": shortened(description) or shortened(f"The tools of the project {shown} on Headwater."),
        "version": version,
        "remotes": [{"type": kind, "url": address} | header_inputs(connection) for kind, address in addresses],
    }


def header_inputs(connection: Connection) -> dict[str, Any]:
    if not connection.needs_key:
        return {}
    key = {"name": connection.header, "description": "A Headwater API key", "isRequired": True, "isSecret": True}
    return {"headers": [key]}


def namespace(address: str) -> str:
    """The server's host in reverse, as registries name publishers; `local` for one that only its own machine reaches."""
    host = (urlsplit(address).hostname or "").lower()
    if is_loopback(address):
        return "local"
    if ":" in host:
        return "ipv6-" + re.sub(r"[^0-9a-f]+", "-", host).strip("-")
    return host if IP_NUMBER.fullmatch(host) else ".".join(reversed(host.strip(".").split(".")))[:LONGEST_NAMESPACE]


def shortened(text: str) -> str:
    """One line, not longer than the schema allows."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1].rstrip() + "…"
