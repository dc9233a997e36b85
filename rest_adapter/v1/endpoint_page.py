"""`/docs/endpoints`: every address with its state, as a page without scripts, or as JSON for programs."""

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import groupby

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from rest_adapter.errors import JsonResponse
from rest_adapter.information import EndpointState, ListedEndpoint, ServerInformation
from rest_adapter.routing import Answer, Header, OwnerRule, endpoint
from rest_adapter.v1.models import Wire

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 80rem; margin: 3rem auto; padding: 0 1rem; }
code { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #8886; overflow-wrap: break-word; }
th:nth-child(1) { width: 4.5rem; }
th:nth-child(2) { width: 34%; }
th:nth-child(4) { width: 14%; }
th:nth-child(5) { width: 22%; }
@media (max-width: 45rem) {
  thead { display: none; }
  tr { display: block; border-bottom: 1px solid #8886; padding: .4rem 0; }
  td { display: block; border: 0; padding: 0; }
}
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
}
_HEAD = "<thead><tr><th>Method</th><th>Address</th><th>What it does</th><th>Credentials</th><th>State</th></tr></thead>"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: endpoints</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>Endpoints</h1>
<p>{count} ways to ask {title} {version}. The API's own description, to be read and tried, is <a href="../docs">here</a>; a program gets
this list with <code>Accept: application/json</code>.</p>
{groups}
</main>
</body>
</html>
"""


class EndpointRead(Wire):
    """`method` is WS for a WebSocket. `remark` says what to use instead of a deprecated one, or why one is not served."""

    method: str
    path: str
    does: str
    credentials: str
    group: str
    state: EndpointState
    remark: str


class EndpointList(Wire):
    endpoints: list[EndpointRead]


@endpoint(
    "GET",
    "/docs/endpoints",
    Answer(200, EndpointList, "As `text/html` for browsers."),
    owner=OwnerRule.PUBLIC,
    tag="Server",
    request_headers=(Header("Accept", "`application/json` for JSON; without it the answer is a page."),),
)
async def list_all_endpoints(
    request: Request, information: ServerInformation, listed_endpoints: Callable[[], Sequence[ListedEndpoint]]
) -> Response:
    """Every address of this server with its state: served, deprecated, or not served and why."""
    lines = listed_endpoints()
    if "application/json" in request.headers.get("accept", ""):
        read = [EndpointRead.model_validate(line, from_attributes=True).model_dump(mode="json") for line in lines]
        return JsonResponse({"endpoints": read}, 200, {"Vary": "Accept"})
    groups = "\n".join(_group(name or "Other", each) for name, each in groupby(lines, key=lambda line: line.group))
    page = _PAGE.format(title=information.package, version=escape(information.version), style=_STYLE, count=len(lines), groups=groups)
    return HTMLResponse(page, headers=_HEADERS)


def _group(name: str, lines: Iterable[ListedEndpoint]) -> str:
    rows = "\n".join(_row(line) for line in lines)
    return f"<h2>{escape(name)}</h2>\n<table>\n{_HEAD}\n<tbody>\n{rows}\n</tbody>\n</table>"


def _row(line: ListedEndpoint) -> str:
    state = escape(f"{line.state}. {line.remark}" if line.remark else line.state)
    return (
        f"<tr><td><code>{escape(line.method)}</code></td><td><code>{escape(line.path)}</code></td>"
        f"<td>{escape(line.does)}</td><td>{escape(line.credentials)}</td><td>{state}</td></tr>"
    )


ENDPOINTS = (list_all_endpoints,)
