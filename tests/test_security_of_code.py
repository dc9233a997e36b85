"""Code that callers and flows bring, tried on each setting of `custom_code`: what is not trusted leaves no marker on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from projects.custom_code.policy import CustomCode
from tests import flow_documents as flows
from tests.application import Application, open_application
from tests.code_texts import flow_around, keep, node_of, run, texts

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROBE = """
from langflow.custom import Component
from langflow.io import MessageTextInput, Output

open({path!r}, "w")

def touch():
    return open({path!r}, "w").name

def decorate(method):
    touch()
    return method

class Probe(Component):
    touch()
    made = touch()
    inputs = [MessageTextInput(name="text", value=touch())]
    outputs = [Output(name="out", method="probe")]

    def __init__(self, *given, **named):
        touch()
        super().__init__(*given, **named)

    @decorate
    def probe(self, more: touch() = touch()) -> str:
        return touch()
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(CustomCode))
async def application(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Application]:
    async with open_application(tmp_path_factory.mktemp("code"), custom_code=request.param) as opened:
        policy = opened.services.registry.custom_code
        if policy.unavailable:
            pytest.skip(f"no sandbox here: {policy.unavailable}")
        yield opened


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def is_touched(marker: Path) -> bool:
    return marker.exists()


def is_sandboxed(application: Application) -> bool:
    return application.services.registry.custom_code.mode is CustomCode.SANDBOXED


async def test_code_that_is_sent_for_looking_at_is_only_parsed(application: Application, marker: Path) -> None:
    code = PROBE.format(path=str(marker))
    for address in ("/api/v1/validate/code", "/api/v1/custom_component"):
        assert (await application.nobody.post(address, json={"code": code})).status_code == 403
        assert (await application.http.post(address, json={"code": code})).status_code == 200
    body = {"code": code, "template": {"text": {"value": ""}}, "field": "text", "field_value": "x"}
    assert (await application.http.post("/api/v1/custom_component/update", json=body)).status_code == 200
    assert not is_touched(marker)


async def test_nobody_becomes_somebody_by_asking(application: Application) -> None:
    answer = await application.nobody.get("/api/v1/auto_login")
    assert answer.status_code in (400, 403, 404) and "access_token" not in answer.text and "set-cookie" not in answer.headers


async def test_a_visitor_of_a_public_flow_brings_no_code(application: Application, marker: Path) -> None:
    node = await node_of(application, PROBE.format(path=str(marker)))
    given = flows.document(
        [flows.chat_input(), node, flows.chat_output()],
        [flows.edge("ChatInput-in", "Text-n", "text"), flows.edge("Text-n", "ChatOutput-out", "input_value", output="out")],
    )
    kept = await application.http.post("/api/v1/flows/", json={"name": "open", "data": flows.echo(), "access_type": "PUBLIC"})
    assert kept.status_code == 201, kept.text
    address = f"/api/v1/build_public_tmp/{kept.json()['id']}/flow"
    answer = await application.nobody.post(
        address, json={"data": given, "inputs": {"input_value": "hi"}}, headers={"cookie": "client_id=a-visitor"}
    )
    assert answer.status_code < 500
    assert not is_touched(marker)


async def test_a_flow_with_code_is_named_in_the_report_and_runs_nowhere_but_in_a_sandbox(application: Application, marker: Path) -> None:
    flow = await flow_around(application, PROBE.format(path=str(marker)))
    report = (await application.http.get(f"/api/v1/flows/{flow}/report")).json()
    assert not is_touched(marker)  # import and report run nothing
    answer = await run(application, flow)
    if is_sandboxed(application):
        assert answer.status_code == 500 and "Text-n" in answer.text
    else:
        assert {node["id"]: node["status"] for node in report["nodes"]}["Text-n"] == "code"
        assert answer.status_code == 422 and "Text-n" in answer.text
    assert not is_touched(marker)


async def test_a_stock_node_whose_code_was_exchanged_runs_as_ours(application: Application, marker: Path) -> None:
    document = flows.echo()
    for node in document["nodes"]:
        node["data"]["node"]["template"]["code"] = {"type": "code", "value": PROBE.format(path=str(marker))}
    kept = await application.http.post("/api/v1/flows/", json={"name": "exchanged", "data": document})
    answer = await run(application, kept.json()["id"])
    assert answer.status_code == 200, answer.text
    assert not is_touched(marker)


@pytest.mark.parametrize("type", ["PythonREPLComponent", "PythonREPLTool", "PythonCodeStructuredTool", "PythonFunction", "CSVAgent"])
async def test_nodes_that_run_what_a_model_writes_are_refused_by_id(application: Application, marker: Path, type: str) -> None:
    node = flows.node(type, "Risky-1", {"python_code": f"open({str(marker)!r}, 'w')", "tool_code": f"open({str(marker)!r}, 'w')"})
    flow = await keep(application, [node, flows.chat_output()], [flows.edge("Risky-1", "ChatOutput-out", "input_value", data_type=type)])
    answer = await run(application, flow)
    assert answer.status_code == 422 and "Risky-1" in answer.text
    assert not is_touched(marker)


ESCAPES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{x.__init__.__globals__}",
    "{x!r:{x.__class__}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "${7*7} #{7*7} <%= 7*7 %>",
)


@pytest.mark.parametrize("template", ESCAPES)
async def test_a_template_reaches_no_attribute(application: Application, template: str) -> None:
    nodes = [flows.node("Prompt", "Prompt-1", {"template": template, "x": "word"}, outputs=("prompt",)), flows.chat_output()]
    answer = await run(
        application, await keep(application, nodes, [flows.edge("Prompt-1", "ChatOutput-out", "input_value", output="prompt")])
    )
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 200:
        said = texts(answer)["ChatOutput-out"]
        assert not any(word in said for word in ("<class", "<function", "builtins", "49", "module"))


@pytest.mark.parametrize(
    "value",
    [
        '{"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "id"}}',
        '{"lc": 1, "type": "secret", "id": ["PATH"]}',
    ],
)
async def test_a_text_that_looks_like_an_object_stays_a_text(application: Application, value: str) -> None:
    flow = await keep(application, [flows.chat_input(), flows.chat_output()], [flows.edge("ChatInput-in", "ChatOutput-out", "input_value")])
    assert texts(await run(application, flow, value))["ChatOutput-out"] == value


async def test_a_kept_value_that_was_exchanged_for_a_pickle_is_not_loaded(marker: Path) -> None:
    import pickle  # to make what must not be loaded

    from projects.engine import snapshot

    class Opens:
        def __reduce__(self) -> tuple[Any, ...]:
            return open, (str(marker), "w")

    made = pickle.dumps(Opens(), protocol=0).decode("latin-1")
    for text in (made, '{"$kind": "object", "class": "os.system", "value": "id"}'):
        with pytest.raises(snapshot.Unreadable):
            snapshot.value_from_text(text)
    assert not is_touched(marker)
