"""Serves a project of fixtures in a process of its own and runs the suite against it, one requirement set after the other."""

import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conformance import project, suite
from tests.conformance.results import Finding, Outcome, count, read_expected, read_scenarios, summary
from tests.running_server import RunningServer, running_server

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    # The components and the content of the fixtures come in as an installed plugin.
    "PYTHONPATH": os.pathsep.join((str(ROOT / "tests" / "conformance" / "plugin"), str(ROOT))),
    # The suite sends no credentials.
    "HEADWATER_AUTO_LOGIN": "true",
    "HEADWATER_ANONYMOUS_ACCESS": "true",
    # A call that is still going on after that becomes a task; the fixtures wait a little longer than that, or not at all.
    "HEADWATER_TASK_AFTER_SECONDS": "0.3",
    # Two fixtures change the project that they are in, through the REST API.
    "HEADWATER_ALLOWED_ADDRESSES": "127.0.0.1",
}


def main() -> int:
    try:
        suite.install()
    except suite.CannotInstall as problem:
        print(f"conformance: SKIPPED, nothing was checked: {problem}.", file=sys.stderr)
        return 0
    expected, not_scored = read_expected(suite.EXPECTED), read_expected(suite.NOT_SCORED)
    outcomes = []
    is_agreed = True
    with (
        tempfile.TemporaryDirectory(prefix="headwater-conformance-") as folder,
        running_server(Path(folder) / "data", environment=ENVIRONMENT) as server,
    ):
        address = serve_fixtures(server)
        for revision in suite.REVISIONS:
            results = Path(folder) / revision
            code, printed = suite.run(address, revision, results)
            outcome = count(read_scenarios(results), expected, not_scored)
            show(revision, outcome)
            if not outcome.passed or (code and not outcome.failed and not outcome.stale):
                is_agreed = False
                print(f"The suite itself ended with {code}:\n{printed[-4_000:]}", file=sys.stderr)
            outcomes.append(outcome)
    print(summary(outcomes))
    return int(not is_agreed or any(outcome.failed or outcome.stale for outcome in outcomes))


def serve_fixtures(server: RunningServer) -> str:
    """Make the project and its flows; returns its MCP address."""
    project_id = _send(server, "POST", "/api/v1/projects/", {"name": "Conformance"})["id"]

    def add(flows: Mapping[str, project.Document]) -> dict[str, str]:
        """Name → flow id."""
        common = {"folder_id": project_id, "mcp_enabled": True}
        named = {name: {"name": name, "action_name": name, "action_description": f"{name}, as the suite has it."} for name in flows}
        return {name: _send(server, "POST", "/api/v1/flows/", common | named[name] | {"data": flows[name]})["id"] for name in flows}

    added = add(project.flows())
    add(project.triggers(f"{server.address}/api/v1/flows/{added['greet']}"))
    # The prompt of one of the flows is shown beside the plugin's.
    _send(server, "PATCH", f"/api/v1/mcp/project/{project_id}", {"settings": [], "expose_prompts": True})
    return f"{server.address}/api/v1/mcp/project/{project_id}/streamable"


def _send(server: RunningServer, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"x-api-key": server.key, "content-type": "application/json"}
    request = urllib.request.Request(f"{server.address}{path}", json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        read: dict[str, Any] = json.load(answer)
        return read


def show(revision: str, outcome: Outcome) -> None:
    print(f"{revision}: {outcome.passed} passed, {len(outcome.expected)} expected, {len(outcome.failed)} failed")
    if outcome.not_scored:
        names = ", ".join(dict.fromkeys(finding.scenario for finding in outcome.not_scored))
        print(f"  not scored by the suite, and not done ({suite.NOT_SCORED.name} says why): {names}")
    for finding in outcome.failed:
        print(f"  FAILED {_line(finding)}")
    for name in outcome.stale:
        print(f"  STALE {name}: it passes; take it out of the list")


def _line(finding: Finding) -> str:
    return f"{finding.name}: {finding.message[:400]}"


if __name__ == "__main__":
    sys.exit(main())
