"""What people see in a browser. So far one page that says what this server is; it needs no login and holds nothing of anybody."""

import base64
import hashlib
import re
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route


def routes() -> list[BaseRoute]:
    page = files("mcp_server.pages").joinpath("start.html").read_bytes()
    headers = {
        "content-security-policy": _policy(page),
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
        "cache-control": "public, max-age=300",
    }

    async def start(request: Request) -> Response:
        return Response(page, media_type="text/html; charset=utf-8", headers=headers)

    return [Route("/", start)]


def _policy(page: bytes) -> str:
    """Nothing is loaded, run or framed; the page's one style sheet is allowed by its digest."""
    style = re.search(rb"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1]).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
