"""The API's own description: `/openapi.json`, and `/docs`, a page that shows it without asking any other server for anything."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from openapi_ui_bundles import swagger_ui
from starlette.responses import FileResponse, HTMLResponse, Response

from projects.errors import NotFound
from rest_adapter.information import ServerInformation
from rest_adapter.routing import Answer, OwnerRule, endpoint

_FOLDER = Path(swagger_ui.static_path)
_FILES: Final[Mapping[str, str]] = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_START_NAME = "start.js"
_START = """window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null});
});
"""
# The page's own script is a file too, so that no inline script has to be allowed. Swagger UI sets style attributes and draws data: images.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. The same description is in <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""


@endpoint("GET", "/openapi.json", Answer(200, media_type="application/json"), owner=OwnerRule.PUBLIC, is_listed=False)
async def read_openapi(openapi_text: Callable[[], bytes]) -> Response:
    """This API in OpenAPI 3.1."""
    return Response(openapi_text(), media_type="application/json")


@endpoint("GET", "/docs", Answer(200, media_type="text/html"), owner=OwnerRule.PUBLIC, is_listed=False)
async def show_documents(information: ServerInformation) -> HTMLResponse:
    """A page to read and try this API."""
    return HTMLResponse(_PAGE.format(title=information.package), headers=_HEADERS)


@endpoint("GET", "/docs/{name}", Answer(200, media_type="text/javascript"), owner=OwnerRule.PUBLIC, is_listed=False)
async def read_documents_file(name: str) -> Response:
    """What the page is made of; the names are fixed, so no path can be asked for."""
    headers = {**_HEADERS, "Cache-Control": "public, max-age=86400"}
    if name == _START_NAME:
        return Response(_START, media_type="text/javascript", headers=headers)
    if name not in _FILES:
        raise NotFound("file", name)
    return FileResponse(_FOLDER / name, media_type=_FILES[name], headers=headers)


ENDPOINTS = (read_openapi, show_documents, read_documents_file)
