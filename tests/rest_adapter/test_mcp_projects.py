"""A project's tools and how callers prove themselves, read and set over REST."""

from pathlib import Path
from typing import Any
from uuid import uuid4

from tests import flow_documents as flows
from tests.application import Application, open_application


async def test_tools_are_read_and_set(application: Application) -> None:
    http = application.http
    project = (await http.post("/api/v1/projects/", json={"name": "Proj A (1)"})).json()
    path = f"/api/v1/mcp/project/{project['id']}"
    bodies: list[dict[str, Any]] = [{"name": "one flow", "data": flows.echo(), "folder_id": project["id"]}, {"name": "elsewhere"}]
    inside, outside = [(await http.post("/api/v1/flows/", json=body)).json() for body in bodies]
    read = (await http.get(path)).json()
    assert list(read) == ["tools", "auth_settings", "server_name"]
    assert (read["tools"], read["server_name"]) == ([], "lf-proj_a_1")
    settings = [
        {"id": inside["id"], "mcp_enabled": True, "action_name": "two tool!", "action_description": "It echoes."},
        {"id": outside["id"], "mcp_enabled": True, "action_name": "no", "action_description": ""},
        {"id": str(uuid4()), "mcp_enabled": True},
    ]
    answer = await http.patch(path, json={"settings": settings})
    assert (answer.status_code, list(answer.json())) == (200, ["message"])
    assert " 1 " in answer.json()["message"]
    (tool,) = (await http.get(path)).json()["tools"]
    assert list(tool) == ["id", "mcp_enabled", "action_name", "action_description", "name", "description"]
    assert (tool["action_name"], tool["action_description"], tool["name"]) == ("two_tool", "It echoes.", "one flow")
    async with application.mcp_client(project_id=project["id"]) as client:
        assert [each.name for each in (await client.list_tools()).tools] == ["two_tool"]
    await http.patch(path, json={"settings": [{"id": inside["id"]}]})
    assert (await http.get(path)).json()["tools"] == []
    (off,) = (await http.get(path, params={"mcp_enabled": "false"})).json()["tools"]
    assert (off["mcp_enabled"], off["action_name"]) == (False, "one_flow")


async def test_a_new_project_says_that_it_takes_keys(application: Application, tmp_path: Path) -> None:
    """Clients read the setting; with automatic login there is none until somebody sets one."""
    made = [
        await application.http.post("/api/v1/projects/", json={"name": "P"}),
        await application.http.put(f"/api/v1/projects/{uuid4()}", json={"name": "Q"}),
        await application.http.get(f"/api/v1/projects/{application.project_id}"),
    ]
    assert [answer.json()["auth_settings"] for answer in made] == [{"auth_type": "apikey"}] * 3
    async with open_application(tmp_path / "automatic", auto_login=True) as automatic:
        assert (await automatic.http.post("/api/v1/projects/", json={"name": "P"})).json()["auth_settings"] is None


async def test_only_keys_prove_a_caller_and_secrets_stay_here(application: Application) -> None:
    http, path = application.http, f"/api/v1/mcp/project/{application.project_id}"
    given = {"auth_type": "apikey", "oauth_client_id": "me", "oauth_client_secret": "s3cret-marker"}
    assert (await http.patch(path, json={"settings": [], "auth_settings": given})).status_code == 200
    shown = (await http.get(path)).json()["auth_settings"]
    assert (shown["auth_type"], shown["oauth_client_id"], shown["oauth_client_secret"], len(shown)) == ("apikey", "me", "*" * 7, 12)
    before = await application.services.projects.get(application.caller, application.project_id)
    again = {**shown, "oauth_client_id": "you"}
    assert (await http.patch(path, json={"settings": [], "auth_settings": again})).status_code == 200
    after = await application.services.projects.get(application.caller, application.project_id)
    assert before.auth_settings is not None
    assert after.auth_settings == {**before.auth_settings, "oauth_client_id": "you"}
    assert "s3cret-marker" not in str(after.auth_settings)
    for kind in ("magic", None):
        refused = await http.patch(path, json={"settings": [], "auth_settings": {"auth_type": kind}})
        assert refused.status_code == 422
        assert refused.json()["detail"][0]["loc"] == ["body", "auth_settings", "auth_type"]
    assert (await http.patch(path, json={"settings": [], "auth_settings": None})).status_code == 200


async def test_projects_of_others_and_bad_requests_are_refused(application: Application) -> None:
    path = f"/api/v1/mcp/project/{application.project_id}"
    for answer in (await application.stranger.get(path), await application.stranger.patch(path, json={"settings": []})):
        assert answer.status_code == 404
    assert (await application.nobody.get(path)).status_code == 403
    assert (await application.http.patch(path, json={})).status_code == 422
    assert (await application.http.get("/api/v1/mcp/project/xx")).status_code == 422


async def test_a_locked_flow_keeps_its_tool_settings(application: Application) -> None:
    flow = (await application.http.post("/api/v1/flows/", json={"name": "f", "locked": True})).json()
    path = f"/api/v1/mcp/project/{application.project_id}"
    assert (await application.http.patch(path, json={"settings": [{"id": flow["id"], "mcp_enabled": True}]})).status_code == 423
    assert (await application.http.patch(path, json={"settings": [{"id": flow["id"], "mcp_enabled": False}]})).status_code == 200


GIVEN_AND_ANSWERED: list[tuple[Any, int, list[Any]]] = [
    ({"settings": []}, 200, []),
    ({"settings": [], "auth_settings": None}, 200, []),
    ({"settings": [], "unknown": 1}, 200, []),
    ({}, 422, ["body", "settings"]),
    ({"settings": None}, 422, ["body", "settings"]),
    ({"settings": {}}, 422, ["body", "settings"]),
    ({"settings": ["x"]}, 422, ["body", "settings", 0]),
    ({"settings": [{}]}, 422, ["body", "settings", 0, "id"]),
    ({"settings": [{"id": "x"}]}, 422, ["body", "settings", 0, "id"]),
    ({"settings": [{"id": str(uuid4()), "mcp_enabled": "perhaps"}]}, 422, ["body", "settings", 0, "mcp_enabled"]),
    ({"settings": [{"id": str(uuid4()), "action_name": 3}]}, 422, ["body", "settings", 0, "action_name"]),
    ({"settings": [{"id": str(uuid4()), "action_name": "x" * 100_000}]}, 422, ["body", "settings", 0, "action_name"]),
    ({"settings": [], "auth_settings": {"auth_type": "magic"}}, 422, ["body", "auth_settings", "auth_type"]),
    ({"settings": [], "auth_settings": "none"}, 422, ["body", "auth_settings"]),
    ({"settings": [], "expose_prompts": "perhaps"}, 422, ["body", "expose_prompts"]),
    ([], 422, ["body"]),
]


async def test_a_change_is_answered_as_its_contract_says(application: Application) -> None:
    path = f"/api/v1/mcp/project/{application.project_id}"
    for given, status, location in GIVEN_AND_ANSWERED:
        answer = await application.http.patch(path, json=given)
        assert answer.status_code == status, (given, answer.text)
        if status == 200:
            assert answer.json() == {"message": "Updated MCP settings for 0 flows and project auth settings"}
        else:
            assert answer.json()["detail"][0]["loc"] == location, given
    for wrong in ("", "{", "nul"):
        assert (await application.http.patch(path, content=wrong)).status_code in (400, 422)
    assert (await application.http.patch(f"/api/v1/mcp/project/{uuid4()}", json={"settings": []})).status_code == 404
    assert (await application.http.get(f"/api/v1/mcp/project/{uuid4()}")).status_code == 404


async def test_what_is_left_out_of_a_tools_settings_is_cleared_and_the_list_keeps_its_order(application: Application) -> None:
    http = application.http
    project_id = (await http.post("/api/v1/projects/", json={"name": "Three"})).json()["id"]
    path = f"/api/v1/mcp/project/{project_id}"
    ids = []
    for name in ("zeta", "alpha", "mid"):
        body = {"name": name, "data": flows.echo(), "folder_id": project_id, "description": f"about {name}"}
        ids.append((await http.post("/api/v1/flows/", json=body)).json()["id"])
    component = {"name": "part", "is_component": True, "folder_id": project_id}
    await http.post("/api/v1/flows/", json=component)
    on = [{"id": id, "mcp_enabled": True, "action_name": "two tool!", "action_description": ""} for id in reversed(ids)]
    assert "for 3 flows" in (await http.patch(path, json={"settings": on})).json()["message"]
    tools = (await http.get(path)).json()["tools"]
    assert [(tool["id"], tool["action_name"], tool["action_description"]) for tool in tools] == [
        (id, "two_tool", f"about {name}") for id, name in zip(ids, ("zeta", "alpha", "mid"), strict=True)
    ]
    async with application.mcp_client(project_id=project_id) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["two_tool", "two_tool_1", "two_tool_2"]
    await http.patch(path, json={"settings": [{"id": ids[1], "mcp_enabled": True}]})
    (cleared,) = [tool for tool in (await http.get(path)).json()["tools"] if tool["id"] == ids[1]]
    assert (cleared["action_name"], cleared["action_description"]) == ("alpha", "about alpha")
    await http.patch(path, json={"settings": [{"id": ids[0], "mcp_enabled": None}]})
    assert [tool["id"] for tool in (await http.get(path)).json()["tools"]] == ids[1:]
    everything = (await http.get(path, params={"mcp_enabled": "false"})).json()["tools"]
    assert [(tool["id"], tool["mcp_enabled"]) for tool in everything] == [(ids[0], False), (ids[1], True), (ids[2], True)]
    assert (await http.get(path, params={"mcp_enabled": "perhaps"})).status_code == 422


async def test_flows_that_cannot_be_tools_are_told_with_the_reason(application: Application) -> None:
    project_id = (await application.http.post("/api/v1/projects/", json={"name": "Two"})).json()["id"]
    broken = flows.document([flows.chat_input(), flows.node("NobodyMadeThis", "NobodyMadeThis-1", {"text": ""})], [])
    bodies = [{"name": name, "data": data, "folder_id": project_id} for name, data in (("good", flows.echo()), ("bad", broken))]
    good, bad = [(await application.http.post("/api/v1/flows/", json=body)).json() for body in bodies]
    path = f"/api/v1/mcp/project/{project_id}"
    read = (await application.http.get(path, params={"mcp_enabled": "false"})).json()
    assert {tool["id"] for tool in read["tools"]} == {good["id"], bad["id"]}
    (told,) = read["excluded_flows"]
    assert (told["id"], told["name"]) == (bad["id"], "bad")
    assert "NobodyMadeThis" in told["reason"]
