"""A project's tools and how callers prove themselves, read and set over REST."""

from typing import Any
from uuid import uuid4

from tests import flow_documents as flows
from tests.application import Application


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
    for kind in ("none", "oauth", "magic", None):
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
