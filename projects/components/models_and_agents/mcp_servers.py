"""Which MCP server a node names, read from the fields of any age. Nothing here connects or starts anything."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from projects.components.conversion import plain_text
from projects.engine.component import ComponentError

Transport: TypeAlias = Literal["streamable", "sse"]

# What a flow may hand to a command of the operator's: names that mean a credential. Others (PATH, LD_PRELOAD, NODE_OPTIONS …) can
# make any command run anything.
_ENVIRONMENT_NAME = re.compile(r"[A-Z][A-Z0-9_]*_(TOKEN|KEY|SECRET|PASSWORD)")
_TRANSPORT_WORDS: Mapping[str, Transport] = {
    "sse": "sse",
    "streamable": "streamable",
    "streamable-http": "streamable",
    "streamable_http": "streamable",
    "streamablehttp": "streamable",
    "http": "streamable",
}


@dataclass(frozen=True, slots=True)
class HttpServer:
    """`transports` in the order in which they are worth trying."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    transports: tuple[Transport, ...] = ("streamable", "sse")


@dataclass(frozen=True, slots=True)
class CommandServer:
    name: str
    command_line: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def server_of(fields: Mapping[str, Any]) -> HttpServer | CommandServer:
    """The server that `mcp_server` names, else the address or the command of older nodes. Raises ComponentError when there is none."""
    entry = fields.get("mcp_server")
    if isinstance(entry, Mapping) and (entry.get("config") or entry.get("name")):
        return _configured(plain_text(entry.get("name")).strip(), entry.get("config"), _texts(fields.get("headers")))
    if isinstance(entry, str) and entry.strip():
        return _configured(entry.strip(), None, {})
    headers = _texts(fields.get("headers_input")) | _texts(fields.get("headers"))
    is_sse = plain_text(fields.get("mode")).strip().lower() == "sse"
    url = plain_text(fields.get("sse_url") or fields.get("url")).strip()
    command = plain_text(fields.get("command")).strip()
    if url and (is_sse or not command):
        return _http(url, url, headers, "sse" if is_sse else "")
    if command:
        return CommandServer(command, _words(command), _environment(fields.get("env")))
    raise ComponentError("No MCP server is chosen. Choose one on the node, with its address.")


def named_server(fields: Mapping[str, Any]) -> str:
    """The name of a server that the node chooses without saying where it is; empty when it says so, or chooses none."""
    entry = fields.get("mcp_server")
    if isinstance(entry, str):
        return entry.strip()
    if isinstance(entry, Mapping) and not (isinstance(entry.get("config"), Mapping) and entry.get("config")):
        return plain_text(entry.get("name")).strip()
    return ""


def _configured(name: str, config: Any, headers: Mapping[str, str]) -> HttpServer | CommandServer:
    if not isinstance(config, Mapping) or not config:
        raise ComponentError(
            f"The node names the MCP server {name!r} and not where it is. Register a server of that name, "
            "export the flow with the server's configuration, or write its address into the node."
        )
    headers = {**_texts(config.get("headers")), **headers}
    url = plain_text(config.get("url")).strip()
    if url:
        return _http(name or url, url, headers, plain_text(config.get("transport") or config.get("type")).strip().lower())
    arguments = config.get("args")
    words = (*_words(plain_text(config.get("command"))), *(_listed(arguments) if isinstance(arguments, list) else ()))
    if not words:
        raise ComponentError(f"The MCP server {name!r} has neither an address nor a command.")
    if (proxied := _behind_proxy(words)) is not None:
        url, further, transport = proxied
        return _http(name or url, url, {**further, **headers}, transport)
    return CommandServer(name or words[0], words, _environment(config.get("env")))


def _http(name: str, url: str, headers: Mapping[str, str], transport: str) -> HttpServer:
    if not url.startswith(("http://", "https://")):
        raise ComponentError(f"The address of the MCP server {name!r} must begin with http:// or https://.")
    known = _TRANSPORT_WORDS.get(transport)
    if known is not None:
        return HttpServer(name, url, headers, (known,))
    return HttpServer(
        name, url, headers, ("sse", "streamable") if url.partition("?")[0].rstrip("/").endswith("/sse") else ("streamable", "sse")
    )


def _behind_proxy(words: Sequence[str]) -> tuple[str, dict[str, str], str] | None:
    """Address, headers and transport behind `uvx mcp-proxy …`, as Langflow writes a project's own server: no process is needed for it."""
    if "mcp-proxy" not in words or not words[-1].startswith(("http://", "https://")):
        return None
    headers: dict[str, str] = {}
    transport = "sse"  # what the proxy assumes
    rest = list(words[words.index("mcp-proxy") + 1 : -1])
    while rest:
        option = rest.pop(0)
        if option in ("--headers", "-H") and len(rest) >= 2:
            name, value, *rest = rest
            headers[name] = value
        elif option == "--transport" and rest:
            transport = rest.pop(0)
        else:
            return None
    return words[-1], headers, transport.lower()


def _words(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise ComponentError(f"The command of the MCP server cannot be read: {error}.") from None


def _environment(value: Any) -> dict[str, str]:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        value = dict(item.partition("=")[::2] for item in value)  # NAME=value, as older nodes have it
    environment = {name: text for name, text in _texts(value).items() if text}
    refused = sorted(name for name in environment if not _ENVIRONMENT_NAME.fullmatch(name))
    if refused:
        raise ComponentError(
            f"A flow may not set {', '.join(refused)} for a command, only names that end in _TOKEN, _KEY, _SECRET or _PASSWORD. "
            "Set it where the server is started."
        )
    return environment


def _texts(value: Any) -> dict[str, str]:
    """A mapping, or rows of key and value, as texts."""
    if isinstance(value, list):
        value = {row.get("key"): row.get("value") for row in value if isinstance(row, Mapping)}
    if not isinstance(value, Mapping):
        return {}
    return {str(name).strip(): plain_text(text) for name, text in value.items() if name and text is not None}


def _listed(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(plain_text(value) for value in values)
