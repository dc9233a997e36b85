"""Exchanges that were seen with Langflow 1.13 around its editor: catalogue, checks of code, examples, store, MCP servers, old addresses.

Status, keys and types are those that were seen; where ours differ on purpose, the line says why.
"""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests import flow_documents as flows
from tests.application import open_application

COMPONENT = "class A(Component):\n    display_name = 'A'\n    outputs = [Output(name='o', method='m')]\n"
REFUSED = "detail:str"
CHECKED: dict[str, Any] = {"imports": {"errors": []}, "function": {"errors": []}}
SERVERS = "/api/v2/mcp/servers"

# Who asks, what for, what is sent; then the status, and the keys of the answer with their types, or the very answer.
EXCHANGES: list[tuple[str, str, Any, int, Any]] = [
    ("http", "GET /api/v1/all", None, 200, "component_display_names:dict input_output:dict models_and_agents:dict processing:dict"),
    ("bad key", "GET /api/v1/all", None, 403, REFUSED),
    ("http", "POST /api/v1/custom_component", {}, 422, "detail:list"),
    ("http", "POST /api/v1/custom_component", {"code": "x = 1"}, 400, "detail:dict"),
    ("http", "POST /api/v1/custom_component", {"code": COMPONENT}, 200, "data:dict type:str"),
    ("nobody", "POST /api/v1/custom_component/update", {"code": "x", "template": {}, "field": "a"}, 403, REFUSED),
    ("http", "POST /api/v1/validate/code", {}, 422, "detail:list"),
    ("nobody", "POST /api/v1/validate/code", {"code": "x=1"}, 403, REFUSED),
    ("http", "POST /api/v1/validate/code", {"code": "import math\ndef f(a: int) -> int:\n    return a"}, 200, CHECKED),
    (
        "http",
        "POST /api/v1/validate/prompt",
        {"name": "t", "template": "Hello {name}"},
        200,
        {"input_variables": [], "frontend_node": None},
    ),
    ("nobody", "GET /api/v1/starter-projects/", None, 403, REFUSED),
    ("nobody", "GET /api/v1/flows/basic_examples/", None, 200, list),
    ("nobody", "GET /api/v1/store/check/", None, 200, {"enabled": True}),
    ("http", "GET /api/v1/store/check/", None, 200, {"enabled": True}),
    ("http", "GET /api/v1/store/components/", None, 200, "count:int authorized:bool results:list"),  # theirs was 500: no way to it
    ("http", "GET /api/v1/store/tags", None, 200, list),
    ("http", "POST /api/v1/store/components/", {}, 422, "detail:list"),
    ("http", "POST /api/v1/api_key/store", {}, 422, "detail:list"),
    ("http", "POST /api/v1/api_key/store", {"api_key": "abc"}, 200, REFUSED),
    ("http", "POST /api/v1/predict/{flow}", {"inputs": {}}, 400, REFUSED),
    ("http", "GET /api/v1/task/abc", None, 400, REFUSED),
    ("http", f"POST /api/v1/upload/{uuid4()}", "a file", 404, REFUSED),
    ("http", "POST /api/v1/upload/{flow}", None, 422, "detail:list"),
    ("nobody", f"GET {SERVERS}", None, 403, REFUSED),
    ("http", f"GET {SERVERS}/none", None, 404, REFUSED),
    ("http", f"POST {SERVERS}/goldtrue", {"command": "true"}, 422, "detail:list"),
    ("http", f"POST {SERVERS}/gold", {"command": "python", "args": ["-c", "pass"], "env": {"A": "b"}}, 422, "detail:list"),
    ("http", f"POST {SERVERS}/gold", {"command": "python"}, 200, {"command": "python"}),
    ("http", f"POST {SERVERS}/goldhttp", {"url": "http://127.0.0.1:9/mcp"}, 200, {"url": "http://127.0.0.1:9/mcp"}),
    ("http", f"GET {SERVERS}/gold", None, 200, {"command": "python"}),
    ("http", f"PATCH {SERVERS}/gold", {"args": ["-x"]}, 200, {"command": "python", "args": ["-x"]}),
    ("http", f"DELETE {SERVERS}/gold", None, 200, None),
    ("http", f"DELETE {SERVERS}/goldhttp", None, 200, None),
    ("http", f"DELETE {SERVERS}/gold", None, 404, REFUSED),
]


async def test_the_exchanges_go_as_they_were_seen(tmp_path: Path, subtests: pytest.Subtests) -> None:
    async with open_application(tmp_path) as application:
        flow = (await application.http.post("/api/v1/flows/", json={"name": "echo", "data": flows.echo()})).json()["id"]
        for who, request, sent, status, wanted in EXCHANGES:
            with subtests.test(f"{request} {status}"):
                method, path = request.replace("{flow}", flow).split(" ")
                client = application.http if who == "http" else application.nobody
                given: dict[str, Any] = {"headers": {"x-api-key": "sk-bad"}} if who == "bad key" else {}
                if sent == "a file":
                    given["files"] = {"file": ("a.txt", b"h")}
                elif sent is not None:
                    given["json"] = sent
                answer = await client.request(method, path, **given)
                assert answer.status_code == status, answer.text
                assert answer.headers["content-type"] == "application/json"
                check(answer.json(), wanted)


def check(body: Any, wanted: Any) -> None:
    if wanted is list:
        assert isinstance(body, list) and body
    elif isinstance(wanted, str):
        kinds = dict(word.split(":") for word in wanted.split())
        assert {name: type(body[name]).__name__ for name in kinds} == kinds
    else:
        assert body == wanted
