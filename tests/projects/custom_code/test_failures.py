"""What is wrong with a text is told with the node's id: at import where its syntax shows it, else when it fails."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from projects.custom_code.policy import code_hash
from tests import flow_documents as flows
from tests.application import Application
from tests.code_texts import flow_around, keep, node_of, open_with_code, run, said_by

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEAD = """
from lfx.custom import Component
from lfx.io import MessageTextInput, Output
{more}

class Failing(Component):
    display_name = "Failing"
    inputs = [MessageTextInput(name="text")]
    outputs = [Output(name="out", method="fail")]

    def fail(self) -> str:
        {body}
"""


def text(body: str, more: str = "") -> str:
    return HEAD.format(body=body, more=more)


async def told_at_import(application: Application, code: str) -> dict[str, Any]:
    flow = await flow_around(application, code)
    report = (await application.http.get(f"/api/v1/flows/{flow}/report")).json()
    refused = await run(application, flow)
    (found,) = [node for node in report["nodes"] if node["id"] == "Text-n"]
    assert refused.status_code == 422 and "Text-n" in refused.text and found["reason"] in refused.json()["detail"]["message"]
    kept = await application.http.get("/api/v1/monitor/messages", params={"flow_id": flow})
    assert kept.json() == []  # nothing had started
    return dict(found)


async def test_a_failing_method_fails_its_node_in_its_own_words(running_code: Application) -> None:
    for body, said in (
        ('raise ValueError("no such thing")', "no such thing"),
        ("raise KeyError()", "KeyError"),
        ("return len(5)", "Error running method \"fail\": object of type 'int' has no len()"),
        ("raise SystemExit(3)", "The component ended itself: SystemExit."),
    ):
        answer = await run(running_code, await flow_around(running_code, text(body)))
        assert answer.status_code == 500, answer.text
        told = json.loads(answer.json()["detail"])
        assert told["message"] == f"Error running graph: Error building Component Failing: \n\n{said}", told
        assert told["component_id"] == "Text-n"


async def test_an_input_without_a_value_that_its_class_takes_fails_the_node(running_code: Application) -> None:
    code = text("return self.text", "from lfx.schema import Data").replace('name="text")]', 'name="text"), MessageTextInput(name="other")]')
    source = """
        from lfx.custom import Component
        from lfx.io import MessageTextInput, Output
        from lfx.schema import Data

        class Keyed(Component):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="out", method="make")]

            def make(self) -> Data:
                return Data(data={"title": self.text})
    """
    first, second = await node_of(running_code, source, "Keyed-k"), await node_of(running_code, code)
    flow = await keep(
        running_code,
        [flows.chat_input(), first, second, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Keyed-k", "text"),
            flows.edge("Keyed-k", "Text-n", "other", output="out"),
            flows.edge("Text-n", "ChatOutput-out", "input_value", output="out"),
        ],
    )
    answer = await run(running_code, flow)
    assert answer.status_code == 500 and "its keys are: title" in answer.text and "Text-n" in answer.text


async def test_missing_imports_are_told_at_import_by_node_and_line(running_code: Application) -> None:
    for line, said in (
        ("from lfx.no.such.place import Thing", "'lfx.no.such.place'"),
        ("from langflow.schema import NoSuchThing", "'langflow.schema' has no 'NoSuchThing'"),
        ("import a_package_that_nobody_has", "'a_package_that_nobody_has'"),
        ("from . import sibling", "relative import"),
    ):
        found = await told_at_import(running_code, text("return 'never'", line))
        assert found["status"] == "code" and "line 4" in found["reason"] and said in found["reason"], found


async def test_names_and_modules_that_clash_are_told(running_code: Application) -> None:
    clash = text("return ''").replace('name="text")]', 'name="text"), MessageTextInput(name="out")]')
    reserved = text("return ''").replace('name="text")]', 'name="text"), MessageTextInput(name="log")]')
    for code, said in ((clash, "the same names: out"), (reserved, "'log'")):
        answer = await run(running_code, await flow_around(running_code, code))
        assert answer.status_code == 500 and said in answer.text, answer.text


@pytest.mark.parametrize("mode", ["off", "trusted"])
async def test_a_text_that_nobody_allowed_is_named_and_refused_before_the_run(tmp_path: Path, mode: str) -> None:
    marker = tmp_path / "marker"
    code = text("return 'x'", f"open({str(marker)!r}, 'w')\nMARK = open({str(marker)!r}, 'w')")
    async with open_with_code(tmp_path / "data", mode) as application:
        application.services.registry.custom_code = _nothing_trusted(application)
        found = await told_at_import(application, code)
    assert found["status"] == "code" and code_hash(dedent(code)) in found["reason"]
    assert ("HEADWATER_CUSTOM_CODE" if mode == "off" else f"headwater code trust {code_hash(dedent(code))}") in found["hint"]
    assert not marker.exists()


def _nothing_trusted(application: Application) -> Any:
    return replace(application.services.registry.custom_code, is_trusted=lambda hash: False)


async def test_a_text_that_is_trusted_meanwhile_runs_without_a_new_version_of_the_flow(tmp_path: Path) -> None:
    trusted: set[str] = set()
    async with open_with_code(tmp_path / "data", "trusted") as application:
        registry = application.services.registry
        registry.custom_code = replace(registry.custom_code, is_trusted=trusted.__contains__)
        flow = await flow_around(application, text("return 'ran'"))
        assert (await run(application, flow)).status_code == 422
        trusted.add(code_hash(text("return 'ran'")))
        await application.http.post("/api/v1/variables/", json={"name": "N", "value": "1", "type": "Generic", "default_fields": []})
        assert (await run(application, flow)).status_code == 200
        trusted.clear()
        await application.http.post("/api/v1/variables/", json={"name": "M", "value": "1", "type": "Generic", "default_fields": []})
        assert (await run(application, flow)).status_code == 422


async def test_stock_nodes_stay_ours_whatever_their_text_says(running_code: Application) -> None:
    stock = dedent("""
        from lfx.components.input_output import ChatOutput as Stock


        class ChatOutput(Stock):
            pass
    """)
    output = flows.chat_output()
    output["data"]["node"]["edited"] = True
    output["data"]["node"]["template"]["code"]["value"] = stock
    entry = flows.chat_input()
    entry["data"]["node"]["template"]["code"]["value"] = "raise SystemExit('never run')"
    flow = await keep(running_code, [entry, output], [flows.edge("ChatInput-in", "ChatOutput-out", "input_value")])
    assert (await run(running_code, flow, "still ours")).json()["outputs"][0]["outputs"][0]["outputs"]["message"]["message"] == "still ours"


async def test_what_one_run_leaves_in_a_module_no_other_run_sees(running_code: Application) -> None:
    code = text("SEEN.append(self.text); return str(SEEN)", "SEEN = []")
    assert [await said_by(running_code, code, word) for word in ("a", "b")] == ["['a']", "['b']"]


async def test_nobody_without_a_credential_runs_a_text(running_code: Application) -> None:
    flow = await flow_around(running_code, text("return 'never'"))
    changed = await running_code.http.patch(f"/api/v1/flows/{flow}", json={"access_type": "PUBLIC"})
    assert changed.status_code == 200, changed.text
    headers = {"cookie": "client_id=somebody"}
    built = await running_code.nobody.post(f"/api/v1/build_public_tmp/{flow}/flow", json={"inputs": {"input_value": "x"}}, headers=headers)
    assert built.status_code >= 400 and "job_id" not in built.text, built.text
