"""The addresses of the API documentation, a line each, with a request that is good for each and the answer it gets.

In a path, `{flow_id}` and the like stand for things that are made for the request; what a body or a query needs of them is said the same
way. `refused` is the answer to the same request without a credential.
"""

from dataclasses import dataclass, field
from typing import Any

from tests import flow_documents as flows

SERVED, DEPRECATED, NOT_SERVED = "served", "deprecated", "not served"
ANSWERED = 0  # as `refused`: the answer is the same without a credential


@dataclass(frozen=True)
class Row:
    method: str
    path: str
    status: int = 200
    refused: int = 403
    state: str = SERVED
    request: dict[str, Any] = field(default_factory=dict)  # what httpx takes

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def row(address: str, status: int = 200, refused: int = 403, state: str = SERVED, **request: Any) -> Row:
    method, path = address.split()
    return Row(method, path, status, refused, state, request)


A_FILE: dict[str, Any] = {"files": {"file": ("a.txt", b"text of a file")}}
A_PICTURE: dict[str, Any] = {"files": {"file": ("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 16)}}
AN_EXPORT: dict[str, Any] = {"files": {"file": ("a.json", b'{"flows": [{"name": "uploaded", "data": {"nodes": [], "edges": []}}]}')}}
A_PROJECT_FILE: dict[str, Any] = {"files": {"file": ("a.json", b'{"folder_name": "p", "folder_description": "", "flows": []}')}}
A_SHARED_FLOW: dict[str, Any] = {"name": "shared", "description": "", "data": flows.echo(), "tags": [], "is_component": False}
A_COMPONENT = "class Greeting(Component):\n    outputs = [Output(name='o', method='build')]\n"
HELLO: dict[str, Any] = {"inputs": {"input_value": "hello"}}
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
MCP: dict[str, Any] = {"headers": {"accept": "application/json, text/event-stream"}}
A_SESSION: dict[str, Any] = {"headers": {**MCP["headers"], "mcp-session-id": "{mcp_session_id}"}}

ROWS: tuple[Row, ...] = (
    # Running flows
    row("POST /api/v1/run/{flow_id}", json={"input_value": "hello"}),
    row("POST /api/v1/run/advanced/{flow_id}", json={"inputs": [{"components": [], "input_value": "hello"}]}),
    row("POST /api/v1/webhook/{flow_id}", 202, json={"a": 1}),
    row("POST /api/v1/responses", json={"model": "{flow_id}", "input": "hello"}),
    # The server
    row("GET /api/v1/version", refused=ANSWERED),
    row("GET /api/v1/config", refused=ANSWERED),
    row("GET /health_check", refused=ANSWERED),
    row("GET /health", refused=ANSWERED),
    row("GET /api/v1/all"),
    row("GET /logs-stream", 501),
    row("GET /logs", 501),
    row("GET /docs", refused=ANSWERED),
    # Projects
    row("POST /api/v1/projects/", 201, json={"name": "made"}),
    row("GET /api/v1/projects/"),
    row("GET /api/v1/projects/{project_id}"),
    row("PATCH /api/v1/projects/{project_id}", json={"description": "changed"}),
    row("DELETE /api/v1/projects/{project_id}", 204),
    row("GET /api/v1/projects/download/{full_project_id}"),
    row("POST /api/v1/projects/upload/", 201, **A_PROJECT_FILE),
    row("GET /api/v1/starter-projects/"),
    row("GET /api/v1/folders/", 307, ANSWERED, DEPRECATED),
    row("POST /api/v1/folders/", 307, ANSWERED, DEPRECATED, json={"name": "made"}),
    row("GET /api/v1/folders/{project_id}", 307, ANSWERED, DEPRECATED),
    row("PATCH /api/v1/folders/{project_id}", 307, ANSWERED, DEPRECATED, json={"description": "changed"}),
    row("DELETE /api/v1/folders/{project_id}", 307, ANSWERED, DEPRECATED),
    row("GET /api/v1/folders/download/{project_id}", 307, ANSWERED, DEPRECATED),
    row("POST /api/v1/folders/upload/", 307, ANSWERED, DEPRECATED),
    # Files
    row("POST /api/v1/files/upload/{flow_id}", 201, **A_FILE),
    row("GET /api/v1/files/download/{flow_id}/{file_name}"),
    row("GET /api/v1/files/images/{flow_id}/{picture_name}"),
    row("GET /api/v1/files/list/{flow_id}"),
    row("DELETE /api/v1/files/delete/{flow_id}/{file_name}"),
    row("GET /api/v1/files/profile_pictures/list", refused=ANSWERED),
    row("GET /api/v1/files/profile_pictures/{folder_name}/{picture}", refused=ANSWERED),
    row("POST /api/v2/files", 201, **A_FILE),
    row("POST /api/v2/files/", 201, **A_FILE),
    row("GET /api/v2/files"),
    row("GET /api/v2/files/"),
    row("POST /api/v2/files/batch/", json=["{file_id}"]),
    row("DELETE /api/v2/files/batch/", json=["{file_id}"]),
    row("GET /api/v2/files/{file_id}"),
    row("PUT /api/v2/files/{file_id}", params={"name": "renamed"}),
    row("DELETE /api/v2/files/{file_id}"),
    row("DELETE /api/v2/files"),
    row("DELETE /api/v2/files/"),
    # Keys, accounts, logins, variables
    row("GET /api/v1/api_key/"),
    row("POST /api/v1/api_key/", json={"name": "made"}),
    row("DELETE /api/v1/api_key/{api_key_id}"),
    row("POST /api/v1/api_key/store", state=DEPRECATED, json={"api_key": "of the former store"}),
    row("POST /api/v1/users/", 201, json={"username": "carol", "password": "a-long-password"}),
    row("GET /api/v1/users/whoami"),
    row("GET /api/v1/users/"),
    row("PATCH /api/v1/users/{user_id}", json={"profile_image": "a.svg"}),
    row("PATCH /api/v1/users/{own_id}/reset-password", 403, json={"password": "another-long-one", "current_password": "a-long-password"}),
    row("DELETE /api/v1/users/{user_id}", 202),
    row("POST /api/v1/login", refused=ANSWERED, data={"username": "bob", "password": "another-password"}),
    row("GET /api/v1/auto_login", 403, ANSWERED),
    row("POST /api/v1/refresh", 401, ANSWERED),
    row("POST /api/v1/logout", refused=ANSWERED),
    row("POST /api/v1/variables/", 201, json={"name": "MADE", "value": "x", "type": "Generic", "default_fields": []}),
    row("GET /api/v1/variables/"),
    row("PATCH /api/v1/variables/{variable_id}", json={"id": "{variable_id}", "value": "y"}),
    row("DELETE /api/v1/variables/{variable_id}", 204),
    # Flows
    row("POST /api/v1/flows/", 201, json={"name": "made", "data": flows.echo()}),
    row("GET /api/v1/flows/"),
    row("GET /api/v1/flows/{flow_id}"),
    row("GET /api/v1/flows/public_flow/{public_flow_id}", refused=ANSWERED),
    row("PATCH /api/v1/flows/{flow_id}", json={"description": "changed"}),
    row("DELETE /api/v1/flows/{flow_id}"),
    row("POST /api/v1/flows/batch/", 201, json={"flows": [{"name": "one of many", "data": flows.echo()}]}),
    row("POST /api/v1/flows/upload/", 201, **AN_EXPORT),
    row("DELETE /api/v1/flows/", json=["{flow_id}"]),
    row("POST /api/v1/flows/download/", json=["{flow_id}"]),
    row("GET /api/v1/flows/basic_examples/", refused=ANSWERED),
    row("GET /api/v1/flows/read", 422, state=NOT_SERVED),
    # Components
    row("POST /api/v1/custom_component", json={"code": A_COMPONENT}),
    row("POST /api/v1/custom_component/update", json={"code": A_COMPONENT, "template": {}, "field": "x"}),
    row("POST /api/v1/validate/code", json={"code": "x = 1"}),
    row("POST /api/v1/validate/prompt", json={"name": "template", "template": "Hello {name}"}),
    # Builds
    row("POST /api/v1/build/{flow_id}/flow", json=HELLO),
    row("GET /api/v1/build/{job_id}/events"),
    row("POST /api/v1/build/{job_id}/cancel"),
    row("POST /api/v1/build_public_tmp/{public_flow_id}/flow", refused=ANSWERED, json=HELLO, cookies={"client_id": "a-tab"}),
    row("POST /api/v1/build/{flow_id}/vertices", state=DEPRECATED),
    row("POST /api/v1/build/{flow_id}/vertices/ChatInput-in", state=DEPRECATED),
    row("GET /api/v1/build/{flow_id}/ChatOutput-out/stream", state=DEPRECATED),
    # What has run
    row("GET /api/v1/monitor/builds", params={"flow_id": "{flow_id}"}),
    row("DELETE /api/v1/monitor/builds", 204, params={"flow_id": "{flow_id}"}),
    row("GET /api/v1/monitor/messages/sessions"),
    row("GET /api/v1/monitor/messages"),
    row("DELETE /api/v1/monitor/messages", 204, json=["{message_id}"]),
    row("PUT /api/v1/monitor/messages/{message_id}", json={"text": "changed"}),
    row("PATCH /api/v1/monitor/messages/session/{session_id}", params={"new_session_id": "renamed"}),
    row("DELETE /api/v1/monitor/messages/session/{session_id}", 204),
    row("GET /api/v1/monitor/transactions", params={"flow_id": "{flow_id}"}),
    # Voice
    row("WS /api/v1/voice/ws/flow_as_tool/{flow_id}", 101),
    row("WS /api/v1/voice/ws/flow_as_tool/{flow_id}/{session_id}", 101),
    row("WS /api/v1/voice/ws/flow_tts/{flow_id}", 101),
    row("WS /api/v1/voice/ws/flow_tts/{flow_id}/{session_id}", 101),
    row("GET /api/v1/voice/elevenlabs/voice_ids"),
    # MCP
    row("HEAD /api/v1/mcp/streamable", refused=ANSWERED),
    row("GET /api/v1/mcp/streamable", refused=401, **A_SESSION),
    row("POST /api/v1/mcp/streamable", refused=401, json=INITIALIZE, **MCP),
    row("DELETE /api/v1/mcp/streamable", refused=401, **A_SESSION),
    row("HEAD /api/v1/mcp/sse", refused=ANSWERED),
    row("GET /api/v1/mcp/sse", refused=401),
    row("POST /api/v1/mcp/", 404, refused=401, params={"session_id": "0" * 32}, json=INITIALIZE),
    row("GET /api/v1/mcp/project/{project_id}"),
    row("HEAD /api/v1/mcp/project/{project_id}/streamable", refused=ANSWERED),
    row("GET /api/v1/mcp/project/{first_project_id}/streamable", refused=401, **A_SESSION),
    row("POST /api/v1/mcp/project/{project_id}/streamable", refused=401, json=INITIALIZE, **MCP),
    row("DELETE /api/v1/mcp/project/{first_project_id}/streamable", refused=401, **A_SESSION),
    row("HEAD /api/v1/mcp/project/{project_id}/sse", refused=ANSWERED),
    row("GET /api/v1/mcp/project/{project_id}/sse", refused=401),
    row("POST /api/v1/mcp/project/{project_id}", 404, refused=401, params={"session_id": "0" * 32}, json=INITIALIZE),
    row("PATCH /api/v1/mcp/project/{project_id}", json={"settings": []}),
    row("POST /api/v1/mcp/project/{project_id}/install", json={"client": "cursor"}),
    row("GET /api/v1/mcp/project/{project_id}/installed"),
    # The past
    row("POST /api/v1/predict/{flow_id}", 400, state=DEPRECATED, json={}),
    row("POST /api/v1/process/{flow_id}", 400, state=DEPRECATED, json={}),
    row("GET /api/v1/task/{run_id}", 400, ANSWERED, DEPRECATED),
    row("POST /api/v1/upload/{flow_id}", 201, state=DEPRECATED, **A_FILE),
    # The store
    row("GET /api/v1/store/check/", refused=ANSWERED),
    row("GET /api/v1/store/check/api_key"),
    row("POST /api/v1/store/components/", 201, json=A_SHARED_FLOW),
    row("PATCH /api/v1/store/components/{component_id}", 201, json=A_SHARED_FLOW),
    row("GET /api/v1/store/components/"),
    row("GET /api/v1/store/components/{component_id}"),
    row("GET /api/v1/store/tags", refused=ANSWERED),
    row("GET /api/v1/store/users/likes"),
    row("POST /api/v1/store/users/likes/{component_id}"),
)
