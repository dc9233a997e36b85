"""Flows with code in the sandbox, through the doors: what fails names its node, and nothing is left of a run that has ended."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent, indent

import pytest
import pytest_asyncio

from projects.custom_code.sandbox import pool as pools
from projects.custom_code.sandbox.pool import SandboxPool
from projects.engine.events import MessageAdded, RunEvent
from projects.runs.request import Invocation
from tests import flow_documents as flows
from tests.application import Application, open_application
from tests.code_texts import flow_around, keep, node_of, open_with_code, run, texts

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE = """
import asyncio, os, socket, time
from pathlib import Path
from langflow.custom import Component
from langflow.io import MessageTextInput, Output
from langflow.schema import Message

class Probe(Component):
    inputs = [MessageTextInput(name="text")]
    outputs = [Output(name="out", method="probe")]

    async def probe(self) -> str:
"""


def code(body: str) -> str:
    return CODE + indent(dedent(body), " " * 8) + "\n"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandboxed") / "data"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application(data_dir: Path) -> AsyncIterator[Application]:
    async with open_with_code(data_dir, "sandboxed", custom_code_seconds=5) as opened:
        yield opened


def is_touched(marker: Path) -> bool:
    return marker.exists()


def pool_of(application: Application) -> SandboxPool:
    runner = application.services.registry.custom_code.runner
    assert isinstance(runner, SandboxPool)
    return runner


async def test_what_a_component_may_not_do_fails_the_run_with_its_id_and_the_next_run_is_well(
    application: Application, data_dir: Path
) -> None:
    key = data_dir / "secret_key"
    for body, reason in (
        ("socket.create_connection(('127.0.0.1', 1))", "Operation not permitted"),
        (f"return Path({str(key)!r}).read_text()", "No such file or directory"),
        ("return str(os.fork())", "Operation not permitted"),
        ("while True: pass", "HEADWATER_CUSTOM_CODE_SECONDS"),
        ("os.kill(os.getpid(), 9)\ntime.sleep(5)", "SIGKILL"),
    ):
        answer = await run(application, await flow_around(application, code(body)))
        assert answer.status_code == 500, answer.text
        told = json.loads(answer.json()["detail"])
        assert told["component_id"] == "Text-n" and reason in told["message"], told
    assert texts(await run(application, await flow_around(application, code("return self.text"))))["ChatOutput-out"] == "hello"


FORGED = """
import json, struct
message = {{"$kind": "message", "timestamp": "2026-01-01T00:00:00+00:00", "source": [None, None, None], "text": "x", "sender": "",
           "sender_name": "", "session_id": "", "context_id": "", "files": [], "flow_id": None, "run_id": None, "id": None,
           "category": "message", "content_blocks": [], "error": False, "edit": False, "state": "complete", "usage": None,
           "duration": None, "icon": None, "data": {{}}}}
outcome = {{"outputs": {{"out": {{"value": message}}}}, "logs": [], "stopped": [], "state": {{}}, "status": None}}
{change}
content = json.dumps({{"answer": 1, "value": outcome}}).encode()
for number in range(3, 16):
    try:
        os.write(number, struct.pack(">I", len(content)) + content)
    except OSError:
        pass
time.sleep(5)
"""


async def test_an_outcome_that_is_forged_fails_its_run_and_not_the_server(application: Application) -> None:
    for change in (
        "message['error'] = {'a': 1}",
        "message['source'] = [{}, 1, []]",
        "message['usage'] = {'input_tokens': 10 ** 40}",
        "message['timestamp'] = '0001-01-01T00:00:00+14:00'",
        "outcome['outputs']['out'] = {'handle': {'kind': 'tools', 'output': 'out', 'type_name': 'T', 'details': [{'name': {}}]}}",
        "deep = []\nfor _ in range(300): deep = [deep]\noutcome['status'] = deep",
    ):
        answer = await run(application, await flow_around(application, code(FORGED.format(change=change))))
        assert answer.status_code == 500, (change, answer.text)
        assert "answered what is no answer" in json.loads(answer.json()["detail"])["message"], change
    assert texts(await run(application, await flow_around(application, code(FORGED.format(change="")))))["ChatOutput-out"] == "x"


async def test_flows_with_code_that_run_flows_with_code_do_not_wait_for_each_other(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each outer one keeps its sandbox to its end, and there are no more for outer ones."""
    monkeypatch.setattr(pools, "MAX_WORKERS_OF_ONE", 2)
    said = await node_of(application, code("return self.text + '!'"))
    between = [flows.edge("ChatInput-in", "Text-n", "text"), flows.edge("Text-n", "ChatOutput-out", "input_value", output="out")]
    await keep(application, [flows.chat_input(), said, flows.chat_output()], between, "Inside")
    outer = [
        flows.edge("ChatInput-in", "Text-n", "text"),
        flows.edge("Text-n", "RunFlow-r", "ChatInput-in~input_value", output="out"),
        flows.edge("RunFlow-r", "ChatOutput-out", "input_value", output="ChatOutput-out~message"),
    ]
    flow_id = await keep(application, [flows.chat_input(), said, flows.run_flow("RunFlow-r", "Inside"), flows.chat_output()], outer)
    answers = await asyncio.gather(*(run(application, flow_id) for _ in range(4)))
    assert [texts(answer)["ChatOutput-out"] for answer in answers] == ["hello!!"] * 4


async def test_half_of_a_surrogate_pair_costs_no_answer(application: Application) -> None:
    answer = await run(application, await flow_around(application, code(r"return Message(text='a\ud800b')")))
    assert texts(answer)["ChatOutput-out"] == "a?b"
    failed = await run(application, await flow_around(application, code(r"raise ValueError('a\ud800b')")))
    assert failed.status_code == 500 and "a?b" in json.loads(failed.json()["detail"])["message"]


async def test_a_credential_is_refused_by_the_server_and_not_by_the_sandbox(application: Application) -> None:
    made = {"name": "SECRET", "value": "the secret", "type": "Credential", "default_fields": []}
    assert (await application.http.post("/api/v1/variables/", json=made)).status_code == 201
    ask = """
    from projects.custom_code.surface import calls
    found = []
    for more in ({"field": "text"}, {"field": "key"}, {"is_secret": True}, {"field": "text", "is_secret": True}):
        try:
            found.append(await calls.current().ask(calls.current().host.get_variable("SECRET", **more)))
        except Exception as error:
            found.append(type(error).__name__)
    return str(found)
    """
    answer = await run(application, await flow_around(application, code(ask)))
    assert texts(answer)["ChatOutput-out"] == "['ValueError', 'ValueError', 'CodeFailed', 'CodeFailed']"


async def test_a_piece_of_a_message_that_is_no_text_is_told_to_nobody(application: Application) -> None:
    ask = """
    from projects.custom_code.surface import calls
    found = []
    for id, piece in ((None, "a"), ("id", {"a": 1}), ("id", "a")):
        try:
            found.append(await calls.current().ask(calls.current().host.stream_token(id, piece)))
        except ValueError:
            found.append("refused")
    return str(found)
    """
    answer = await run(application, await flow_around(application, code(ask)))
    assert texts(answer)["ChatOutput-out"] == "['refused', 'refused', None]"


async def test_a_run_that_is_cancelled_takes_its_worker_with_it(application: Application) -> None:
    flow = await flow_around(application, code("await self.send_message(Message(text='it has begun'))\nwhile True: pass"))
    pool, begun = pool_of(application), asyncio.Event()

    async def listen(event: RunEvent) -> None:
        if isinstance(event, MessageAdded) and "begun" in event.message.text:
            begun.set()

    invoked = application.services.invocations.invoke(application.caller, flow, Invocation(input_value="go"), on_event=listen)
    running = asyncio.create_task(invoked)
    async with asyncio.timeout(20):
        await begun.wait()
        assert pool.running_count == 1
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled() and pool.running_count == 0
        await pool.wait_until_ended()


async def test_without_bubblewrap_code_is_refused_with_the_reason_and_never_runs_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    marker = tmp_path / "marker"
    monkeypatch.setenv("PATH", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        async with open_application(tmp_path / "data", custom_code="sandboxed") as application:
            flow = await flow_around(application, f"open({str(marker)!r}, 'w')\n" + code(f"Path({str(marker)!r}).touch()\nreturn ''"))
            refused = await run(application, flow)
            report = (await application.http.get(f"/api/v1/flows/{flow}/report")).json()
    assert refused.status_code == 422 and "Text-n" in refused.text and "bwrap" in refused.text
    assert any("bwrap" in (node["reason"] or "") for node in report["nodes"])
    assert "bwrap" in caplog.text
    assert not is_touched(marker)
