"""Requests whose answers were seen from Langflow 1.13: the same statuses, keys and types here. The words are our own."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from tests import flow_documents as flows
from tests.application import Application

NOBODYS = "00000000-0000-4000-8000-000000000000"
CHOSEN = "5c6ba1f0-0000-4000-8000-00000000c0de"
FLOW_KEYS = (
    "name description icon icon_bg_color gradient data is_component updated_at webhook endpoint_name tags locked mcp_enabled "
    "action_name action_description access_type flow_type a2a_enabled a2a_card_overrides id user_id folder_id workspace_id name_key "
    "version_token"
)
VARIABLE_KEYS = "id name type value has_value default_fields is_owner can_manage_shares validation_error is_valid"
PROJECT_KEYS = "name description auth_settings id parent_id"
USER_KEYS = "id username profile_image store_api_key is_active is_superuser create_at updated_at last_login_at optins"


@dataclass(frozen=True)
class Exchange:
    """`json` is compared where given, `keys` are the body's keys in order, `missing` the places of a 422."""

    about: str
    method: str
    path: str
    status: int
    json: Any = None
    body: Any = None
    content: bytes | None = None
    keys: str = ""
    entries: list[tuple[str, list[str | int]]] = field(default_factory=list)
    says: dict[str, Any] = field(default_factory=dict)


EXCHANGES = [
    Exchange("health", "GET", "/health", 200, says={"status": "ok"}, keys="status"),
    Exchange("health of all", "GET", "/health_check", 200, says={"status": "ok", "chat": "ok", "db": "ok"}, keys="status chat db"),
    Exchange("version", "GET", "/api/v1/version", 200, keys="version main_version package", says={"package": "Headwater"}),
    Exchange(
        "who I am",
        "GET",
        "/api/v1/users/whoami",
        200,
        keys=USER_KEYS,
        says={"username": "ada", "is_superuser": True, "store_api_key": None},
    ),
    Exchange(
        "a flow with only a name",
        "POST",
        "/api/v1/flows/",
        201,
        json={"name": "empty"},
        keys=FLOW_KEYS,
        says={"data": None, "name": "empty"},
    ),
    Exchange("a flow with empty data", "POST", "/api/v1/flows/", 201, json={"name": "x", "data": {}}, keys=FLOW_KEYS, says={"data": {}}),
    Exchange("a flow of an unknown folder", "POST", "/api/v1/flows/", 201, json={"name": "x", "folder_id": NOBODYS}, keys=FLOW_KEYS),
    Exchange("a flow without a name", "POST", "/api/v1/flows/", 422, json={"description": "x"}, entries=[("missing", ["body", "name"])]),
    Exchange(
        "a bad endpoint name",
        "POST",
        "/api/v1/flows/",
        422,
        json={"name": "x", "endpoint_name": "a b/c"},
        entries=[("value_error", ["body", "endpoint_name"])],
    ),
    Exchange("no JSON", "POST", "/api/v1/flows/", 422, content=b"{not json", entries=[("json_invalid", ["body", 1])]),
    Exchange(
        "put makes a flow",
        "PUT",
        f"/api/v1/flows/{CHOSEN}",
        201,
        json={"name": "put", "data": {"nodes": [], "edges": []}},
        keys=FLOW_KEYS,
        says={"id": CHOSEN},
    ),
    Exchange("an id that is none", "GET", "/api/v1/flows/xyz", 422, entries=[("uuid_parsing", ["path", "flow_id"])]),
    Exchange("a folder id that is none", "GET", "/api/v1/flows/?folder_id=xx", 422, entries=[("uuid_parsing", ["query", "folder_id"])]),
    Exchange("nobody's flow", "GET", f"/api/v1/flows/{NOBODYS}", 404, keys="detail"),
    Exchange("a change of nobody's flow", "PATCH", f"/api/v1/flows/{NOBODYS}", 404, json={"description": "x"}, keys="detail"),
    Exchange("deleting nobody's flow", "DELETE", f"/api/v1/flows/{NOBODYS}", 404, keys="detail"),
    Exchange("components only", "GET", "/api/v1/flows/?components_only=true", 200, body=[]),
    Exchange("bulk delete of nobody's flow", "DELETE", "/api/v1/flows/", 200, json=[NOBODYS], body={"deleted": 0}),
    Exchange("upload without a file", "POST", "/api/v1/flows/upload/", 400, keys="detail"),
    Exchange("a project without a name", "POST", "/api/v1/projects/", 422, json={}, entries=[("missing", ["body", "name"])]),
    Exchange(
        "a project with an empty name",
        "POST",
        "/api/v1/projects/",
        422,
        json={"name": ""},
        entries=[("invalid_project_name", ["body", "name"])],
    ),
    Exchange(
        "a project",
        "POST",
        "/api/v1/projects/",
        201,
        json={"name": "P", "description": "d"},
        keys=PROJECT_KEYS,
        says={"name": "P", "description": "d", "parent_id": None},
    ),
    Exchange("nobody's project", "GET", f"/api/v1/projects/{NOBODYS}", 404, keys="detail"),
    Exchange(
        "a variable without anything",
        "POST",
        "/api/v1/variables/",
        422,
        json={},
        entries=[("missing", ["body", "name"]), ("missing", ["body", "value"]), ("missing", ["body", "default_fields"])],
    ),
    Exchange(
        "a variable without default fields",
        "POST",
        "/api/v1/variables/",
        422,
        json={"name": "V", "value": "x"},
        entries=[("missing", ["body", "default_fields"])],
    ),
    Exchange(
        "a credential",
        "POST",
        "/api/v1/variables/",
        201,
        json={"name": "K", "value": "s3cret", "type": "Credential", "default_fields": ["X"]},
        keys=VARIABLE_KEYS,
        says={"value": None, "has_value": True, "default_fields": ["X"]},
    ),
    Exchange(
        "a generic variable",
        "POST",
        "/api/v1/variables/",
        201,
        json={"name": "V", "value": "plain", "type": "Generic", "default_fields": []},
        keys=VARIABLE_KEYS,
        says={"value": "plain", "is_owner": True, "can_manage_shares": True},
    ),
    Exchange(
        "a variable of an odd type",
        "POST",
        "/api/v1/variables/",
        201,
        json={"name": "O", "value": "x", "type": "Odd", "default_fields": []},
        keys=VARIABLE_KEYS,
        says={"type": "Odd", "value": "x"},
    ),
    Exchange(
        "an empty value",
        "POST",
        "/api/v1/variables/",
        400,
        json={"name": "V", "value": "", "type": "Generic", "default_fields": []},
        keys="detail",
    ),
    Exchange(
        "a change of nobody's variable", "PATCH", f"/api/v1/variables/{NOBODYS}", 404, json={"id": NOBODYS, "value": "x"}, keys="detail"
    ),
    Exchange(
        "a change without an id in it",
        "PATCH",
        f"/api/v1/variables/{NOBODYS}",
        422,
        json={"value": "x"},
        entries=[("missing", ["body", "id"])],
    ),
    Exchange("deleting a key that is none", "DELETE", "/api/v1/api_key/xx", 422, entries=[("uuid_parsing", ["path", "api_key_id"])]),
    Exchange("deleting nobody's key", "DELETE", f"/api/v1/api_key/{NOBODYS}", 400, keys="detail"),
    Exchange(
        "messages of a flow id that is none",
        "GET",
        "/api/v1/monitor/messages?flow_id=x",
        422,
        entries=[("uuid_parsing", ["query", "flow_id"])],
    ),
    Exchange("builds of no flow", "GET", "/api/v1/monitor/builds", 422, entries=[("missing", ["query", "flow_id"])]),
    Exchange("builds of nobody's flow", "GET", f"/api/v1/monitor/builds?flow_id={NOBODYS}", 200, body={"vertex_builds": {}}),
    Exchange("transactions of no flow", "GET", "/api/v1/monitor/transactions", 422, entries=[("missing", ["query", "flow_id"])]),
    Exchange(
        "transactions of nobody's flow",
        "GET",
        f"/api/v1/monitor/transactions?flow_id={NOBODYS}",
        200,
        body={"items": [], "total": 0, "page": 1, "size": 50, "pages": 0},
    ),
    Exchange("a batch that is a list", "POST", "/api/v1/flows/batch/", 422, json=[], entries=[("model_attributes_type", ["body"])]),
    Exchange("a download of no list", "POST", "/api/v1/flows/download/", 422, json={"x": 1}, entries=[("list_type", ["body"])]),
    Exchange("a download of nobody's flow", "POST", "/api/v1/flows/download/", 404, json=[NOBODYS], keys="detail"),
    Exchange("nobody's public flow", "GET", f"/api/v1/flows/public_flow/{NOBODYS}", 404, keys="detail"),
    Exchange("a download of nobody's project", "GET", f"/api/v1/projects/download/{NOBODYS}", 404, keys="detail"),
    Exchange(
        "put makes a project",
        "PUT",
        f"/api/v1/projects/{CHOSEN}",
        201,
        json={"name": "put", "description": "d"},
        keys=PROJECT_KEYS,
        says={"id": CHOSEN, "name": "put"},
    ),
    Exchange("put changes it", "PUT", f"/api/v1/projects/{CHOSEN}", 200, json={"name": "put"}, says={"description": None}),
    Exchange("put with lists", "PUT", f"/api/v1/projects/{CHOSEN}", 400, json={"name": "put", "flows_list": []}, keys="detail"),
    Exchange("put with a taken name", "PUT", f"/api/v1/projects/{CHOSEN}", 409, json={"name": "Starter Project"}, keys="detail"),
    Exchange("put makes none twice", "PUT", f"/api/v1/projects/{NOBODYS}", 409, json={"name": "put"}, keys="detail"),
    Exchange(
        "a user without a password", "POST", "/api/v1/users/", 422, json={"username": "x"}, entries=[("missing", ["body", "password"])]
    ),
    Exchange("users with an odd limit", "GET", "/api/v1/users/?limit=x", 422, entries=[("int_parsing", ["query", "limit"])]),
    Exchange("a change of nobody", "PATCH", f"/api/v1/users/{NOBODYS}", 404, json={"username": "x"}, keys="detail"),
    Exchange("a change of nobody's message", "PUT", f"/api/v1/monitor/messages/{NOBODYS}", 404, json={"text": "x"}, keys="detail"),
    Exchange("renaming nobody's session", "PATCH", "/api/v1/monitor/messages/session/none?new_session_id=q", 404, keys="detail"),
    Exchange(
        "the settings of a project id that is none",
        "GET",
        "/api/v1/mcp/project/xx",
        422,
        entries=[("uuid_parsing", ["path", "project_id"])],
    ),
    Exchange("a run of an unknown name", "POST", "/api/v1/run/no-such-flow", 404, json={"input_value": "x"}, keys="detail"),
    Exchange("a run of nobody's flow", "POST", f"/api/v1/run/{NOBODYS}", 404, json={"input_value": "x"}, keys="detail"),
    Exchange("a webhook of nobody's flow", "POST", f"/api/v1/webhook/{NOBODYS}", 404, json={"a": 1}, keys="detail"),
]


async def test_an_exchange_goes_as_it_was_seen(application: Application, subtests: pytest.Subtests) -> None:
    for exchange in EXCHANGES:
        with subtests.test(exchange.about):
            await go_through(application, exchange)


async def go_through(application: Application, exchange: Exchange) -> None:
    sent: dict[str, Any] = {} if exchange.json is None else {"json": exchange.json}
    if exchange.content is not None:
        sent = {"content": exchange.content}
    answer = await application.http.request(exchange.method, exchange.path, **sent)
    assert answer.status_code == exchange.status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    if exchange.body is not None:
        assert body == exchange.body
    if exchange.keys:
        assert " ".join(body) == exchange.keys
    if exchange.entries:
        assert [(entry["type"], entry["loc"]) for entry in body["detail"]] == exchange.entries
        assert all(set(entry) <= {"type", "loc", "msg", "ctx"} for entry in body["detail"])
    assert {name: body[name] for name in exchange.says} == exchange.says


async def test_a_created_flow_is_its_owners_and_has_whole_seconds(application: Application) -> None:
    flow = (await application.http.post("/api/v1/flows/", json={"name": "f", "data": flows.echo()})).json()
    assert flow["updated_at"].endswith("+00:00")
    assert "." not in flow["updated_at"]
    assert (flow["user_id"], flow["folder_id"]) == (application.caller.user_id, application.project_id)
    assert (flow["webhook"], flow["locked"], flow["mcp_enabled"], flow["is_component"]) == (False, False, False, False)
    assert (flow["access_type"], flow["flow_type"]) == ("PRIVATE", "workflow")
    assert UUID(flow["version_token"])
    assert flow["data"] == flows.echo()


async def test_the_config_says_more_to_a_known_caller(application: Application) -> None:
    public = (await application.nobody.get("/api/v1/config")).json()
    full = (await application.http.get("/api/v1/config")).json()
    assert " ".join(public) == (
        "feature_flags max_file_size_upload event_delivery voice_mode_available frontend_timeout mcp_base_url enable_extension_reload "
        "authz_enabled catalog_governance_enabled substitute_outdated_component_code type allow_custom_components"
    )
    assert (public["type"], full["type"]) == ("public", "full")
    assert set(public) < set(full)
    assert full["webhook_auth_enable"] is True
    assert full["default_folder_name"]
    bad = await application.nobody.get("/api/v1/config", headers={"x-api-key": "sk-bad"})
    assert (bad.status_code, bad.json()["type"]) == (200, "public")


async def test_a_variable_lives_through_its_four_requests(application: Application) -> None:
    http = application.http
    made = (await http.post("/api/v1/variables/", json={"name": "V", "value": "plain", "type": "Generic", "default_fields": []})).json()
    again = await http.post("/api/v1/variables/", json={"name": "V", "value": "x", "type": "Generic", "default_fields": []})
    assert again.status_code == 400
    changed = await http.patch(f"/api/v1/variables/{made['id']}", json={"id": made["id"], "value": "plain2"})
    assert (changed.status_code, changed.json()["value"], changed.json()["name"]) == (200, "plain2", "V")
    assert [variable["value"] for variable in (await http.get("/api/v1/variables/")).json()] == ["plain2"]
    assert (await application.stranger.get("/api/v1/variables/")).json() == []
    assert (await application.stranger.delete(f"/api/v1/variables/{made['id']}")).status_code == 404
    gone = await http.delete(f"/api/v1/variables/{made['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await http.delete(f"/api/v1/variables/{made['id']}")).status_code == 404


async def test_a_key_is_shown_once_and_refused_once_it_is_deleted(application: Application) -> None:
    made = await application.http.post("/api/v1/api_key/", json={"name": "mine"})
    key = made.json()
    assert made.status_code == 200
    assert " ".join(key) == "name last_used_at total_uses is_active expires_at id api_key user_id"
    assert (key["api_key"][:3], len(key["api_key"])) == ("sk-", 46)
    headers = {"Authorization": f"Bearer {key['api_key']}"}
    listed = (await application.nobody.get("/api/v1/api_key/", headers=headers)).json()
    assert " ".join(listed) == "total_count user_id api_keys"
    assert listed["total_count"] == 2
    shown = next(each for each in listed["api_keys"] if each["id"] == key["id"])
    assert " ".join(shown) == "name last_used_at total_uses is_active expires_at id api_key user_id created_at"
    assert shown["api_key"] == key["api_key"][:8] + "*" * 38
    assert key["api_key"] not in str(listed)
    assert (await application.stranger.delete(f"/api/v1/api_key/{key['id']}")).status_code == 400
    gone = await application.http.delete(f"/api/v1/api_key/{key['id']}")
    assert (gone.status_code, set(gone.json())) == (200, {"detail"})
    assert (await application.nobody.get("/api/v1/api_key/", headers=headers)).status_code == 403


async def test_an_empty_object_makes_a_key_without_a_name(application: Application) -> None:
    key = (await application.http.post("/api/v1/api_key/", json={})).json()
    assert (key["name"], key["expires_at"]) == (None, None)


async def test_a_key_is_good_in_the_header_the_query_and_as_bearer(application: Application) -> None:
    for given in (
        {"headers": {"x-api-key": application.key}},
        {"headers": {"Authorization": f"Bearer {application.key}"}},
        {"params": {"x-api-key": application.key}},
    ):
        answer = await application.nobody.get("/api/v1/users/whoami", **given)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["username"]) == (200, "ada")


async def test_a_project_lives_through_its_requests(application: Application) -> None:
    http = application.http
    flow = (await http.post("/api/v1/flows/", json={"name": "f"})).json()
    made = (await http.post("/api/v1/projects/", json={"name": "P", "flows_list": [flow["id"]]})).json()
    twin = (await http.post("/api/v1/projects/", json={"name": "P"})).json()
    assert (made["name"], twin["name"]) == ("P", "P (1)")
    listed = (await http.get("/api/v1/projects/")).json()
    assert " ".join(listed[0]) == f"{PROJECT_KEYS} owner_username is_owner"
    assert listed[0]["id"] == application.project_id
    assert all(project["owner_username"] == "ada" and project["is_owner"] for project in listed)
    read = (await http.get(f"/api/v1/projects/{made['id']}")).json()
    assert " ".join(read) == f"{PROJECT_KEYS} flows"
    assert [each["id"] for each in read["flows"]] == [flow["id"]]
    paged = (await http.get(f"/api/v1/projects/{made['id']}", params={"page": 1, "size": 2, "is_flow": True})).json()
    assert (" ".join(paged), " ".join(paged["flows"])) == ("folder flows", "items total page size pages")
    assert (paged["flows"]["total"], paged["flows"]["pages"], paged["folder"]["id"]) == (1, 1, made["id"])
    renamed = await http.patch(f"/api/v1/projects/{made['id']}", json={"name": "Q", "description": "e", "components": [], "flows": []})
    assert (renamed.status_code, renamed.json()["name"], renamed.json()["description"]) == (200, "Q", "e")
    assert (await http.patch(f"/api/v1/projects/{made['id']}", json={"name": "P (1)"})).status_code == 409
    assert (await application.stranger.get(f"/api/v1/projects/{made['id']}")).status_code == 404
    assert (await application.stranger.delete(f"/api/v1/projects/{made['id']}")).status_code == 404
    gone = await http.delete(f"/api/v1/projects/{made['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await http.get(f"/api/v1/flows/{flow['id']}")).status_code == 404
