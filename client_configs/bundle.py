"""A project as an `.mcpb` file: Claude Desktop and its like install it by a double click and keep the key in the system's keychain.

The file is a ZIP of a manifest and the bridge in `bundle_files/`. It holds no secret, and the same project gives the same bytes.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from client_configs.connection import Connection

MANIFEST_VERSION = "0.3"
MEDIA_TYPE = "application/octet-stream"  # as a ZIP some browsers would unpack it instead of keeping it
PACKAGE = "headwater_bridge"
ENTRY_POINT = "server/main.py"
KEY_SETTING = "api_key"
LONGEST_TEXT = 500
BRIDGE_FILES = ("__init__.py", "bridge.py", "exchange.py", "messages.py")
OLDEST_PYTHON = "3.9"
EARLIEST_TIME = (1980, 1, 1, 0, 0, 0)  # the first one a ZIP can say


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as a person reads of it before the installation."""

    name: str
    description: str = ""


def bundle_name(connection: Connection) -> str:
    return f"{connection.server_name}.mcpb"


def bundle(connection: Connection, *, title: str, description: str = "", version: str, tools: Sequence[ListedTool] = ()) -> bytes:
    """The `.mcpb` file. `title` is the project's name, `version` the server's; a key in the connection is left out."""
    manifest = make_manifest(connection, title=title, description=description, version=version, tools=tools)
    contents = {"manifest.json": json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"}
    own = files("client_configs.bundle_files")
    contents[ENTRY_POINT] = own.joinpath("main.py").read_text(encoding="utf-8")
    for name in BRIDGE_FILES:
        contents[f"server/{PACKAGE}/{name}"] = own.joinpath(name).read_text(encoding="utf-8")
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in contents.items():
            entry = zipfile.ZipInfo(path, EARLIEST_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # UNIX, wherever it is made: the mode below is read as one
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, text)
    return held.getvalue()


def make_manifest(
    connection: Connection, *, title: str, description: str = "", version: str, tools: Sequence[ListedTool] = ()
) -> dict[str, Any]:
    shown = shown_line(title) or connection.server_name
    started: dict[str, Any] = {"command": "python3", "args": [f"${{__dirname}}/{ENTRY_POINT}", connection.http_url]}
    if connection.needs_key:
        started["env"] = {connection.variable: f"${{user_config.{KEY_SETTING}}}"}
    # On Windows python3 is, where there is no Python, a door to a shop.
    started["platform_overrides"] = {"win32": {"command": "python"}}
    manifest: dict[str, Any] = {
        "manifest_version": MANIFEST_VERSION,
        "name": connection.server_name,
        "display_name": shown,
        "version": version,
        "description": shown_line(description) or f"The tools of the project {shown} on Headwater.",
        "long_description": f"Connects to {connection.http_url}. The server there has to run, and to be reachable from this machine.",
        "author": {"name": "Headwater"},
        "server": {"type": "python", "entry_point": ENTRY_POINT, "mcp_config": started},
        "tools": [{"name": tool.name, "description": shown_line(tool.description)} for tool in tools],
        # The list above is of today: flows come and go.
        "tools_generated": True,
        "compatibility": {"platforms": ["darwin", "win32", "linux"], "runtimes": {"python": f">={OLDEST_PYTHON}"}},
    }
    if connection.needs_key:
        manifest["user_config"] = {
            KEY_SETTING: {
                "type": "string",
                "title": "API key",
                "description": f"A key of the server at {connection.http_url}; headwater key create makes one.",
                "required": True,
                "sensitive": True,
            }
        }
    return manifest


def shown_line(text: str, longest: int = LONGEST_TEXT) -> str:
    """One line of bounded length. Words of a client that mean a value, `${…}`, are taken apart: here they are only text."""
    line = " ".join(text.replace("${", "$ {").split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
