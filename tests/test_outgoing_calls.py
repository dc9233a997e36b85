"""Every call that leaves the server goes through `projects/outgoing`: nothing else makes a client."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("mcp_server", "rest_adapter", "projects", "storage")
HOME = ROOT / "projects" / "outgoing"
# A client's program, not the server: it calls the one address that it is started with, on the machine of whoever starts it.
BRIDGE = ROOT / "mcp_server" / "bridge"
# Passes requests on between the workers of one parent, to ports of theirs on loopback which the parent chose, and to the servers that the
# operator listed as peers; nobody else can name one.
RELAY = ROOT / "mcp_server" / "relay.py"

# What sends requests, by library: "*" for all of it.
CLIENTS = {
    "httpx": {
        "AsyncClient",
        "Client",
        "AsyncHTTPTransport",
        "HTTPTransport",
        *("get", "post", "put", "patch", "delete", "head", "request", "stream"),
    },
    "httpx2": {
        "AsyncClient",
        "Client",
        "AsyncHTTPTransport",
        "HTTPTransport",
        *("get", "post", "put", "patch", "delete", "head", "request", "stream"),
    },
    "httpcore": {"*"},
    "httpcore2": {"*"},
    "aiohttp": {"*"},
    "requests": {"*"},
    "urllib3": {"*"},
    "urllib.request": {"*"},
    "http.client": {"*"},
    "ftplib": {"*"},
    "smtplib": {"*"},
    "websockets": {"*"},
}


def clients_made_in(source: str) -> Iterator[str]:
    """Names of clients that the module reaches, whatever it calls them itself."""
    tree = ast.parse(source)
    modules: dict[str, str] = {}  # local name → library
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                library = next((known for known in CLIENTS if name.name == known or name.name.startswith(f"{known}.")), None)
                if library is None:
                    continue
                if "*" in CLIENTS[library]:
                    yield library
                modules[name.asname or name.name] = library
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                full = f"{node.module}.{name.name}"
                for library, forbidden in CLIENTS.items():
                    inside = full == library or f"{node.module}.".startswith(f"{library}.")
                    if inside and ("*" in forbidden or name.name in forbidden):
                        yield full
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            library = modules.get(node.value.id)
            if library is not None and node.attr in CLIENTS[library] and not _is_annotation(tree, node):
                yield f"{library}.{node.attr}"


def _is_annotation(tree: ast.Module, wanted: ast.Attribute) -> bool:
    for node in ast.walk(tree):
        annotations: list[ast.expr | None] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            annotations.append(node.returns)
        if isinstance(node, ast.arg | ast.AnnAssign):
            annotations.append(node.annotation)
        for annotation in annotations:
            if annotation is not None and any(part is wanted for part in ast.walk(annotation)):
                return True
    return False


def test_no_module_besides_the_guards_own_makes_a_client() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {client}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if HOME not in path.parents and BRIDGE not in path.parents and path != RELAY
        for client in clients_made_in(path.read_text())
    }
    assert found == set()


@pytest.mark.parametrize(
    "source",
    [
        "import httpx\nhttpx.AsyncClient()",
        "import httpx as h\nh.get('x')",
        "from httpx2 import AsyncClient",
        "def f():\n    import httpx2\n    return httpx2.Client()",
        "import urllib.request",
        "from urllib import request",
        "from urllib.request import urlopen",
        "import aiohttp",
        "import requests as r",
        "from http.client import HTTPSConnection",
    ],
)
def test_a_client_is_found_however_it_is_imported(source: str) -> None:
    assert list(clients_made_in(source))


@pytest.mark.parametrize(
    "source",
    [
        "import httpx\ndef f(client: httpx.AsyncClient) -> httpx.AsyncClient: ...",
        "from urllib.parse import urlsplit",
        "import httpx\ntry: ...\nexcept httpx.HTTPError: ...",
        "from http import HTTPStatus",
    ],
)
def test_types_errors_and_parsers_are_no_clients(source: str) -> None:
    assert not list(clients_made_in(source))
