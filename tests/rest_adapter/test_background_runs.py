"""Runs in the background, runs that wait for a person, and looking at both, through the real application."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from projects.access.caller import Caller
from projects.engine.questions import Answer
from projects.errors import Conflict
from projects.invocation import Invocation
from tests import flow_documents as flows
from tests.application import Application

MISSING = "00000000-0000-7000-8000-000000000000"


def human_input(id: str = "HumanInput-h", *, decisions: tuple[str, ...] = ("Approve", "Reject"), **fields: Any) -> dict[str, Any]:
    made = flows.node(
        "HumanInput",
        id,
        {"prompt": "Shall it go out?", "decisions": {"value": list(decisions), "type": "picks"}, **fields},
        outputs=(*(f"branch_{decision.lower().replace(' ', '_')}" for decision in decisions), "branch_fallback"),
        display_name="Human Input",
    )
    for output in made["data"]["node"]["outputs"]:
        output["method"] = "route_branch"
    return made


def asking(**fields: Any) -> dict[str, Any]:
    """Chat input → what a person is asked → one of two outputs; the count beside it tells how often it ran."""
    return flows.document(
        [
            flows.chat_input(),
            flows.node("HeadwaterTestCount", "HeadwaterTestCount-c", {"text": ""}),
            human_input(**fields),
            flows.chat_output("ChatOutput-yes"),
            flows.chat_output("ChatOutput-no"),
            flows.text_output(),
        ],
        [
            flows.edge("ChatInput-in", "HumanInput-h", "prompt"),
            flows.edge("ChatInput-in", "HeadwaterTestCount-c", "text"),
            flows.edge("HeadwaterTestCount-c", "TextOutput-out", "input_value"),
            flows.edge("HumanInput-h", "ChatOutput-yes", "input_value", output="branch_approve"),
            flows.edge("HumanInput-h", "ChatOutput-no", "input_value", output="branch_reject"),
        ],
    )


async def make(application: Application, data: dict[str, Any], **further: Any) -> str:
    created = await application.http.post("/api/v1/flows/", json={"name": "made for a test", "data": data, **further})
    assert created.status_code == 201, created.text
    return str(created.json()["id"])


async def begin(application: Application, flow_id: str, **further: Any) -> dict[str, Any]:
    """Start it in the background and wait until it waits or has ended."""
    started = await application.http.post("/api/v1/runs", json={"flow": flow_id, "input_value": "a letter", **further})
    assert started.status_code == 202, started.text
    return await settled(application, started.json()["id"])


async def settled(application: Application, run_id: str) -> dict[str, Any]:
    await application.services.invocations.wait_until_idle()
    found = await application.http.get(f"/api/v1/runs/{run_id}")
    assert found.status_code == 200, found.text
    return dict(found.json())


async def answer(application: Application, run_id: str, given: Mapping[str, Any]) -> Any:
    return await application.http.post(f"/api/v1/runs/{run_id}/answers", json={"answers": given})


def deciding(decision: str) -> dict[str, Any]:
    return {"action": "accept", "content": {"decision": decision}}


async def messages(application: Application, flow_id: str) -> list[tuple[str, str]]:
    found = (await application.http.get("/api/v1/monitor/messages", params={"flow_id": flow_id})).json()
    return [(message["sender"], message["text"]) for message in found]


async def test_a_run_waits_for_a_person_and_goes_on_down_the_branch_that_was_chosen(application: Application) -> None:
    flow_id = await make(application, asking())
    waiting = await begin(application, flow_id, output_type="any")
    assert (waiting["state"], waiting["kind"], waiting["finished_at"]) == ("waiting", "background", None)
    (question,) = waiting["questions"]
    assert (question["id"], question["kind"], question["message"]) == ("HumanInput-h", "human_input", "a letter")
    assert question["schema"]["properties"]["decision"]["enum"] == ["approve", "reject"]
    assert waiting["result"] == {"outputs": {"TextOutput-out": {"text": "1"}}}
    assert await messages(application, flow_id) == [("User", "a letter")]

    accepted = await answer(application, waiting["id"], {"HumanInput-h": deciding("reject")})
    assert accepted.status_code == 202, accepted.text
    ended = await settled(application, waiting["id"])
    assert (ended["state"], ended["attempt"], ended["questions"]) == ("completed", 2, [])
    assert "ChatOutput-no" in ended["result"]["outputs"] and "ChatOutput-yes" not in ended["result"]["outputs"]
    assert await messages(application, flow_id) == [("User", "a letter"), ("Machine", "a letter")]
    # What had finished before was not run again.
    ran = [vertex["vertex_id"] for vertex in ended["vertices"]]
    assert sorted(ran) == ["ChatInput-in", "ChatOutput-no", "HeadwaterTestCount-c", "HumanInput-h", "TextOutput-out"]


async def test_a_plain_run_that_waits_answers_400_and_says_how_to_go_on(application: Application) -> None:
    flow_id = await make(application, asking())
    refused = await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "a letter"})
    assert refused.status_code == 400
    detail = refused.json()["detail"]
    assert detail["code"] == "INPUT_REQUIRED" and f"/api/v1/runs/{detail['run_id']}/answers" in detail["message"]
    assert refused.headers["x-headwater-run-id"] == detail["run_id"]
    assert [question["id"] for question in detail["questions"]] == ["HumanInput-h"]
    assert (await answer(application, detail["run_id"], {"HumanInput-h": deciding("approve")})).status_code == 202
    assert "ChatOutput-yes" in (await settled(application, detail["run_id"]))["result"]["outputs"]


async def test_a_webhook_run_waits_too(application: Application) -> None:
    data = flows.document(
        [flows.node("Webhook", "Webhook-w", {"data": ""}, outputs=("output_data",)), human_input(), flows.chat_output()],
        [
            flows.edge("Webhook-w", "HumanInput-h", "prompt", output="output_data"),
            flows.edge("HumanInput-h", "ChatOutput-out", "input_value", output="branch_approve"),
        ],
    )
    flow_id = await make(application, data)
    accepted = await application.http.post(f"/api/v1/webhook/{flow_id}", json={"text": "order 7"})
    run = await settled(application, accepted.json()["run_id"])
    assert (run["state"], run["kind"]) == ("waiting", "webhook")
    assert (await answer(application, run["id"], {"HumanInput-h": deciding("approve")})).status_code == 202
    assert (await settled(application, run["id"]))["state"] == "completed"


async def test_the_answer_to_a_start_is_the_run_as_it_was_kept_with_its_warnings(application: Application) -> None:
    flow_id = await make(application, asking())
    body = {"flow": flow_id, "input_value": "hi", "tweaks": {"Nobody": {"text": "x"}}}
    started = await application.http.post("/api/v1/runs", json=body)
    told = started.json()
    assert started.status_code == 202
    assert (told["state"], told["flow_id"], told["flow_name"], told["attempt"]) == ("running", flow_id, "made for a test", 1)
    assert told["started_at"] == told["created_at"] and told["finished_at"] is None and told["vertices"] == []
    assert any("Nobody" in warning for warning in told["warnings"])
    read = (await application.http.get(f"/api/v1/runs/{told['id']}")).json()
    may_change = ("state", "finished_at", "questions", "vertices", "warnings", "result")
    assert {name: value for name, value in read.items() if name not in may_change} == {
        name: value for name, value in told.items() if name not in may_change
    }


async def test_a_key_that_was_used_is_answered_with_its_run_as_it_is_now(application: Application) -> None:
    flow_id = await make(
        application,
        flows.document([flows.chat_input(), flows.chat_output()], [flows.edge("ChatInput-in", "ChatOutput-out", "input_value")]),
    )
    key = {"Idempotency-Key": "the-same"}
    body = {"flow": flow_id, "input_value": "hi"}
    first = (await application.http.post("/api/v1/runs", json=body, headers=key)).json()
    await settled(application, first["id"])
    again = (await application.http.post("/api/v1/runs", json=body, headers=key)).json()
    assert (again["id"], again["state"]) == (first["id"], "completed") and again["result"]["outputs"] and again["vertices"]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"HumanInput-h": deciding("maybe")}, ["body", "answers", "HumanInput-h", "content", "decision"]),
        ({"HumanInput-h": {"action": "accept"}}, ["body", "answers", "HumanInput-h", "content", "decision"]),
        ({"HumanInput-h": {"action": "accept", "content": {"decision": 1}}}, ["body", "answers", "HumanInput-h", "content", "decision"]),
        (
            {"HumanInput-h": {"action": "accept", "content": {"decision": "approve", "more": 1}}},
            ["body", "answers", "HumanInput-h", "content", "more"],
        ),
        ({"HumanInput-h": {"action": "decline", "content": {"decision": "approve"}}}, ["body", "answers", "HumanInput-h", "content"]),
        ({"HumanInput-h": {"action": "perhaps"}}, ["body", "answers", "HumanInput-h", "action"]),
        ({}, ["body", "answers"]),
    ],
)
async def test_an_answer_that_does_not_fit_is_refused_and_the_run_still_waits(
    application: Application, given: dict[str, Any], place: list[str]
) -> None:
    waiting = await begin(application, await make(application, asking()))
    refused = await answer(application, waiting["id"], given)
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == place
    assert (await settled(application, waiting["id"]))["state"] == "waiting"


async def test_an_answer_to_no_question_of_the_run_names_those_there_are(application: Application) -> None:
    waiting = await begin(application, await make(application, asking()))
    refused = await answer(application, waiting["id"], {"HumanInput-x": deciding("approve")})
    assert refused.status_code == 422 and "HumanInput-h" in refused.json()["detail"]


async def test_a_run_that_does_not_wait_cannot_be_answered(application: Application) -> None:
    ended = await begin(application, await make(application, flows.echo()))
    assert ended["state"] == "completed"
    assert (await answer(application, ended["id"], {"HumanInput-h": deciding("approve")})).status_code == 409


async def test_of_two_answers_at_once_one_counts_and_the_other_is_a_conflict(application: Application) -> None:
    flow_id = await make(application, asking())
    waiting = await begin(application, flow_id)
    outcomes = await asyncio.gather(
        *(
            application.services.invocations.answer(
                application.caller, waiting["id"], {"HumanInput-h": Answer("accept", {"decision": decision})}
            )
            for decision in ("approve", "reject", "approve", "reject")
        ),
        return_exceptions=True,
    )
    conflicts = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert len(conflicts) == 3
    (handle,) = (outcome for outcome in outcomes if not isinstance(outcome, BaseException))
    ended = await handle.wait()
    assert ended is not None and ended.state == "completed"
    assert len(await messages(application, flow_id)) == 2


async def test_another_persons_run_is_a_missing_one(application: Application) -> None:
    waiting = await begin(application, await make(application, asking()))
    for run_id in (waiting["id"], MISSING):
        assert (await application.stranger.get(f"/api/v1/runs/{run_id}")).status_code == 404
        assert (await application.stranger.post(f"/api/v1/runs/{run_id}/cancel")).status_code == 404
        given = {"answers": {"HumanInput-h": deciding("approve")}}
        assert (await application.stranger.post(f"/api/v1/runs/{run_id}/answers", json=given)).status_code == 404
    assert (await application.stranger.get("/api/v1/runs")).json() == {"runs": [], "next_before": None}
    started = await application.stranger.post("/api/v1/runs", json={"flow": waiting["flow_id"]})
    assert started.status_code == 404
    assert (await application.nobody.get("/api/v1/runs")).status_code == 403
    assert (await settled(application, waiting["id"]))["state"] == "waiting"


async def test_a_cancelled_waiting_run_stays_cancelled(application: Application) -> None:
    waiting = await begin(application, await make(application, asking()))
    assert (await application.http.post(f"/api/v1/runs/{waiting['id']}/cancel")).status_code == 202
    ended = await settled(application, waiting["id"])
    assert (ended["state"], ended["error"]["code"], ended["questions"]) == ("cancelled", "run_cancelled", [])
    assert (await answer(application, waiting["id"], {"HumanInput-h": deciding("approve")})).status_code == 409
    assert (await application.http.post(f"/api/v1/runs/{waiting['id']}/cancel")).status_code == 404
    assert (await settled(application, waiting["id"]))["state"] == "cancelled"


async def test_an_answer_may_give_the_run_up(application: Application) -> None:
    waiting = await begin(application, await make(application, asking()))
    assert (await answer(application, waiting["id"], {"HumanInput-h": {"action": "cancel"}})).status_code == 202
    assert (await settled(application, waiting["id"]))["state"] == "cancelled"


async def test_declining_takes_the_fallback_or_fails_without_one(application: Application) -> None:
    data = asking()
    waiting = await begin(application, await make(application, data))
    await answer(application, waiting["id"], {"HumanInput-h": {"action": "decline"}})
    failed = await settled(application, waiting["id"])
    assert failed["state"] == "failed" and "declined" in failed["error"]["message"]

    data = asking(enable_fallback=True)
    data["nodes"].append(flows.chat_output("ChatOutput-else"))
    data["edges"].append(flows.edge("HumanInput-h", "ChatOutput-else", "input_value", output="branch_fallback"))
    waiting = await begin(application, await make(application, data))
    await answer(application, waiting["id"], {"HumanInput-h": {"action": "decline"}})
    ended = await settled(application, waiting["id"])
    assert ended["state"] == "completed"
    assert [id for id in ended["result"]["outputs"] if id.startswith("ChatOutput")] == ["ChatOutput-else"]


async def test_a_flow_that_was_changed_meanwhile_has_to_be_started_anew(application: Application) -> None:
    flow_id = await make(application, asking())
    waiting = await begin(application, flow_id)
    await application.http.patch(f"/api/v1/flows/{flow_id}", json={"data": asking(prompt="Other words")})
    refused = await answer(application, waiting["id"], {"HumanInput-h": deciding("approve")})
    assert refused.status_code == 409 and "anew" in refused.json()["detail"]
    assert (await settled(application, waiting["id"]))["state"] == "waiting"
    assert (await application.http.post(f"/api/v1/runs/{waiting['id']}/cancel")).status_code == 202


async def test_two_questions_side_by_side_are_answered_one_after_the_other(application: Application) -> None:
    data = flows.document(
        [
            flows.chat_input(),
            human_input("HumanInput-a"),
            human_input("HumanInput-b"),
            flows.chat_output("ChatOutput-a"),
            flows.chat_output("ChatOutput-b"),
        ],
        [
            flows.edge("ChatInput-in", "HumanInput-a", "prompt"),
            flows.edge("ChatInput-in", "HumanInput-b", "prompt"),
            flows.edge("HumanInput-a", "ChatOutput-a", "input_value", output="branch_approve"),
            flows.edge("HumanInput-b", "ChatOutput-b", "input_value", output="branch_reject"),
        ],
    )
    waiting = await begin(application, await make(application, data))
    assert [question["id"] for question in waiting["questions"]] == ["HumanInput-a", "HumanInput-b"]
    assert (await answer(application, waiting["id"], {"HumanInput-b": deciding("approve")})).status_code == 202
    half = await settled(application, waiting["id"])
    assert (half["state"], [question["id"] for question in half["questions"]]) == ("waiting", ["HumanInput-a"])
    assert (await answer(application, waiting["id"], {"HumanInput-b": deciding("reject")})).status_code == 409
    assert (await answer(application, waiting["id"], {"HumanInput-a": deciding("approve")})).status_code == 202
    ended = await settled(application, waiting["id"])
    assert (ended["state"], list(ended["result"]["outputs"])) == ("completed", ["ChatOutput-a"])


async def test_runs_are_listed_newest_first_page_by_page_and_filtered(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    ids = [(await begin(application, flow_id, session_id=f"s{number}"))["id"] for number in range(5)]
    seen: list[str] = []
    before: dict[str, str] = {}
    for _ in range(len(ids)):
        page = (await application.http.get("/api/v1/runs", params={"limit": 2, **before})).json()
        seen += [run["id"] for run in page["runs"]]
        if page["next_before"] is None:
            break
        before = {"before": page["next_before"]}
    assert seen == ids[::-1]
    filtered = (await application.http.get("/api/v1/runs", params={"session_id": "s3", "state": "completed", "flow_id": flow_id})).json()
    assert [run["id"] for run in filtered["runs"]] == [ids[3]]
    assert filtered["runs"][0]["flow_name"] == "made for a test"
    for nothing in ({"flow_id": MISSING}, {"kind": "tool"}, {"state": "waiting"}):
        assert (await application.http.get("/api/v1/runs", params=nothing)).json()["runs"] == []
    odd: tuple[dict[str, Any], ...] = (
        *({"limit": 0}, {"limit": 500}, {"limit": "x"}, {"state": "odd"}, {"kind": "odd"}, {"before": MISSING}, {"before": "x"}),
        *({"flow_id": "x"}, {"project_id": "x"}),
    )
    for wrong in odd:
        assert (await application.http.get("/api/v1/runs", params=wrong)).status_code == 422, wrong


async def test_a_run_that_goes_on_here_is_seen_before_it_is_written(application: Application) -> None:
    flow_id = await make(
        application,
        flows.document(
            [
                flows.chat_input(),
                flows.node("HeadwaterTestWait", "HeadwaterTestWait-w", {"text": "", "seconds": 60.0}),
                flows.chat_output(),
            ],
            [flows.edge("ChatInput-in", "HeadwaterTestWait-w", "text"), flows.edge("HeadwaterTestWait-w", "ChatOutput-out", "input_value")],
        ),
    )
    prepared = await application.services.prepared_flows.resolve(application.caller.user_id, flow_id)
    handle = await application.services.invocations.open(application.caller, prepared, Invocation(input_value="x"))
    await asyncio.sleep(0)
    found = await application.services.runs.get(application.caller, handle.run_id)
    assert (found.state, found.flow_name) == ("running", "made for a test")
    assert [run.id for run in await application.services.runs.list_runs(application.caller)] == [handle.run_id]
    stranger = Caller("0" * 36, "x", False, application.caller.via)
    assert await application.services.runs.list_runs(stranger) == []
    await application.services.invocations.cancel(application.caller, handle.run_id)
    await application.services.invocations.wait_until_idle()
    assert (await application.services.runs.get(application.caller, handle.run_id)).state == "cancelled"


async def test_the_depth_that_a_request_tells_counts_for_plain_runs_too(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    deep = await application.http.post(f"/api/v1/run/{flow_id}", json={}, headers={"x-headwater-depth": "8"})
    assert deep.status_code == 422 and "deep" in deep.text
    assert (await application.http.post(f"/api/v1/run/{flow_id}", json={}, headers={"x-headwater-depth": "7"})).status_code == 200
