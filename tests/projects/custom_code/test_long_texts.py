"""Texts that would take long to read are not read: flows are compiled while everybody else waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from projects.code_reading import syntax
from projects.components.registry import load_registry
from projects.flows.document import MAX_CODE_CHARACTERS, compile_document
from projects.flows.import_report import NodeStatus

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
