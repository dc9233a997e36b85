"""The examples: each is copied as an editor does it, and does what it says, with the model that the server has."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from projects import starter_flows
from projects.flows.import_report import ProblemKind
from tests.application import Application, open_application
from tests.model_server import Calls, ModelServer, Says, model_server

MODEL = "the-operators-model"


@pytest.fixture
async def models() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def application(tmp_path: Path, models: ModelServer) -> AsyncIterator[Application]:
    async with open_application(tmp_path, default_model=f"openai:{MODEL}", openai_base_url=models.address) as opened:
        yield opened


async def copy(application: Application, name: str) -> str:
    """The id of a copy of this example, made from what the server shows of it."""
    examples = (await application.nobody.get("/api/v1/flows/basic_examples/")).json()
    (example,) = [each for each in examples if each["name"] == name]
    made = await application.http.post("/api/v1/flows/", json={"name": f"My {name}", "data": example["data"]})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def ask(application: Application, flow_id: str, text: str) -> list[str]:
    """The texts of the flow's outputs."""
    answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": text, "session_id": "s"})
    assert answer.status_code == 200, answer.text
    (run,) = answer.json()["outputs"]
    return [each["results"]["message"]["text"] for each in run["outputs"] if each and each["results"]]


def said_to_the_model(models: ModelServer) -> str:
    return json.dumps(models.requests[-1].messages)


async def test_a_question_goes_to_the_model(application: Application, models: ModelServer) -> None:
    models.script(MODEL, Says("Paris."))
    assert await ask(application, await copy(application, "Chat"), "Capital of France?") == ["Paris."]
    assert "plain sentences" in said_to_the_model(models) and "Capital of France?" in said_to_the_model(models)


async def test_a_chat_tells_the_model_what_was_said_before(application: Application, models: ModelServer) -> None:
    models.script(MODEL, Says("Hello Ada."), Says("Ada."))
    flow = await copy(application, "Chat with History")
    assert await ask(application, flow, "I am Ada.") == ["Hello Ada."]
    assert await ask(application, flow, "Who am I?") == ["Ada."]
    assert "I am Ada." in said_to_the_model(models) and "Hello Ada." in said_to_the_model(models)


async def test_an_agent_uses_its_tools(application: Application, models: ModelServer) -> None:
    models.script(MODEL, Calls(("evaluate_expression", {"expression": "6*7"})), Says("It is 42."))
    assert await ask(application, await copy(application, "Agent with Tools"), "6 times 7?") == ["It is 42."]
    assert sorted(models.requests[0].tools) == ["evaluate_expression", "get_current_date"]
    assert "42" in said_to_the_model(models)


async def test_a_request_goes_down_one_branch(application: Application) -> None:
    flow = await copy(application, "Route Requests")
    assert await ask(application, flow, "I want a REFUND") == ["Refunds: please send your order number. You wrote: I want a REFUND"]
    assert await ask(application, flow, "It is broken") == ["Passed on to support: It is broken"]


@pytest.mark.parametrize(
    ("decision", "said"), [("approve", "Approved, and sent: A letter"), ("reject", "Turned down, and not sent: A letter")]
)
async def test_a_text_goes_on_when_a_person_decided(application: Application, decision: str, said: str) -> None:
    flow = await copy(application, "Ask a Person First")
    started = await application.http.post("/api/v1/runs", json={"flow": flow, "input_value": "A letter"})
    assert started.status_code == 202, started.text
    run = await outcome(application, started.json()["id"])
    (question,) = run["questions"]
    assert (run["state"], question["message"]) == ("waiting", "A letter")
    answers = {"answers": {question["id"]: {"action": "accept", "content": {"decision": decision}}}}
    assert (await application.http.post(f"/api/v1/runs/{run['id']}/answers", json=answers)).status_code == 202
    over = json.dumps(await outcome(application, run["id"]))
    assert said in over and '"state": "completed"' in over


async def test_a_loop_goes_through_the_rows(application: Application) -> None:
    flow = await copy(application, "Loop over Rows")
    assert await ask(application, flow, '[{"name": "Ada", "sum": 3}, {"name": "Bo", "sum": 4}]') == ["- Ada owes 3.\n- Bo owes 4."]
    assert await ask(application, flow, "name,sum\nAda,3\nBo,4") == ["- Ada owes 3.\n- Bo owes 4."]


async def test_a_webhook_becomes_a_message(application: Application) -> None:
    flow = await copy(application, "Webhook to Message")
    accepted = await application.http.post(f"/api/v1/webhook/{flow}", json={"event": "Build failed", "by": "CI"})
    assert accepted.status_code == 202
    assert "Build failed, reported by CI" in json.dumps(await outcome(application, accepted.json()["run_id"]))


async def outcome(application: Application, run_id: str) -> Any:
    """The run when it is over."""
    for _ in range(500):
        run = (await application.http.get(f"/api/v1/runs/{run_id}")).json()
        if run["state"] not in ("queued", "running"):
            return run
    raise AssertionError(run)


async def test_what_was_kept_is_found_and_given_to_the_model(application: Application, models: ModelServer) -> None:
    models.script(MODEL, Says("At nine."))
    await ask(application, await copy(application, "Fill a Knowledge Base"), "The office opens at nine.\nThe canteen closes at two.")
    assert await ask(application, await copy(application, "Ask a Knowledge Base"), "When does the office open?") == ["At nine."]
    assert "The office opens at nine." in said_to_the_model(models)


async def test_fields_are_picked_from_a_record(application: Application) -> None:
    flow = await copy(application, "Pick Fields")
    assert await ask(application, flow, '{"name": "Ada", "city": "Oslo", "secret": 1}') == ["Ada from Oslo"]


async def test_addresses_are_found_in_a_text(application: Application) -> None:
    text = "Write to ada@example.org, or to bo.b+x@mail.example.com."
    assert await ask(application, await copy(application, "Extract E-mail Addresses"), text) == ["ada@example.org\nbo.b+x@mail.example.com"]


async def test_a_flow_runs_in_a_flow(application: Application) -> None:
    assert await ask(application, await copy(application, "Flow in a Flow"), "6 * 7") == ["6 * 7 = 42"]


async def test_the_examples_show_the_range_and_all_of_each_can_run_here(application: Application) -> None:
    examples = starter_flows.examples()
    assert len(examples) >= 12
    used = {node["data"]["type"] for each in examples for node in json.loads(each.document or "{}")["nodes"]}
    assert {
        "LanguageModelComponent",
        "Agent",
        "ConditionalRouter",
        "HumanInput",
        "LoopComponent",
        "Webhook",
        "Knowledge",
        "RunFlow",
        "DataOperations",
    } <= used
    for example in examples:
        flow_id = await copy(application, example.name)
        report = await application.services.reports.report(application.caller, flow_id)
        assert report.missing == () and {problem.kind for problem in report.problems} <= {ProblemKind.MODEL}, example.name
        assert {edge.status.value for edge in report.edges} <= {"kept", "loop"}, example.name
        assert example.description and example.tags
