"""A flow's icon where an MCP client can show it: an address, or a picture character drawn as SVG. A name of an icon set is none."""

from __future__ import annotations

import re
import unicodedata
from html import escape
from typing import Any
from urllib.parse import quote

ADDRESS_LENGTH = 500
_CHARACTERS = 8  # of one picture: a family or a flag is several
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]+(:\d{1,5})?/[!#-;=?-\[\]_a-z~]*")


def icons_of(icon: str | None, background: str | None) -> list[dict[str, Any]]:
    if not icon:
        return []
    if len(icon) <= ADDRESS_LENGTH and _ADDRESS.fullmatch(icon):
        return [{"src": icon}]
    if len(icon) <= _CHARACTERS and any(unicodedata.category(char) == "So" for char in icon):
        colour = background if background and _COLOUR.fullmatch(background) else "#e5e7eb"
        drawn = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
            f'<rect width="64" height="64" rx="14" fill="{colour}"/>'
            f'<text x="32" y="44" font-size="36" text-anchor="middle">{escape(icon)}</text></svg>'
        )
        return [{"src": f"data:image/svg+xml,{quote(drawn)}", "mimeType": "image/svg+xml", "sizes": ["any"]}]
    return []
