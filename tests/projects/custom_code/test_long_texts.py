"""Texts that take long to read are read elsewhere, and beyond a bound not at all: flows are compiled while everybody else waits."""

from __future__ import annotations

import ast
import json
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from projects.code_reading import syntax
from projects.components.registry import load_registry
from projects.custom_code import reading
from projects.flows.document import MAX_CODE_CHARACTERS, compile_document
from projects.flows.import_report import NodeStatus
from tests.application import Application, open_application

CLASS = "from langflow.custom import Component\n\nclass Probe(Component):\n    pass\n"


def node(id: str, code: str) -> dict[str, Any]:
    template = {"_type": "Component", "code": {"type": "code", "value": code}}
    return {"id": id, "type": "genericNode", "data": {"id": id, "type": "Probe", "node": {"template": template, "outputs": []}}}


def reasons(*codes: str) -> list[str]:
    document = {"nodes": [node(f"Probe-{number}", code) for number, code in enumerate(codes)], "edges": []}
    report = compile_document(json.dumps(document), load_registry()).report
    assert all(each.status is NodeStatus.CODE for each in report.nodes)
    return [each.reason or "" for each in report.nodes]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("said = f'" + "{a}" * 3_000 + "'", 5),
        ("said = f'' rF'''\n" + "{a}\n" * 3_000 + "'''", 5),
        ("\nsaid = f'" + "{a}\\\n" * 3_000 + "'", 6),
    ],
)
def test_an_f_string_of_very_many_fields_is_named_by_its_line(text: str, line: int) -> None:
    (reason,) = reasons(CLASS + text)
    assert f"line {line}: an f-string has more than 2,000 fields" in reason


@pytest.mark.parametrize(
    "text", ["rows = [" + "{'a': 1}, " * 3_000 + "]", "said = f'{a}'\n" * 3_000, "said = '''" + "{a}\n" * 3_000 + "'''"]
)
def test_other_braces_are_no_fields(text: str) -> None:
    assert syntax.parse(text).body
    (reason,) = reasons(CLASS + text)
    assert "cannot be read" not in reason


def test_of_very_many_missing_imports_the_first_are_told() -> None:
    (reason,) = reasons(CLASS + "\n".join(f"import missing_{number}" for number in range(5_000)))
    assert "line 5: No module named 'missing_0' is installed here" in reason and reason.endswith("… and 95 more.")


def test_what_is_beyond_a_flows_share_of_code_is_not_read() -> None:
    code = CLASS + "# " + "x" * 150_000
    count = MAX_CODE_CHARACTERS // len(code)
    told = reasons(*[f"{code}{number}" for number in range(count + 1)])
    assert not any("what is beyond that is not read" in reason for reason in told[:count])
    assert "1,000,000 characters of code" in told[count]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Application]:
    async with open_application(tmp_path_factory.mktemp("long") / "data") as opened:
        yield opened


def long_text(salt: str) -> str:
    rows = f"{salt} = [1, 2, {{'x': 1}}, b.c.d(e, f=1)]\n"
    return "import nowhere_at_all\n" + CLASS + rows * (syntax.MAX_CODE_LENGTH // len(rows) - 10)


@pytest.fixture
def parsed_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that this process parses."""
    found: list[str] = []
    parse = syntax.parse

    def told(code: str) -> ast.Module:
        found.append(code)
        return parse(code)

    monkeypatch.setattr(syntax, "parse", told)
    return found


async def looked_at(application: Application, *codes: str) -> list[str]:
    """What each door that reads code tells of these texts."""
    post = application.http.post
    told = [(await post("/api/v1/validate/code", json={"code": code})).text for code in codes]
    told += [(await post("/api/v1/custom_component", json={"code": code})).json()["type"] for code in codes]
    body = {"template": {}, "field": "x", "field_value": 1}
    told += [(await post("/api/v1/custom_component/update", json={"code": code, **body})).json()["display_name"] for code in codes]
    document = {"nodes": [node(f"Probe-{number}", code) for number, code in enumerate(codes)], "edges": []}
    kept = await post("/api/v1/flows/", json={"name": f"long {codes[0][-20:]}", "data": document})
    assert kept.status_code == 201, kept.text
    flow = kept.json()["id"]
    report = (await application.http.get(f"/api/v1/flows/{flow}/report")).json()
    told += [each["reason"] for each in report["nodes"]]
    run = await post(f"/api/v1/run/{flow}", json={"input_value": "x"})
    build = await post(f"/api/v1/build/{flow}/flow", params={"event_delivery": "direct"}, json={"data": document})
    assert run.status_code < 500 and build.status_code < 500
    return told


@pytest.mark.asyncio(loop_scope="module")
async def test_long_texts_are_parsed_in_another_process_whichever_door_they_come_through(
    application: Application, parsed_here: list[str]
) -> None:
    told = await looked_at(application, long_text("one"), long_text("two"))
    assert parsed_here == []
    assert told[2:6] == ["Probe"] * 4
    assert all("No module named 'nowhere_at_all'" in each for each in (*told[:2], *told[6:]))


@pytest.mark.asyncio(loop_scope="module")
async def test_a_short_text_is_parsed_once_for_all_who_ask(application: Application, parsed_here: list[str]) -> None:
    await looked_at(application, "import nowhere_at_all\n" + CLASS)
    assert parsed_here == ["import nowhere_at_all\n" + CLASS]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_text_that_ends_the_process_that_reads_it_is_told_and_not_read_here(
    application: Application, parsed_here: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    answer = await application.http.post("/api/v1/validate/code", json={"code": long_text("three")})
    assert answer.json()["function"]["errors"] == ["line 1: the process that read the code ended, or was ended after its time"]
    assert parsed_here == [] and "ended, or was ended after its time" in caplog.text


@pytest.mark.asyncio(loop_scope="module")
async def test_a_text_that_takes_too_long_to_read_is_told_and_not_read_here(
    application: Application, parsed_here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "READING_SECONDS", 0.0)
    answer = await application.http.post("/api/v1/validate/code", json={"code": long_text("slow")})
    assert answer.json()["function"]["errors"] == ["line 1: the process that read the code ended, or was ended after its time"]
    assert parsed_here == []


async def test_a_text_is_not_blamed_for_the_end_of_a_process_that_read_others_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, codes = tmp_path / "python", [long_text("five"), long_text("six"), long_text("seven")]
    python.write_text(f'#!/bin/sh\n"{sys.executable}" "$@" | head -n 1\n')  # each process comes no further than its first text
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    await reading.read_ahead(codes)
    assert [reading.read(code).component.type for code in codes] == ["Probe"] * 3


@pytest.mark.asyncio(loop_scope="module")
async def test_where_no_process_can_be_started_long_texts_are_read_all_the_same(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    answer = await application.http.post("/api/v1/custom_component", json={"code": long_text("four")})
    assert answer.json()["type"] == "Probe" and "no process can be started" in caplog.text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("many", ["'o', " * 5_000, f"'{'o' * 5_000}'"])
async def test_a_short_text_makes_no_large_node(application: Application, many: str) -> None:
    fields = "MessageTextInput(name='a', options=[" + "every, " * 5_000 + "])"
    code = f"from langflow.custom import Component\nevery = [{many}]\nclass Probe(Component):\n    inputs = [{fields}]\n"
    answer = await application.http.post("/api/v1/custom_component", json={"code": code})
    assert answer.status_code == 400
    assert "line 3: the fields and outputs of this class hold more than 20,000 values" in answer.json()["detail"]["error"]


@pytest.mark.asyncio(loop_scope="module")
async def test_code_that_is_too_long_is_named_by_its_length(application: Application) -> None:
    code = CLASS + "#" * 300_000
    answer = await application.http.post("/api/v1/custom_component", json={"code": code})
    assert answer.status_code == 400 and "at most 200,000 are read" in answer.json()["detail"]["error"]
    (reason,) = reasons(code)
    assert "at most 200,000 are read" in reason
