"""resources/list, resources/templates/list and resources/read: parse, ask `projects/resources.py` one thing, shape the answer."""

from base64 import b64encode
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams, ReadResourceRequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

from mcp_server.errors import printable, protocol_error
from mcp_server.pagination import make_cursor, page_of, read_cursor
from mcp_server.visit import visit_of
from projects.errors import HeadwaterError, NotFound
from projects.plugin_content import PluginResource
from projects.resources import FileResource, ResourceContent, ResourceTemplate

PAGE_SIZE = 50
OLD_RESOURCE_NOT_FOUND = -32002  # what the revisions up to 2025-11-25 say

Context = ServerRequestContext[Any, Request]


async def list_resources(ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
    """The plugins' resources by URI, then files in the order in which they came."""
    visit = visit_of(ctx)
    service = visit.services.resources
    kind, after = ("plugin", "") if params.cursor is None else read_cursor(params.cursor, "resources", count=2)
    listed: list[tuple[str, str, dict[str, Any]]] = []
    if kind == "plugin":
        listed = [("plugin", each.uri, _wire_plugin(each)) for each in service.of_plugins if each.uri > after]
        after = ""
    try:
        if len(listed) <= PAGE_SIZE:
            files = await service.list_files(visit.caller, visit.project_id, after_id=after, limit=PAGE_SIZE + 1)
            listed += [("file", each.file.id, _wire_file(each)) for each in files]
    except HeadwaterError as error:
        raise protocol_error(error) from error
    result: dict[str, Any] = {"resultType": "complete", "resources": [wire for _, _, wire in listed[:PAGE_SIZE]]}
    if len(listed) > PAGE_SIZE:
        last_kind, last_key, _ = listed[PAGE_SIZE - 1]
        result["nextCursor"] = make_cursor("resources", last_kind, last_key)
    return result


async def list_templates(ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
    visit = visit_of(ctx)
    templates = sorted(visit.services.resources.list_templates(visit.caller, visit.project_id), key=lambda each: each.uri_template)
    chosen, following = page_of(templates, kind="templates", cursor=params.cursor, size=PAGE_SIZE, key=lambda each: each.uri_template)
    result: dict[str, Any] = {"resultType": "complete", "resourceTemplates": [_wire_template(each) for each in chosen]}
    return result if following is None else {**result, "nextCursor": following}


async def read_resource(ctx: Context, params: ReadResourceRequestParams) -> dict[str, Any]:
    visit = visit_of(ctx)
    try:
        found = await visit.services.resources.read(visit.caller, visit.project_id, params.uri)
    except NotFound as error:
        code = INVALID_PARAMS if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS else OLD_RESOURCE_NOT_FOUND
        raise MCPError(code, printable(error.message), data={"uri": printable(params.uri)}) from None
    except HeadwaterError as error:
        raise protocol_error(error) from error
    return {"resultType": "complete", "contents": [wire_content(found)]}


def wire_content(found: ResourceContent) -> dict[str, Any]:
    """Text as text, anything else as base64, once."""
    wire: dict[str, Any] = {"uri": found.uri, "mimeType": found.media_type}
    if isinstance(found.content, str):
        return {**wire, "text": found.content}
    return {**wire, "blob": b64encode(found.content).decode()}


def _wire_file(resource: FileResource) -> dict[str, Any]:
    file = resource.file
    return {
        "uri": resource.uri,
        "name": file.name,
        "title": file.name,
        "mimeType": file.media_type,
        "size": file.size_bytes,
        "annotations": {"lastModified": file.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ")},
    }


def _wire_plugin(resource: PluginResource) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "uri": resource.uri,
        "name": resource.name,
        "title": resource.title or resource.name,
        "mimeType": resource.media_type,
    }
    if resource.description:
        wire["description"] = resource.description
    if resource.size_bytes is not None:
        wire["size"] = resource.size_bytes
    return wire


def _wire_template(template: ResourceTemplate) -> dict[str, Any]:
    wire = {"uriTemplate": template.uri_template, "name": template.name, "title": template.title}
    if template.description:
        wire["description"] = template.description
    if template.media_type is not None:
        wire["mimeType"] = template.media_type
    return wire
