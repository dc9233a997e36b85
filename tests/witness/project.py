"""The project that every client here works with: a tool that answers at once, one that takes steps, and one that takes very long."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from tests.flow_documents import chat_output, document, edge, node, text_input
from tests.running_server import RunningServer

QUICK, STEPS, LONG, SLOW = "quick_answer", "three_steps", "six_seconds", "slow_wait"
TOOLS = {QUICK, STEPS, LONG, SLOW}
TASK_AFTER_SECONDS = 5  # STEPS are over and SLOW is given up long before, and LONG takes longer
INSTALL_SECONDS = 600  # for what the first test of a kind of clients installs
TEXT = "Forty-two."


@dataclass(frozen=True)
class WitnessProject:
    server: RunningServer
    id: str

    @property
    def address(self) -> str:
        return f"{self.server.address}/api/v1/mcp/project/{self.id}/streamable"

    @property
    def sse_address(self) -> str:
        return f"{self.server.address}/api/v1/mcp/project/{self.id}/sse"

    @property
    def key(self) -> str:
        return self.server.key

    def runs(self, tool: str) -> list[dict[str, Any]]:
        """Runs of a tool's flow, newest first."""
        listed = send(self.server, "GET", f"/api/v1/runs?project_id={self.id}&limit=50")
        return [run for run in listed["runs"] if run["flow_name"] == tool]


def make_project(server: RunningServer) -> WitnessProject:
    project_id = send(server, "POST", "/api/v1/projects/", {"name": "Witness"})["id"]
    for name, seconds in ((QUICK, ()), (STEPS, (0.1, 0.1, 0.1)), (LONG, (6.0,)), (SLOW, (60.0,))):
        flow = {"name": name, "action_name": name, "mcp_enabled": True, "folder_id": project_id, "data": waiting(*seconds)}
        send(server, "POST", "/api/v1/flows/", flow)
    return WitnessProject(server, project_id)


def waiting(*seconds: float) -> dict[str, Any]:
    """A fixed text that waits several times on its way."""
    nodes = [text_input(text=TEXT)]
    edges = []
    for number, each in enumerate(seconds):
        nodes.append(node("HeadwaterTestWait", f"Wait-{number}", {"text": "", "seconds": each}))
        edges.append(edge(nodes[-2]["id"], nodes[-1]["id"], "text", output="message" if number else "text"))
    edges.append(edge(nodes[-1]["id"], "ChatOutput-out", "input_value", output="message" if seconds else "text"))
    return document([*nodes, chat_output()], edges)


def send(server: RunningServer, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    headers = {"x-api-key": server.key, "content-type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.address}{path}", content, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
