"""Log lines: one each, and nothing in them to log in with."""

import json
import logging
from collections.abc import Iterator

import pytest

from mcp_server.telemetry import BLAMING, CHATTY, configure_logging, redact
from tests.mcp_server.conftest import Served

KEY = "sk-" + "a" * 43


@pytest.fixture(autouse=True)
def the_loggers_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    handlers, levels = list(root.handlers), {name: logging.getLogger(name).level for name in ("", *CHATTY, BLAMING, "uvicorn.access")}
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize(
    "text",
    [
        f"GET /x?x-api-key={KEY}&a=1",
        f"GET /x?X-API-KEY={KEY[3:]}",
        f"GET /x?a=1&x%2Dapi-key={KEY[3:]}",
        f"header {KEY}",
        "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2lnbmF0dXJl",
    ],
)
def test_keys_and_tokens_are_taken_out(text: str) -> None:
    assert KEY[3:] not in redact(text) and "c2lnbmF0dXJl" not in redact(text)


def test_ordinary_text_stays_as_it_is() -> None:
    assert redact("Flow 'risk-assessment' ran, a task-force read it") == "Flow 'risk-assessment' ran, a task-force read it"


def test_a_message_with_line_breaks_and_terminal_codes_is_one_harmless_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "text")
    logging.getLogger("flows").warning("Flow %s", "a\nERROR forged \x1b[31m line")
    written = capsys.readouterr().err
    assert written.count("\n") == 1 and "\x1b" not in written


async def test_what_a_client_sends_wrong_over_sse_is_told_to_it_and_not_to_the_log(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info", "text")
    headers = {"x-api-key": served.application.key, "content-type": "application/json"}
    async with served.http.stream("GET", served.project_address("sse"), headers=headers) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data:"):
                answer = await served.http.post(served.address + line.removeprefix("data:").strip(), content="{no json", headers=headers)
                break
    assert answer.status_code == 400
    assert "no json" not in capsys.readouterr().err


def test_json_lines_are_json_each(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    logging.getLogger("flows").error("a\nb %s", KEY)
    entry = json.loads(capsys.readouterr().err)
    assert (entry["level"], entry["logger"]) == ("error", "flows") and KEY not in entry["message"]


def test_a_stack_trace_is_redacted_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "text")
    try:
        raise ValueError(f"refused {KEY}")
    except ValueError:
        logging.getLogger("flows").exception("failed")
    written = capsys.readouterr().err
    assert KEY not in written and "ValueError" in written
