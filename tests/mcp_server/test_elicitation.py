"""Runs that ask a person, answered through MCP in every revision, or over REST."""

from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult

from mcp_server.sealed_state import CallIdentity, RequestStates
from projects.errors import InvalidInput
from storage.encryption import SecretBox
from tests.mcp_server.conftest import ERAS, Served
from tests.mcp_server.long_runs import ASKS, LONG, accept, asking, call, impatient, request

every_era = pytest.mark.parametrize("era", ERAS)


async def state_of(served: Served, run_id: str) -> str:
    run = await served.application.services.runs.get(served.application.caller, run_id)
    return run.state.value


async def first_round(served: Served, names: str = "name") -> dict[str, Any]:
    await served.add_tool("form", asking(names))
    return await call(served, "form", {"input_value": "hi"}, capabilities=ASKS)


@every_era
async def test_a_client_that_can_ask_its_person_goes_on_with_the_very_run(served: Served, era: str) -> None:
    await served.add_tool("form", asking("name,city"))
    asked: list[str] = []

    async def answer(context: Any, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"name": "Ada", "city": "Paris"})

    async with served.client(era, elicitation_callback=answer) as client:
        result = await client.call_tool("form", {"input_value": "hi"})
    assert isinstance(result, CallToolResult)
    assert asked == ["What is your name?", "What is your city?"]
    assert result.content[0].text == "hi (name: Ada, city: Paris)"  # type: ignore[union-attr]


@every_era
async def test_a_no_is_an_answer_too_and_the_run_goes_on(served: Served, era: str) -> None:
    await served.add_tool("form", asking())

    async def refuse(context: Any, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="decline")

    async with served.client(era, elicitation_callback=refuse) as client:
        result = await client.call_tool("form", {"input_value": "hi"})
    assert result.content[0].text == "hi (name: decline)"  # type: ignore[union-attr]


@every_era
async def test_a_person_who_closes_the_form_gives_the_run_up(served: Served, era: str) -> None:
    await served.add_tool("form", asking())

    async def close(context: Any, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="cancel")

    async with served.client(era, elicitation_callback=close) as client:
        result = await client.call_tool("form", {"input_value": "hi"})
    assert result.is_error
    assert "cancelled" in result.content[0].text  # type: ignore[union-attr]


@every_era
async def test_a_client_that_cannot_ask_is_told_how_to_answer_and_how_to_come_back(served: Served, era: str) -> None:
    await served.add_tool("form", asking())
    async with served.client(era) as client:
        assert "get_run" in {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("form", {"input_value": "hi"})
        assert not result.is_error
        told = result.structured_content or {}
        assert (told["state"], [question["id"] for question in told["questions"]]) == ("waiting", ["name"])
        address = f"/api/v1/runs/{told['run_id']}/answers"
        assert address in result.content[0].text  # type: ignore[union-attr]
        assert await get_run(client, told["run_id"]) == result.content[0].text  # type: ignore[union-attr]

        answered = await served.application.http.post(address, json={"answers": {"name": accept(name="Ada")}})
        assert answered.status_code < 300, answered.text
        assert await get_run(client, told["run_id"]) == "hi (name: Ada)"


async def get_run(client: Client, run_id: str) -> str:
    result = await client.call_tool("get_run", {"run_id": run_id})
    assert isinstance(result, CallToolResult)
    return str(result.content[0].text)  # type: ignore[union-attr]


async def test_a_retry_with_the_state_and_the_answers_goes_on(served: Served) -> None:
    asked = await first_round(served)
    assert (asked["resultType"], list(asked["inputRequests"])) == ("input_required", ["name"])
    assert asked["inputRequests"]["name"]["params"]["message"] == "What is your name?"
    state, answers = asked["requestState"], {"name": accept(name="Ada")}
    for _ in range(2):  # a client that lost the answer asks once more, and no second run begins
        done = await call(served, "form", {"input_value": "hi"}, capabilities=ASKS, requestState=state, inputResponses=answers)
        assert done["content"] == [{"type": "text", "text": "hi (name: Ada)"}]
    runs = await served.application.services.runs.list_runs(served.application.caller)
    assert len(runs) == 1


async def test_what_is_still_missing_is_asked_again_and_what_nobody_asked_is_ignored(served: Served) -> None:
    asked = await first_round(served, "name,city")
    state, some = asked["requestState"], {"name": accept(name="Ada"), "colour": {"data": "?"}}
    again = await call(served, "form", {"input_value": "hi"}, capabilities=ASKS, requestState=state, inputResponses=some)
    assert (again["resultType"], list(again["inputRequests"])) == ("input_required", ["city"])
    none = await call(served, "form", {"input_value": "hi"}, capabilities=ASKS, requestState=again["requestState"], inputResponses={})
    assert list(none["inputRequests"]) == ["city"]
    rest = {"city": accept(city="Paris")}
    done = await call(served, "form", {"input_value": "hi"}, capabilities=ASKS, requestState=none["requestState"], inputResponses=rest)
    assert done["content"][0]["text"] == "hi (name: Ada, city: Paris)"


async def test_a_form_can_be_filled_in_with_the_first_call(served: Served) -> None:
    await served.add_tool("form", asking())
    answers = {"name": accept(name="Ada"), "more": accept(x=1)}
    done = await call(served, "form", {"input_value": "hi"}, capabilities=ASKS, inputResponses=answers)
    assert done["content"][0]["text"] == "hi (name: Ada)"
    wrong_key = await call(served, "form", {"input_value": "hi"}, capabilities=ASKS, inputResponses={"wrong": {"data": 1}})
    assert wrong_key["resultType"] == "input_required"


@pytest.mark.parametrize(
    "responses", [{"name": 5}, {"name": {}}, {"name": {"action": "maybe"}}, {"name": accept(name=5)}, {"name": accept()}, "x"]
)
async def test_a_wrong_answer_is_a_protocol_error_and_the_run_waits_on(served: Served, responses: Any) -> None:
    asked = await first_round(served)
    params = {"name": "form", "arguments": {"input_value": "hi"}, "requestState": asked["requestState"], "inputResponses": responses}
    refused = await request(served, "tools/call", params, capabilities=ASKS)
    assert refused["error"]["code"] == -32602
    (run,) = await served.application.services.runs.list_runs(served.application.caller)
    assert run.state.value == "waiting"


async def test_a_state_is_good_for_its_own_call_only(served: Served) -> None:
    asked = await first_round(served)
    await served.add_tool("other_form", asking())
    _, second_key = await served.application.services.api_keys.create(served.application.caller, name="second")
    answers = {"name": accept(name="Ada")}
    good = {"name": "form", "arguments": {"input_value": "hi"}, "requestState": asked["requestState"], "inputResponses": answers}
    bad: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({**good, "requestState": asked["requestState"] + "-TAMPERED"}, {}),
        ({**good, "requestState": ""}, {}),
        ({**good, "requestState": "é\ud800"}, {}),
        ({**good, "arguments": {"input_value": "other"}}, {}),
        ({**good, "name": "other_form"}, {}),
        (good, {"x-api-key": second_key}),
    ]
    for params, headers in bad:
        refused = await request(served, "tools/call", dict(params), capabilities=ASKS, headers=headers)
        assert (refused["error"]["code"], "requestState" in refused["error"]["message"]) == (-32602, True), params
    (run,) = await served.application.services.runs.list_runs(served.application.caller)
    assert run.state.value == "waiting"
    done = await request(served, "tools/call", dict(good), capabilities=ASKS)
    assert done["result"]["content"][0]["text"] == "hi (name: Ada)"


async def test_a_state_that_is_too_old_says_so(tmp_path: Path) -> None:
    async with impatient(tmp_path, question_seconds=0.000_001) as served:
        asked = await first_round(served)
        params = {"name": "form", "arguments": {"input_value": "hi"}, "requestState": asked["requestState"], "inputResponses": {}}
        refused = await request(served, "tools/call", params, capabilities=ASKS)
        assert (refused["error"]["code"], "too old" in refused["error"]["message"]) == (-32602, True)


def test_a_state_opens_under_its_own_key_alone() -> None:
    call = CallIdentity("user", "key-1", "project", "form", {"a": [1, {"b": None}], "c": "x"})
    same = CallIdentity("user", "key-1", "project", "form", {"c": "x", "a": [1, {"b": None}]})
    states = RequestStates(SecretBox("one"), seconds=LONG)
    sealed = states.seal(call, "run-1")
    assert states.open(same, sealed) == "run-1"
    assert "run-1" not in sealed
    for box, text in ((SecretBox("two"), sealed), (SecretBox("one"), SecretBox("one").encrypt("[]")), (SecretBox("one"), "")):
        with pytest.raises(InvalidInput):
            RequestStates(box, seconds=LONG).open(call, text)
