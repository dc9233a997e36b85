"""What people write into texts, templates and files is never looked into, revived or executed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.application import Application

# Attributes of objects, calls, and the languages of other template engines.
PROBES = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% for c in [].__class__.__base__.__subclasses__() %}{{ c }}{% endfor %}",
    "{x.__init__.__globals__}",
    "{x.__class__.__mro__}",
    "{x[__class__]}",
    "{x!r:>{x.__class__}}",
    "{0.__class__}",
    "${x.__class__}",
    "{{#x}}{{__class__}}{{/x}}",
    "{{{x.__class__}}}",
    "{{&x.__init__}}",
    "f'{__import__(\"os\").getcwd()}'",
]
# What would tell that somebody looked inside an object.
SIGNS = ("<class", "<function", "<slot wrapper", "<method", "{'__", "builtins", "object at 0x", "/hw-")


async def answer(application: Application, data: dict[str, Any], text: str) -> Any:
    created = await application.http.post("/api/v1/flows/", json={"name": "probe", "data": data})
    assert created.status_code == 201, created.text
    return await application.http.post(f"/api/v1/run/{created.json()['id']}", json={"input_value": text})


def text_of(ran: Any) -> str:
    assert ran.status_code == 200, ran.text
    return str(ran.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"])


def templated(template: str, *, mustache: bool = False) -> dict[str, Any]:
    prompt = flows.prompt("Prompt Template-p", template, "x")
    if mustache:
        prompt["data"]["node"]["template"]["use_double_brackets"] = flows.template_field("use_double_brackets", True)
    return flows.document(
        [flows.chat_input(), prompt, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Prompt Template-p", "x"),
            flows.edge("Prompt Template-p", "ChatOutput-out", "input_value", output="prompt"),
        ],
    )


def parsed(pattern: str) -> dict[str, Any]:
    parser = flows.node(
        "ParserComponent", "ParserComponent-p", {"input_data": "", "mode": "Parser", "pattern": pattern}, outputs=("parsed_text",)
    )
    return flows.document(
        [flows.chat_input(), parser, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "ParserComponent-p", "input_data"),
            flows.edge("ParserComponent-p", "ChatOutput-out", "input_value", output="parsed_text"),
        ],
    )


async def test_a_template_reaches_no_attribute_of_what_is_filled_in(application: Application) -> None:
    for probe in PROBES:
        for data in (templated(probe), templated(probe, mustache=True), parsed(probe)):
            ran = await answer(application, data, "the value")
            assert ran.status_code in (200, 422), ran.text
            assert not [sign for sign in SIGNS if sign in ran.text], ran.text


async def test_a_template_in_a_value_is_a_text(application: Application) -> None:
    for probe in PROBES:
        assert text_of(await answer(application, templated("Say {x}"), probe)) == f"Say {probe}"


LC_OBJECTS: list[dict[str, Any]] = [
    {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]},
    {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "revived"}},
    {"__class__": "os.system", "__reduce__": ["os.system", ["true"]]},
    {"py/object": "subprocess.Popen", "py/reduce": []},
]


async def test_an_object_that_asks_to_be_revived_stays_what_it_is(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-operators-own")
    for value in LC_OBJECTS:
        await stays_data(application, value)


async def stays_data(application: Application, value: dict[str, Any]) -> None:
    given = json.dumps(value)
    # As a message, and out of the history afterwards.
    assert text_of(await answer(application, flows.echo(), given)) == given
    history = (await application.http.get("/api/v1/monitor/messages")).json()
    assert [message["text"] for message in history].count(given) == 2
    # As a record that a component reads out of the text, and out of a file.
    convert = flows.node(
        "TypeConverterComponent",
        "TypeConverterComponent-t",
        {"input_data": "", "output_type": "JSON", "auto_parse": True},
        outputs=("data_output",),
    )
    converted = flows.document(
        [flows.chat_input(), convert, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "TypeConverterComponent-t", "input_data"),
            flows.edge("TypeConverterComponent-t", "ChatOutput-out", "input_value", output="data_output"),
        ],
    )
    shown = text_of(await answer(application, converted, given))
    assert json.loads(shown.removeprefix("```json").removesuffix("```")) == value
    uploaded = await application.http.post("/api/v2/files", files={"file": ("value.json", given.encode())})
    reader = flows.node(
        "File", "File-f", {"path": {"value": "", "type": "file", "file_path": [uploaded.json()["path"]], "list": True}}, outputs=("json",)
    )
    read = flows.document([reader, flows.chat_output()], [flows.edge("File-f", "ChatOutput-out", "input_value", output="json")])
    shown = text_of(await answer(application, read, ""))
    assert json.loads(shown.removeprefix("```json").removesuffix("```")) == value
    assert "sk-the-operators-own" not in shown


CODE_TYPES = [
    "PythonREPLComponent",
    "PythonREPLTool",
    "PythonFunction",
    "Smart Transform",
    "CustomComponent",
    "CSVAgent",
    "CodeAgentComponent",
]


async def test_what_runs_code_is_refused_before_the_run_with_its_id_and_a_way_out(application: Application, tmp_path: Path) -> None:
    for type in CODE_TYPES:
        await is_refused(application, type, tmp_path / "marker")
    assert not (tmp_path / "marker").exists()
    assert (await application.http.get("/api/v1/monitor/messages")).json() == []  # not even the input was stored


async def is_refused(application: Application, type: str, marker: Path) -> None:
    node = flows.node(type, f"{type}-c", {"python_code": f"open({str(marker)!r}, 'w')", "input_value": ""}, outputs=("results",))
    data = flows.document(
        [flows.chat_input(), node, flows.chat_output()],
        [
            flows.edge("ChatInput-in", f"{type}-c", "input_value"),
            flows.edge(f"{type}-c", "ChatOutput-out", "input_value", output="results"),
        ],
    )
    ran = await answer(application, data, "print(1)")
    assert ran.status_code == 422, ran.text
    assert f"{type}-c" in ran.text
    assert any(way in ran.text for way in ("no setting allows it", "Use Agent", "HEADWATER_CUSTOM_CODE"))
