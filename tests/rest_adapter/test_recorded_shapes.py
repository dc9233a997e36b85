"""The good answers of Langflow 1.13 as they were seen, request after request: status, keys, types and the headers that clients read.

Refusals are in `test_recorded_exchanges.py`. A shape is written as words `key:type`; types are below, `?` behind one allows null.
"""

import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.application import Application, open_application

TYPES: dict[str, Any] = {
    "text": lambda value: isinstance(value, str),
    "id": lambda value: isinstance(value, str) and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value),
    "bool": lambda value: isinstance(value, bool),
    "count": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
    "seconds": lambda value: isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", value),
    "instant": lambda value: isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value),
    "stamp": lambda value: isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} UTC", value),
}

FLOW = (
    "name:text description:text? icon:text? icon_bg_color:text? gradient:text? data:object? is_component:bool? updated_at:seconds "
    "webhook:bool endpoint_name:text? tags:list? locked:bool mcp_enabled:bool action_name:text? action_description:text? "
    "access_type:text flow_type:text a2a_enabled:bool a2a_card_overrides:object? id:id user_id:id folder_id:id workspace_id:id? "
    "name_key:text? version_token:id?"
)
EXAMPLE = FLOW.replace("user_id:id", "user_id:null").replace("folder_id:id", "folder_id:id?")
PROJECT = "name:text description:text? auth_settings:object? id:id parent_id:id?"
VARIABLE = (
    "id:id name:text type:text value:text? has_value:bool default_fields:list? is_owner:bool can_manage_shares:bool "
    "validation_error:text? is_valid:bool?"
)
USER = (
    "id:id username:text profile_image:text? store_api_key:text? is_active:bool is_superuser:bool create_at:instant "
    "updated_at:instant last_login_at:instant? optins:object?"
)
TOKENS = "access_token:text refresh_token:text token_type:text"
MESSAGE = (
    "id:id flow_id:id timestamp:stamp sender:text sender_name:text session_id:text context_id:text? text:text files:text edit:bool "
    "duration:count? properties:object category:text content_blocks:list session_metadata:object?"
)
CONFIG = (
    "feature_flags:object max_file_size_upload:count event_delivery:text voice_mode_available:bool frontend_timeout:count "
    "mcp_base_url:text enable_extension_reload:bool authz_enabled:bool catalog_governance_enabled:bool "
    "substitute_outdated_component_code:bool type:text allow_custom_components:bool"
)
PAGE = "items:list total:count page:count size:count pages:count"
ZIP_NAME = r'attachment; filename="\d{8}_\d{6}_(?P<name>[^"]+)\.zip"; filename\*=UTF-8\'\'\d{8}_\d{6}_(?P=name)\.zip'


def check(value: Any, shape: str) -> None:
    """The same keys in the same order, each of its type. `[…]` around a shape means a list of at least one of them."""
    if shape.startswith("["):
        assert isinstance(value, list)
        assert value
        for item in value:
            check(item, shape[1:-1])
        return
    wanted = dict(word.split(":") for word in shape.split())
    assert list(value) == list(wanted)
    for key, type in wanted.items():
        fits = TYPES[type.rstrip("?")](value[key]) or (type.endswith("?") and value[key] is None)
        assert fits, f"{key} is {value[key]!r}, not {type}"


@dataclass(frozen=True)
class Step:
    """`{names}` in path and body stand for what an earlier step kept under `keep`; `says` is compared, `headers` are patterns."""

    request: str
    status: int
    shape: str = ""
    json: Any = None
    data: dict[str, str] | None = None
    file: tuple[str, bytes] | None = None
    says: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    keep: str = ""
    by: str = "http"


def zipped(**entries: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, value in entries.items():
            archive.writestr(f"{name}.json", json.dumps(value))
    return buffer.getvalue()


FLOWS = [
    Step("POST /api/v1/flows/", 201, FLOW, json={"name": "echo", "data": flows.echo(), "endpoint_name": "ep"}, keep="echo"),
    Step("POST /api/v1/flows/", 201, FLOW, json={"name": "echo"}, says={"name": "echo (1)", "data": None}, keep="bare"),
    Step("POST /api/v1/flows/", 201, FLOW, json={"name": "other", "endpoint_name": "ep"}, says={"endpoint_name": "ep-1"}, keep="other"),
    Step("GET /api/v1/flows/{echo}", 200, FLOW, says={"name": "echo", "locked": False}),
    Step("GET /api/v1/flows/", 200, f"[{FLOW}]"),
    Step("GET /api/v1/flows/?remove_example_flows=true", 200, f"[{FLOW}]"),
    Step("GET /api/v1/flows/?get_all=false&size=2", 200, PAGE, says={"page": 1, "size": 2}),
    Step("PATCH /api/v1/flows/{echo}", 200, FLOW, json={"description": "d"}, says={"description": "d", "name": "echo"}),
    Step("PATCH /api/v1/flows/{echo}", 200, FLOW, json={"locked": True}, says={"locked": True}),
    Step("PATCH /api/v1/flows/{echo}", 423, "detail:text", json={"description": "e"}),
    Step("PATCH /api/v1/flows/{echo}", 200, FLOW, json={"locked": False}, says={"locked": False}),
    Step("PATCH /api/v1/flows/{other}", 400, "detail:text", json={"name": "echo"}),
    Step("PUT /api/v1/flows/{other}", 409, "detail:text", json={"name": "echo"}),
    Step("GET /api/v1/flows/public_flow/{echo}", 404, "detail:text", by="nobody"),
    Step("PATCH /api/v1/flows/{echo}", 200, FLOW, json={"access_type": "PUBLIC"}, says={"access_type": "PUBLIC"}),
    Step("GET /api/v1/flows/public_flow/{echo}", 200, f"{FLOW} public_access:object", by="nobody"),
    Step("GET /api/v1/flows/basic_examples/", 200, f"[{EXAMPLE}]", by="nobody"),
    Step(
        "POST /api/v1/flows/batch/", 201, f"[{FLOW}]", json={"flows": [{"name": "b1", "data": {"nodes": [], "edges": []}}, {"name": "b2"}]}
    ),
    Step("POST /api/v1/flows/upload/", 201, f"[{FLOW}]", file=("f.zip", zipped(a={"name": "zipped", "data": {"nodes": [], "edges": []}}))),
    Step("POST /api/v1/flows/upload/", 201, f"[{FLOW}]", file=("f.json", b'{"flows": [{"name": "of a list"}]}')),
    Step("POST /api/v1/flows/upload/", 400, "detail:text", file=("f.json", b"{oops")),
    Step("POST /api/v1/flows/upload/", 422, "detail:text", file=("f.json", b"[1]")),
    Step("POST /api/v1/flows/download/", 200, json=["{echo}"], headers={"content-type": "application/json"}),
    Step(
        "POST /api/v1/flows/download/",
        200,
        json=["{echo}", "{other}"],
        headers={"content-type": "application/x-zip-compressed", "content-disposition": ZIP_NAME},
    ),
    Step("DELETE /api/v1/flows/", 200, "deleted:count", json=["{bare}", "{other}"], says={"deleted": 2}),
    Step("DELETE /api/v1/flows/{echo}", 200, "message:text"),
    Step("DELETE /api/v1/flows/{echo}", 404, "detail:text"),
]

PROJECTS = [
    Step("POST /api/v1/flows/", 201, FLOW, json={"name": "inside", "data": flows.echo()}, keep="flow"),
    Step("POST /api/v1/projects/", 201, PROJECT, json={"name": "P", "description": "d", "flows_list": ["{flow}"]}, keep="project"),
    Step("POST /api/v1/projects/", 201, PROJECT, json={"name": "P"}, says={"name": "P (1)", "parent_id": None}, keep="twin"),
    Step("GET /api/v1/projects/", 200, f"[{PROJECT} owner_username:text? is_owner:bool]"),
    Step("GET /api/v1/projects/{project}", 200, f"{PROJECT} flows:list"),
    Step("GET /api/v1/projects/{project}?page=1&size=2&is_flow=true", 200, "folder:object flows:object"),
    Step("PATCH /api/v1/projects/{project}", 200, PROJECT, json={"name": "Q", "components": [], "flows": []}, says={"name": "Q"}),
    Step("PATCH /api/v1/projects/{project}", 409, "detail:text", json={"name": "P (1)"}),
    Step(
        "GET /api/v1/projects/download/{project}",
        200,
        headers={"content-type": "application/x-zip-compressed", "content-disposition": ZIP_NAME},
    ),
    Step(
        "POST /api/v1/projects/upload/",
        201,
        f"[{FLOW}]",
        file=("p.json", json.dumps({"folder_name": "imported", "flows": [{"name": "f", "data": flows.echo()}]}).encode()),
    ),
    Step("GET /api/v1/folders/", 307, headers={"location": r"/api/v1/projects/"}, by="nobody"),
    Step("POST /api/v1/folders/upload/", 307, headers={"location": r"/api/v1/projects/upload/"}, by="nobody"),
    Step("GET /api/v1/folders/{project}?page=1", 307, headers={"location": r"/api/v1/projects/[0-9a-f-]{36}\?page=1"}, by="nobody"),
    Step("DELETE /api/v1/projects/{project}", 204),
    Step("DELETE /api/v1/projects/{twin}", 204),
    Step("GET /api/v1/flows/{flow}", 404, "detail:text"),
]

PEOPLE = [
    Step("POST /api/v1/login", 200, TOKENS, data={"username": "ada", "password": "a-long-password"}, says={"token_type": "bearer"}),
    Step("POST /api/v1/login", 401, "detail:text", data={"username": "ada", "password": "nope"}, headers={"www-authenticate": "Bearer"}),
    Step("GET /api/v1/users/whoami", 200, USER, says={"username": "ada", "is_superuser": True}, keep="me"),
    Step("DELETE /api/v1/users/{me}", 400, "detail:text"),
    Step("GET /api/v1/users/whoami", 200, USER, says={"username": "bob", "is_superuser": False}, keep="bob", by="stranger"),
    Step("DELETE /api/v1/users/{bob}", 400, "detail:text", by="stranger"),
    Step("PATCH /api/v1/users/{bob}", 400, "detail:text", json={"password": "New-Passw0rd!1"}, by="stranger"),
    Step("PATCH /api/v1/users/{bob}", 403, "detail:text", json={"is_superuser": True}, by="stranger"),
    Step("PATCH /api/v1/users/{bob}/reset-password", 422, "detail:list", json={"password": "New-Passw0rd!1"}, by="stranger"),
    Step("GET /api/v1/users/", 403, "detail:text", by="nobody"),
    Step("POST /api/v1/login", 422, "detail:list", json={"username": "ada", "password": "x"}, by="nobody"),
    Step("POST /api/v1/api_key/store", 422, "detail:list", json={}),
    Step(
        "POST /api/v1/users/",
        201,
        USER,
        json={"username": "cleo", "password": "a"},
        says={"is_active": False, "is_superuser": False, "last_login_at": None},
        headers={"location": r"/api/v1/users/[0-9a-f-]{36}"},
        keep="cleo",
    ),
    Step("POST /api/v1/users/", 400, "detail:text", json={"username": "CLEO", "password": "b"}),
    Step("GET /api/v1/users/{cleo}", 200, USER, says={"username": "cleo"}),
    Step("GET /api/v1/users/", 200, "total_count:count users:list deletion_requests:object"),
    Step("PATCH /api/v1/users/{cleo}", 200, USER, json={"is_active": True}, says={"is_active": True}),
    Step("PATCH /api/v1/users/{cleo}", 403, "detail:text", json={"username": "x"}, by="stranger"),
    Step("DELETE /api/v1/users/{cleo}", 403, "detail:text", by="stranger"),
    Step("DELETE /api/v1/users/{cleo}", 202, "detail:text request_id:id"),
    Step("POST /api/v1/logout", 200, "message:text", by="nobody"),
    Step("POST /api/v1/refresh", 401, "detail:text", headers={"www-authenticate": "Bearer"}, by="nobody"),
    Step("GET /api/v1/session", 200, "authenticated:bool user:object? store_api_key:null", says={"authenticated": False}, by="nobody"),
    Step("GET /api/v1/session", 200, "authenticated:bool user:object? store_api_key:null", says={"authenticated": True}),
    Step("GET /api/v1/users/whoami", 403, "detail:text", by="nobody"),
    Step("GET /api/v1/auto_login", 403, "detail:object", by="nobody"),
    Step(
        "POST /api/v1/api_key/store", 200, "detail:text", json={"api_key": "abc"}, headers={"set-cookie": r"apikey_tkn_lflw=.*HttpOnly.*"}
    ),
]

VARIABLES = [
    Step(
        "POST /api/v1/variables/",
        201,
        VARIABLE,
        json={"name": "K", "value": "s3cret", "type": "Credential", "default_fields": ["X"]},
        says={"value": None, "has_value": True},
    ),
    Step("POST /api/v1/variables/", 400, "detail:text", json={"name": "K", "value": "x", "type": "Generic", "default_fields": []}),
    Step("POST /api/v1/variables/", 201, VARIABLE, json={"name": "V", "value": "v", "type": "Generic", "default_fields": []}, keep="v"),
    Step("GET /api/v1/variables/", 200, f"[{VARIABLE}]"),
    Step("PATCH /api/v1/variables/{v}", 200, VARIABLE, json={"id": "{v}", "name": "W", "value": "w"}, says={"name": "W", "value": "w"}),
    Step("DELETE /api/v1/variables/{v}", 403, "detail:text", by="nobody"),
    Step("DELETE /api/v1/variables/{v}", 204),
]

SERVER = [
    Step("GET /api/v1/version", 200, "version:text main_version:text package:text", by="nobody"),
    Step("GET /api/v1/config", 200, CONFIG, says={"type": "public"}, by="nobody"),
    Step("GET /openapi.json", 200, "openapi:text info:object servers:list paths:object components:object", by="nobody"),
    Step("GET /docs", 200, headers={"content-type": r"text/html; charset=utf-8"}, by="nobody"),
    Step("GET /api/v1/starter-projects/", 403, "detail:text", by="nobody"),
    Step(
        "GET /api/v1/starter-projects/",
        200,
        "[data:object is_component:bool name:text name_key:text? description:text? endpoint_name:text?]",
    ),
    Step("POST /health", 405, "detail:text", headers={"allow": "GET.*"}, by="nobody"),
    Step("GET /nope", 404, "detail:text", by="nobody"),
    Step("GET /api/v1/flows?folder_id=x", 307, headers={"location": r".*/api/v1/flows/\?folder_id=x"}, by="nobody"),
]

MONITOR = [
    Step("POST /api/v1/flows/", 201, FLOW, json={"name": "echo", "data": flows.echo()}, keep="echo"),
    Step("POST /api/v1/run/{echo}", 200, "session_id:text outputs:list", json={"input_value": "hi", "session_id": "s"}),
    Step("GET /api/v1/monitor/messages?flow_id={echo}&sender=User&order_by=timestamp", 200, f"[{MESSAGE}]", keep="message"),
    Step("GET /api/v1/monitor/messages?session_id=s", 200, f"[{MESSAGE}]"),
    Step("GET /api/v1/monitor/transactions?flow_id={echo}&page=1&size=2", 200, PAGE, says={"page": 1, "size": 2}),
    Step("PATCH /api/v1/monitor/messages/session/s?new_session_id=t", 200, f"[{MESSAGE}]"),
    Step("PATCH /api/v1/monitor/messages/session/t", 422, "detail:list"),
    Step("GET /api/v1/monitor/messages/sessions", 200),
    Step("DELETE /api/v1/monitor/messages", 403, "detail:text", json=[], by="nobody"),
    Step("DELETE /api/v1/monitor/messages/sessions", 200, "message:text deleted_count:count", json=["none"], says={"deleted_count": 0}),
    Step("DELETE /api/v1/monitor/messages/session/t", 204),
]


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with open_application(tmp_path) as opened:
        yield opened


SCENARIOS = {"flows": FLOWS, "projects": PROJECTS, "people": PEOPLE, "variables": VARIABLES, "server": SERVER, "monitor": MONITOR}


@pytest.mark.parametrize("subject", SCENARIOS)
async def test_the_answers_have_the_shape_that_was_seen(application: Application, subject: str, subtests: pytest.Subtests) -> None:
    kept: dict[str, str] = {}
    for step in SCENARIOS[subject]:
        with subtests.test(f"{step.request} {step.status}"):
            await take(step, application, kept)


async def take(step: Step, application: Application, kept: dict[str, str]) -> None:
    method, path = named(step.request, kept).split(" ")
    sent: dict[str, Any] = {} if step.json is None else {"json": json.loads(named(json.dumps(step.json), kept))}
    if step.data is not None:
        sent["data"] = step.data
    if step.file is not None:
        sent["files"] = {"file": step.file}
    client = getattr(application, step.by)
    answer = await client.request(method, path, **sent)
    application.nobody.cookies.clear()
    assert answer.status_code == step.status, answer.text
    for name, pattern in step.headers.items():
        assert re.fullmatch(pattern, answer.headers[name]), answer.headers[name]
    if step.status in (204, 307):
        assert answer.content == b""
    if not step.shape:
        return
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    check(body, step.shape)
    assert {key: body[key] for key in step.says} == step.says
    if step.keep:
        kept[step.keep] = (body[0] if isinstance(body, list) else body)["id"]


def named(text: str, kept: dict[str, str]) -> str:
    for name, value in kept.items():
        text = text.replace(f"{{{name}}}", value)
    return text


async def test_with_automatic_login_the_three_cookies_and_tokens_are_as_seen(tmp_path: Path) -> None:
    async with open_application(tmp_path, auto_login=True) as application:
        answer = await application.nobody.get("/api/v1/auto_login")
        check(answer.json(), TOKENS)
        cookies = {cookie.partition("=")[0]: cookie.lower() for cookie in answer.headers.get_list("set-cookie")}
        assert set(cookies) == {"access_token_lf", "refresh_token_lf", "apikey_tkn_lflw"}
        assert all("httponly" in cookie and "path=/" in cookie and "samesite=lax" in cookie for cookie in cookies.values())
        assert "expires=" in cookies["refresh_token_lf"] and "expires=" not in cookies["access_token_lf"]
        application.nobody.cookies.clear()
        for path in ("/api/v1/flows/", "/api/v1/projects/", "/api/v1/api_key/", "/api/v1/monitor/messages"):
            assert (await application.nobody.get(path)).status_code == 403
        assert (await application.nobody.post("/api/v1/flows/", json={"name": "x"}, headers={"x-api-key": "sk-bad"})).status_code == 403
