"""What holds for every route, read from the records; and what answers where no route does."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from openapi_spec_validator import validate
from starlette.routing import Route

from projects.access.caller import Caller
from rest_adapter.openapi import answers_of
from rest_adapter.routing import Credentials, Endpoint, OwnerRule, endpoint
from rest_adapter.v1 import ENDPOINTS, WEBSOCKET_ENDPOINTS
from rest_adapter.websocket_routing import websocket_endpoint
from tests.application import Application, open_application

# Whoever adds a line here says that this path tells or does nothing that belongs to anybody.
PUBLIC_PATHS = {
    "/health",
    "/health_check",
    "/api/v1/version",
    "/api/v1/config",
    "/api/v1/login",
    "/api/v1/auto_login",
    "/api/v1/flows/basic_examples/",
    "/api/v1/flows/public_flow/{flow_id}",  # its owner opened it to everybody
    "/api/v1/files/profile_pictures/list",
    "/api/v1/files/profile_pictures/{folder_name}/{file_name}",
    "/api/v1/folders/",
    "/api/v1/store/check/",
    "/api/v1/store/tags",
    "/api/v1/folders/{rest:path}",
    "/api/v1/build_public_tmp/{flow_id}/flow",  # the same flows run for anybody, with nothing else of their owners'
    "/api/v1/build_public_tmp/{job_id}/events",
    "/api/v1/build_public_tmp/{job_id}/cancel",
    "/openapi.json",
    "/docs",
    "/docs/endpoints",
    "/docs/{name}",
}
# These speak of the caller and answer strangers too: with nothing, or with a refusal of their own.
OPEN_CALLER_PATHS = {"/metrics", "/api/v1/task/{task_id}", "/api/v1/session", "/api/v1/logout", "/api/v1/refresh", "POST /api/v1/users/"}

METHODS = [(method, record) for record in ENDPOINTS for method in record.methods]


def named(case: Any) -> str:
    return case.path if isinstance(case, Endpoint) else str(case)


def path_of(record: Endpoint) -> str:
    return re.sub(r"\{[^}]*\}", lambda _: str(uuid4()), record.path)


def is_guarded(record: Endpoint) -> bool:
    return not {record.path, f"{record.methods[0]} {record.path}"} & (PUBLIC_PATHS | OPEN_CALLER_PATHS)


@pytest.mark.parametrize("record", ENDPOINTS, ids=named)
def test_a_route_needs_a_caller_unless_it_is_on_the_public_list(record: Endpoint) -> None:
    assert (record.owner is OwnerRule.PUBLIC) == (record.path in PUBLIC_PATHS)
    if is_guarded(record):
        assert record.credentials is Credentials.ANY


def test_every_websocket_needs_a_caller_and_is_said_in_words() -> None:
    for record in WEBSOCKET_ENDPOINTS:
        assert record.credentials is Credentials.ANY and record.owner is OwnerRule.OWNED
        assert record.summary and record.tag
    assert len({record.path for record in WEBSOCKET_ENDPOINTS}) == len(WEBSOCKET_ENDPOINTS) >= 4


async def test_every_guarded_route_wants_a_good_credential_before_it_reads_the_body(tmp_path: Path, subtests: pytest.Subtests) -> None:
    guarded = [case for case in METHODS if is_guarded(case[1])]
    # One address tries them all, more often than a stranger may go wrong in a minute.
    async with open_application(tmp_path, bad_keys_per_minute=len(guarded) + 1) as application:
        for method, record in guarded:
            with subtests.test(f"{method} {record.path}"):
                none = await application.nobody.request(method, path_of(record), content=b"{not json")
                bad_key = await application.nobody.request(method, path_of(record), headers={"x-api-key": "sk-unknown"})
                bad_token = await application.nobody.request(method, path_of(record), headers={"Authorization": "Bearer abc.def.ghi"})
                assert (none.status_code, bad_key.status_code, bad_token.status_code) == (403, 403, 401)
                assert set(none.json()) == {"detail"}
                assert bad_token.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("record", ENDPOINTS, ids=named)
def test_the_first_answer_of_a_record_is_the_good_one(record: Endpoint) -> None:
    assert record.answers[0].status < 400
    assert len({answer.status for answer in record.answers}) == len(record.answers)


def test_no_route_is_there_twice() -> None:
    seen = [(method, record.path) for method, record in METHODS]
    assert len(seen) == len(set(seen))


def test_the_hot_routes_come_first(application: Application) -> None:
    paths = [route.path for route in application.app.routes if isinstance(route, Route)]
    # Tool calls come before all of REST; one of their addresses is also that of a project's settings.
    ours = [path for path in paths if path in {record.path for record in ENDPOINTS} and not path.startswith("/api/v1/mcp/")]
    assert ours[:4] == ["/api/v1/run/{flow_id_or_name}", "/api/v1/webhook/{flow_id_or_name}", "/health", "/health_check"]


def test_a_handler_that_asks_for_what_no_request_has_is_refused() -> None:
    async def handler(caller: Caller, weather: str) -> None: ...

    with pytest.raises(TypeError, match="weather"):
        endpoint("GET", "/x")(handler)
    with pytest.raises(TypeError, match="weather"):
        websocket_endpoint("/x")(handler)


async def test_the_openapi_document_is_valid_and_lists_every_listed_route(application: Application) -> None:
    answer = await application.nobody.get("/openapi.json")
    document = answer.json()
    validate(document)
    listed = {(record.path, method.lower()) for method, record in METHODS if record.is_listed}
    assert {(path, method) for path, operations in document["paths"].items() for method in operations} == listed
    ids = [operation["operationId"] for operations in document["paths"].values() for operation in operations.values()]
    assert len(ids) == len(set(ids))
    assert all(operation["summary"] for operations in document["paths"].values() for operation in operations.values())


def test_what_every_guarded_route_may_answer_is_documented() -> None:
    for record in ENDPOINTS:
        statuses = {answer.status for answer in answers_of(record)}
        if record.credentials is Credentials.ANY:
            assert {401, 403, 429, 503} <= statuses
        if record.body_media_types:
            assert {408, 413, 422} <= statuses
        if record.body_media_types == ("multipart/form-data",):
            assert 415 in statuses


async def test_every_operation_of_the_document_says_who_may_ask_what_is_sent_and_what_comes_back(application: Application) -> None:
    document = (await application.nobody.get("/openapi.json")).json()
    operations = {(path, method): operation for path, methods in document["paths"].items() for method, operation in methods.items()}
    for method, record in METHODS:
        if not record.is_listed:
            continue
        operation = operations[record.path, method.lower()]
        security = operation["security"]
        assert bool(security) == (record.credentials in (Credentials.ANY, Credentials.OPTIONAL, Credentials.REFRESH_COOKIE))
        assert ({} in security) == (record.credentials is Credentials.OPTIONAL)
        parameters = {(each["in"], each["name"]) for each in operation.get("parameters", ())}
        assert {name for place, name in parameters if place == "path"} == set(re.findall(r"{(\w+)", record.path))
        assert all(
            "type" in each["schema"] or "anyOf" in each["schema"] or "$ref" in each["schema"] for each in operation.get("parameters", ())
        )
        assert ("requestBody" in operation) == bool(record.body_media_types)
        for kind in operation.get("requestBody", {}).get("content", {}).values():
            assert kind["schema"]
        good = operation["responses"][str(record.answers[0].status)]
        assert "content" in good or record.answers[0].status in (204, 307) or method == "HEAD", (method, record.path)
        for status, answer in operation["responses"].items():
            assert answer["description"]
            if int(status) >= 400:
                assert answer["content"]["application/json"]["schema"], (method, record.path, status)
        assert all(
            "Retry-After" in operation["responses"][status]["headers"] for status in ("429", "503") if status in operation["responses"]
        )


async def test_a_change_of_a_flow_documents_the_header_that_guards_it(application: Application) -> None:
    paths = (await application.nobody.get("/openapi.json")).json()["paths"]
    for method in ("patch", "put", "delete"):
        names = [each["name"] for each in paths["/api/v1/flows/{flow_id}"][method]["parameters"] if each["in"] == "header"]
        assert names == ["If-Match"]
    assert "Location" in paths["/api/v1/users/"]["post"]["responses"]["201"]["headers"]


async def test_an_unknown_path_is_404_in_json(application: Application) -> None:
    for path in ("/nope", "/api/v1/nope", "/api/v1/flows/a/b/c"):
        answer = await application.http.get(path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


async def test_a_wrong_method_is_405_and_names_the_right_ones(application: Application) -> None:
    answer = await application.http.get("/api/v1/run/x")
    assert (answer.status_code, answer.json(), answer.headers["Allow"]) == (405, {"detail": "Method Not Allowed"}, "POST")
    answer = await application.http.post(f"/api/v1/flows/{uuid4()}")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "DELETE, GET, HEAD, PATCH, PUT")
    assert (await application.http.get("/api/v1/webhook/x")).status_code == 405
    assert (await application.http.post("/health")).status_code == 405


async def test_a_collection_without_its_slash_redirects_with_the_query(application: Application) -> None:
    answer = await application.http.get("/api/v1/flows", params={"components_only": "true"})
    assert answer.status_code == 307
    assert answer.headers["Location"].endswith("/api/v1/flows/?components_only=true")
    collections = {record.path for record in ENDPOINTS if record.path.endswith("/") and record.path != "/api/v2/files/"}
    assert {"/api/v1/flows/upload/", "/api/v1/flows/batch/", "/api/v1/projects/upload/", "/api/v1/flows/basic_examples/"} < collections
    for path in collections:
        for method in ("GET", "POST"):
            answer = await application.nobody.request(method, f"{path[:-1]}?a=b", content=b"{not json")
            assert (answer.status_code, answer.content) == (307, b""), path
            assert answer.headers["Location"] == f"{path}?a=b"
    assert (await application.nobody.get("/api/v1/flows")).headers["Location"] == "/api/v1/flows/"


async def test_folders_redirect_to_projects(application: Application) -> None:
    project = uuid4()
    for path, target in [
        ("/api/v1/folders/", "/api/v1/projects/"),
        (f"/api/v1/folders/{project}?page=1&size=2", f"/api/v1/projects/{project}?page=1&size=2"),
        ("/api/v1/folders/upload/", "/api/v1/projects/upload/"),
    ]:
        answer = await application.nobody.get(path)
        assert (answer.status_code, answer.headers["Location"], answer.content) == (307, target, b"")
    assert (await application.nobody.post("/api/v1/folders/", json={})).status_code == 307


async def test_an_id_that_is_no_uuid_is_422_with_its_place(application: Application) -> None:
    for path in ("/api/v1/flows/xyz", "/api/v1/projects/xyz", "/api/v1/runs/xyz", "/api/v1/flows/xyz/report"):
        answer = await application.http.get(path)
        assert answer.status_code == 422
        (entry,) = answer.json()["detail"]
        assert set(entry) == {"type", "loc", "msg"}
        assert entry["type"] == "uuid_parsing"
        assert entry["loc"][0] == "path"
        assert entry["loc"][1] in {"flow_id", "project_id", "run_id"}


async def test_the_page_of_the_api_asks_no_other_server(application: Application) -> None:
    page = await application.nobody.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "//" not in re.sub(r"<!DOCTYPE[^>]*>", "", page.text)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert (await application.nobody.get(f"/{address}")).status_code == 200, address
    assert "<script>" not in page.text
    assert (await application.nobody.get("/docs/../routing.py")).status_code == 404
    assert (await application.nobody.get("/docs/index.html")).status_code == 404


async def test_a_mistake_of_ours_is_a_500_that_tells_nothing(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    await application.services.messages._database.__aexit__(None, None, None)
    answer = await application.http.get("/api/v1/projects/")
    assert answer.status_code in (500, 503)
    assert set(answer.json()) == {"detail"}
    assert "Traceback" not in answer.text
