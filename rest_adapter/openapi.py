"""The OpenAPI 3.1 document, made from the route records and from nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from rest_adapter.information import ServerInformation
from rest_adapter.routing import Answer, Credentials, Endpoint, Header
from rest_adapter.v1.models import Detail, TooMany, ValidationDetail

_REF = "#/components/schemas/{model}"
_SECURITY: Mapping[Credentials, list[dict[str, list[str]]]] = {
    Credentials.ANY: [{"apiKeyHeader": []}, {"bearer": []}, {"sessionCookie": []}, {"apiKeyQuery": []}],
    Credentials.OPTIONAL: [{}, {"apiKeyHeader": []}, {"bearer": []}, {"sessionCookie": []}, {"apiKeyQuery": []}],
    Credentials.REFRESH_COOKIE: [{"refreshCookie": []}],
    Credentials.PASSWORD: [],
    Credentials.NONE: [],
}
_SCHEMES = {
    "apiKeyHeader": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "apiKeyQuery": {
        "type": "apiKey",
        "in": "query",
        "name": "x-api-key",
        "description": "Addresses end up in logs and histories; prefer the header.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key or the access token of a login."},
    "sessionCookie": {"type": "apiKey", "in": "cookie", "name": "access_token_lf"},
    "refreshCookie": {"type": "apiKey", "in": "cookie", "name": "refresh_token_lf"},
}
_FORM = "multipart/form-data"
_UPLOAD = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
}
_RETRY_AFTER = Header("Retry-After", "Seconds to wait before the next try.", "integer")
_FORBIDDEN = Answer(403, Detail, "No credential, or a key that is not good.")
_UNAUTHORIZED = Answer(401, Detail, "A session token that is not good.")
_UNPROCESSABLE = Answer(422, ValidationDetail, "Values that are wrong, each with its place.")
_TOO_LARGE = Answer(413, Detail, "The body is over the limit.")
_TOO_SLOW = Answer(408, Detail, "The body stopped coming.")
_NO_FORM = Answer(415, Detail, "The body is no form.")
_TOO_MANY = Answer(429, TooMany, "Too often in one minute.")
_BUSY = Answer(503, Detail, "The server or its database is busy.")
_HEADERS: Mapping[int, tuple[Header, ...]] = {
    401: (Header("WWW-Authenticate", "How to show who is there."),),
    429: (_RETRY_AFTER,),
    503: (_RETRY_AFTER,),
}


def document(endpoints: Iterable[Endpoint], information: ServerInformation) -> dict[str, Any]:
    """The whole document."""
    listed = [record for record in endpoints if record.is_listed]
    schemas = _Schemas(listed)
    paths: dict[str, dict[str, Any]] = {}
    for record in listed:
        for method in record.methods:
            paths.setdefault(record.path, {})[method.lower()] = _operation(record, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": information.package,
            "version": information.version,
            "description": "Flows as MCP tools, and the Langflow API over the same flows.",
        },
        "servers": [{"url": information.public_url or "/"}],
        "paths": paths,
        "components": {"schemas": schemas.definitions, "securitySchemes": _SCHEMES},
    }


def answers_of(record: Endpoint) -> tuple[Answer, ...]:
    """The record's own answers, and those that follow from what it takes."""
    answers = {answer.status: answer for answer in record.answers}
    if record.credentials is Credentials.ANY:
        answers.setdefault(403, _FORBIDDEN)
        answers.setdefault(401, _UNAUTHORIZED)
    if record.credentials in (Credentials.ANY, Credentials.OPTIONAL) or record.rate_rule is not None:
        answers.setdefault(429, _TOO_MANY)  # bad keys are counted wherever they come
    if record.uses_services or record.credentials in (Credentials.ANY, Credentials.OPTIONAL):
        answers.setdefault(503, _BUSY)
    if record.path_parameters or record.query is not None or record.body_media_types:
        answers.setdefault(422, _UNPROCESSABLE)
    if record.body_media_types:
        answers.setdefault(413, _TOO_LARGE)
        answers.setdefault(408, _TOO_SLOW)
    if record.body_media_types == (_FORM,):
        answers.setdefault(415, _NO_FORM)
    return tuple(answers.values())


class _Schemas:
    """Every model of every record as JSON Schema, named once."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        adapters: dict[tuple[Any, JsonSchemaMode], TypeAdapter[Any]] = {}
        for record in endpoints:
            for model in (record.query, record.body, record.form):
                if model is not None:
                    adapters[self._key(model, "validation")] = TypeAdapter(model)
            for answer in answers_of(record):
                if answer.model is not None:
                    adapters[self._key(answer.model, "serialization")] = TypeAdapter(answer.model)
        inputs = [(key, mode, adapter) for (key, mode), adapter in adapters.items()]
        self._found, rest = TypeAdapter.json_schemas(inputs, ref_template=_REF)
        self.definitions: dict[str, Any] = rest.get("$defs", {})

    @staticmethod
    def _key(model: Any, mode: JsonSchemaMode) -> tuple[Any, JsonSchemaMode]:
        return repr(model), mode

    def of(self, model: Any, mode: JsonSchemaMode) -> dict[str, Any]:
        return dict(self._found[self._key(model, mode)])

    def properties_of(self, model: type[BaseModel]) -> tuple[Mapping[str, Any], Sequence[str]]:
        schema = self.of(model, "validation")
        if "$ref" in schema:
            schema = self.definitions[schema["$ref"].rsplit("/", 1)[1]]
        return schema.get("properties", {}), schema.get("required", ())


def _operation(record: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": record.operation_id, "summary": record.summary}
    if record.description:
        operation["description"] = record.description
    if record.tag:
        operation["tags"] = [record.tag]
    if record.is_deprecated:
        operation["deprecated"] = True
    operation["security"] = _SECURITY[record.credentials]
    if parameters := [*_path_parameters(record), *_query_parameters(record, schemas), *_header_parameters(record)]:
        operation["parameters"] = parameters
    if record.body_media_types:
        schema = _UPLOAD if record.body_media_types == (_FORM,) else schemas.of(record.body or record.form, "validation")
        operation["requestBody"] = {
            "required": record.read_body is None,
            "content": {media_type: {"schema": schema} for media_type in record.body_media_types},
        }
    operation["responses"] = {str(answer.status): _response(answer, schemas) for answer in answers_of(record)}
    return operation


def _path_parameters(record: Endpoint) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"} if kind is UUID else {"type": "string"},
        }
        for name, kind in record.path_parameters.items()
    ]


def _query_parameters(record: Endpoint, schemas: _Schemas) -> list[dict[str, Any]]:
    if record.query is None:
        return []
    properties, required = schemas.properties_of(record.query)
    return [{"name": name, "in": "query", "required": name in required, "schema": schema} for name, schema in properties.items()]


def _header_parameters(record: Endpoint) -> list[dict[str, Any]]:
    return [
        {"name": header.name, "in": "header", "required": False, "description": header.description, "schema": {"type": header.type}}
        for header in record.request_headers
    ]


def _response(answer: Answer, schemas: _Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.description or HTTPStatus(answer.status).phrase}
    if answer.model is not None:
        response["content"] = {answer.media_type: {"schema": schemas.of(answer.model, "serialization")}}
    elif answer.media_type != "application/json":
        response["content"] = {answer.media_type: {"schema": {"type": "string"}}}
    if answer.stream_media_type is not None:
        response.setdefault("content", {})[answer.stream_media_type] = {"schema": {"type": "string"}}
    if headers := (*answer.headers, *_HEADERS.get(answer.status, ())):
        response["headers"] = {header.name: {"description": header.description, "schema": {"type": header.type}} for header in headers}
    return response
