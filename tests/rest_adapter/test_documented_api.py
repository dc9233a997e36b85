"""Every address of the API documentation: it is on the list at `/docs/endpoints`, it answers, and it asks who is there."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
from starlette.routing import Route, WebSocketRoute, compile_path
from starlette.types import Message

from tests import flow_documents as flows
from tests.application import ADDRESS, Application, browser, open_application
from tests.live_requests import live_request
from tests.rest_adapter.documented_api import (
    A_FILE,
    A_PICTURE,
    A_SHARED_FLOW,
    ANSWERED,
    DEPRECATED,
    HELLO,
    INITIALIZE,
    MCP,
    NOT_SERVED,
    ROWS,
    SERVED,
    Row,
)

Maker: TypeAlias = Callable[[Application], Awaitable[str]]
LIST = "/docs/endpoints"
NAME = re.compile(r"\{(\w+)\}")


@pytest.fixture
async def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Application]:
    home = tmp_path / "home"
    (home / ".cursor").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    async with open_application(tmp_path / "data", logins_per_minute=1_000, bad_keys_per_minute=1_000) as opened:
        yield opened


# What the requests need -----------------------------------------------------------------------------------------------------------------


async def made(application: Application, path: str, body: Any = None, **request: Any) -> Any:
    answer = await application.http.post(path, **({"json": body} if body is not None else {}), **request)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def a_flow(application: Application, **more: Any) -> str:
    return str((await made(application, "/api/v1/flows/", {"name": f"flow {uuid4()}", "data": flows.echo(), **more}))["id"])


async def a_project(application: Application) -> str:
    return str((await made(application, "/api/v1/projects/", {"name": f"project {uuid4()}"}))["id"])


async def a_full_project(application: Application) -> str:
    project = await a_project(application)
    await a_flow(application, folder_id=project)
    return project


async def a_session(application: Application) -> str:
    """The name of a session that has messages."""
    session = f"session {uuid4()}"
    answer = await application.http.post(f"/api/v1/run/{await a_flow(application)}", json={"input_value": "hello", "session_id": session})
    assert answer.status_code == 200
    return session


async def a_run(application: Application) -> str:
    answer = await application.http.post(f"/api/v1/run/{await a_flow(application)}", json={"input_value": "hello"})
    return answer.headers["x-headwater-run-id"]


async def a_message(application: Application) -> str:
    answer = await application.http.get("/api/v1/monitor/messages", params={"session_id": await a_session(application)})
    return str(answer.json()[0]["id"])


async def an_mcp_session(application: Application, address: str) -> str:
    answer = await application.http.post(address, json=INITIALIZE, **MCP)
    return answer.headers["mcp-session-id"]


async def a_file_name(application: Application, file: Any, flow_id: str) -> str:
    return str((await made(application, f"/api/v1/files/upload/{flow_id}", **file))["file_path"]).rsplit("/", 1)[1]


async def id_of(application: Application, path: str, body: Any = None, **request: Any) -> str:
    return str((await made(application, path, body, **request))["id"])


MAKERS: dict[str, Maker] = {
    "flow_id": a_flow,
    "public_flow_id": lambda application: a_flow(application, access_type="PUBLIC"),
    "project_id": a_project,
    "full_project_id": a_full_project,
    "run_id": a_run,
    "session_id": a_session,
    "message_id": a_message,
    "file_id": lambda application: id_of(application, "/api/v2/files", **A_FILE),
    "api_key_id": lambda application: id_of(application, "/api/v1/api_key/", {"name": "to be deleted"}),
    "user_id": lambda application: id_of(application, "/api/v1/users/", {"username": f"user {uuid4()}", "password": "a-long-password"}),
    "variable_id": lambda application: id_of(
        application, "/api/v1/variables/", {"name": f"V{uuid4().hex}", "value": "x", "type": "Generic", "default_fields": []}
    ),
    "component_id": lambda application: id_of(application, "/api/v1/store/components/", A_SHARED_FLOW),
}


async def things_for(application: Application, row: Row) -> dict[str, str]:
    """What stands for each name in the row, made anew."""
    things: dict[str, str] = {}
    for name in NAME.findall(row.path + json.dumps({key: value for key, value in row.request.items() if key != "files"})):
        if name in MAKERS and name not in things:
            things[name] = await MAKERS[name](application)
    things["own_id"] = application.caller.user_id
    things["first_project_id"] = application.project_id
    if "file_name" in row.path:
        things["file_name"] = await a_file_name(application, A_FILE, things["flow_id"]) if "flow_id" in things else ""
    if "picture_name" in row.path:
        things["picture_name"] = await a_file_name(application, A_PICTURE, things["flow_id"])
    if "{folder_name}" in row.path:
        first = (await application.http.get("/api/v1/files/profile_pictures/list")).json()["files"][0]
        things["folder_name"], things["picture"] = first.split("/")
    if "job_id" in row.path:
        things["job_id"] = (await made(application, f"/api/v1/build/{await a_flow(application)}/flow", HELLO))["job_id"]
    if "mcp_session_id" in str(row.request):
        things["mcp_session_id"] = await an_mcp_session(application, filled(row.path, things))
    return things


def filled(value: Any, things: dict[str, str]) -> Any:
    if isinstance(value, str):
        return NAME.sub(lambda name: things.get(name[1], name[0]), value)
    if isinstance(value, dict):
        return {key: filled(each, things) for key, each in value.items()}
    return [filled(each, things) for each in value] if isinstance(value, list) else value


# The list --------------------------------------------------------------------------------------------------------------------------------


async def listed(application: Application) -> list[dict[str, str]]:
    answer = await application.nobody.get(LIST, headers={"accept": "application/json"})
    assert answer.status_code == 200 and "Accept" in answer.headers["vary"].split(", ")
    lines: list[dict[str, str]] = answer.json()["endpoints"]
    return lines


def line_of(row: Row, lines: list[dict[str, str]]) -> dict[str, str]:
    """The line that a request for the row belongs to: the same path before one that is wider, with or without a slash at its end."""
    path = NAME.sub(str(uuid4()), row.path).rstrip("/")
    fitting = [line for line in lines if line["method"] == row.method and compile_path(line["path"].rstrip("/"))[0].fullmatch(path)]
    assert fitting, f"{row} is on no line of {LIST}"
    return min(fitting, key=lambda line: line["path"].count("{"))


async def test_every_documented_address_is_on_the_list_with_its_state(application: Application) -> None:
    lines = await listed(application)
    for row in ROWS:
        line = line_of(row, lines)
        assert (line["state"], bool(line["does"])) == (row.state, True), row
        assert bool(line["remark"]) >= (row.state != SERVED), row
        assert (line["credentials"] == "none") <= (row.refused == ANSWERED), row


async def test_the_list_holds_every_route_of_the_process_and_no_other(application: Application) -> None:
    served = {(line["method"], line["path"].rstrip("/")): line for line in await listed(application) if line["state"] != NOT_SERVED}
    routed = {route.path.rstrip("/") for route in application.app.routes if isinstance(route, Route)}
    spoken = {route.path.rstrip("/") for route in application.app.routes if isinstance(route, WebSocketRoute)}
    assert {path for method, path in served if method != "WS"} == routed
    assert {path for method, path in served if method == "WS"} == spoken
    assert len(application.app.routes) == len([route for route in application.app.routes if isinstance(route, Route | WebSocketRoute)])


class Cells(HTMLParser):
    """The texts of a page's table cells, and what elements and addresses it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.elements: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


async def test_a_browser_gets_the_list_as_a_page_without_scripts_that_asks_nobody_else(application: Application) -> None:
    answer = await application.nobody.get(LIST, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = Cells(answer.text)
    assert page.elements.isdisjoint({"script", "link", "img"}) and page.links == ["../docs"]
    shown = [tuple(row[:2]) for row in page.rows if row]
    assert shown == [(line["method"], line["path"]) for line in await listed(application)]
    states = {tuple(row[:2]): row[4].strip() for row in page.rows if row}
    assert states["POST", "/api/v1/run/{flow_id_or_name}"] == SERVED
    assert states["POST", "/api/v1/process/{flow_id}"].startswith(f"{DEPRECATED}. Use POST /api/v1/run/")
    assert f'href="{LIST.removeprefix("/")}"' in (await application.nobody.get("/")).text


# The requests ----------------------------------------------------------------------------------------------------------------------------


async def opened(application: Application, path: str, key: str | None) -> int:
    """What a handshake of a WebSocket is answered: 101, or the status of the refusal. The client leaves when it is open."""
    headers = {"host": ADDRESS.removeprefix("http://"), **({"x-api-key": key} if key else {})}
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 7_860),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
        "state": {},
    }
    said: asyncio.Queue[Message] = asyncio.Queue()
    told: asyncio.Queue[Message] = asyncio.Queue()
    told.put_nowait({"type": "websocket.connect"})
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(application.app(scope, told.get, said.put))
        first = await said.get()
        told.put_nowait({"type": "websocket.disconnect", "code": 1_000})
    return 101 if first["type"] == "websocket.accept" else int(first.get("status", 403))


async def status_of(application: Application, row: Row, path: str, request: dict[str, Any], *, key: str | None) -> int:
    if row.method == "WS":
        return await opened(application, path, key)
    headers = {**request.pop("headers", {}), **({"x-api-key": key} if key else {})}
    if row.method == "GET" and row.path.endswith(("/sse", "/streamable")):  # answers without an end
        async with live_request(application, "GET", path, headers={"x-api-key": "", **headers}) as live:
            return live.status
    async with browser(application.app, cookies=request.pop("cookies", None)) as client:
        return (await client.request(row.method, path, headers=headers, **request)).status_code


async def test_every_documented_address_answers_who_has_a_key_and_refuses_who_has_none(
    application: Application, subtests: pytest.Subtests
) -> None:
    for row in ROWS:
        with subtests.test(str(row)):
            things = await things_for(application, row)
            path = filled(row.path, things)
            if row.refused != ANSWERED:
                assert await status_of(application, row, path, filled(row.request, things), key=None) == row.refused
            key = application.key if row.refused != ANSWERED else None
            assert await status_of(application, row, path, filled(row.request, things), key=key) == row.status
