"""Requests made up from the OpenAPI document: whatever is sent, the answer's status is documented, and none says that we failed.

This is the short form; for the long one set GENERATED_CASES to the number of cases for each operation.
"""

import os
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from pydantic_core import from_json
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import status_code_conformance

from tests.running_server import RunningServer, running_server

CASES = int(os.environ.get("GENERATED_CASES", "4"))
# A failing component answers 500, and logs that the server does not keep answer 501, as documented.
MAY_FAIL = {"/api/v1/run/{flow_id_or_name}", "/logs", "/logs-stream"}
SECONDS_A_REQUEST = 20
STREAMS = {"text/event-stream", "application/x-ndjson"}
CREDENTIALS = frozenset(("x-api-key", "authorization", "cookie", "access_token_lf", "refresh_token_lf"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.mark.timeout(max(120, 60 * CASES))
def test_no_generated_request_gets_an_undocumented_answer(server: RunningServer, subtests: pytest.Subtests) -> None:
    with urllib.request.urlopen(f"{server.address}/openapi.json", timeout=SECONDS_A_REQUEST) as answer:
        schema = schemathesis.openapi.from_dict(from_json(answer.read()))
    with requests.Session() as session:
        for result in schema.get_all_operations():
            assert isinstance(result, Ok)
            operation = result.ok()
            if streams(operation.definition.raw):
                continue
            checks: list[CheckFunction] = [status_code_conformance]
            if operation.path not in MAY_FAIL:
                checks.append(not_a_server_error)
            with subtests.test(f"{operation.method} {operation.path}"):
                send_some(operation, server, checks, session)


def streams(operation: dict[str, Any]) -> bool:
    """Whether its good answer goes on for as long as somebody listens; what also has a plain answer is asked for that one."""
    good = set(operation["responses"][min(operation["responses"])].get("content", {}))
    return bool(good) and good <= STREAMS


def send_some(operation: Any, server: RunningServer, checks: list[CheckFunction], session: requests.Session) -> None:
    """Each request without credentials and with a key; making one up takes longer than answering it."""

    @seed(7)
    @settings(max_examples=CASES, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(
        case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE) | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    )
    def send(case: Any) -> None:
        # What was made up as a credential is no credential here; what is sent is ours or none.
        for part in (case.headers, case.query, case.cookies):
            for name in [name for name in part or () if name.lower() in CREDENTIALS]:
                del part[name]
        for part in (case.query, case.body):
            if isinstance(part, dict):
                part.pop("stream", None)
        for headers in ({}, {"x-api-key": server.key}):
            session.cookies.clear()
            response = case.call(
                base_url=server.address, session=session, headers=headers, timeout=SECONDS_A_REQUEST, allow_redirects=False
            )
            case.validate_response(response, checks=checks)

    send()
