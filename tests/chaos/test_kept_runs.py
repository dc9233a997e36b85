"""What was accepted is kept: through kill -9, through a lost answer, and through an orderly stop. R1, R2 and R3."""

import json
import random
import socket
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests import flow_documents as flows
from tests.chaos.hardship import Place, three_steps, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

STEPS = ["HeadwaterTestEffect-a", "HeadwaterTestEffect-b", "HeadwaterTestEffect-c"]


def repeated_although_finished(effects: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """A step that begins again after a later one of its run has begun: it had finished by then."""
    furthest: dict[str, int] = defaultdict(int)
    wrong = []
    for run_id, vertex in effects:
        number = STEPS.index(vertex)
        if number < furthest[run_id]:
            wrong.append((run_id, vertex))
        furthest[run_id] = max(furthest[run_id], number)
    return wrong


def test_every_accepted_run_outlives_kill_9_and_ends_once(place: Place, many: int) -> None:
    """R1: 100 runs, 20 kills at random moments."""
    chance = random.Random(1)
    kills = many // 5
    place.environment |= {"HEADWATER_BACKGROUND_RUNS": "4", "HEADWATER_MAX_RUN_ATTEMPTS": "1000"}
    server = place.serve()
    flow_id = place.make_flow("steps", three_steps(), endpoint_name="steps")
    accepted: list[str] = []
    final: dict[str, str] = {}
    for _ in range(kills):
        with place.http() as http:
            for number in range(many // kills):
                answer = http.post("/api/v1/runs", json={"flow": flow_id, "input_value": f"run {number}"})
                assert answer.status_code == 202, answer.text
                accepted.append(answer.json()["id"])
            time.sleep(chance.uniform(0, 0.5))
        server.kill()
        server = place.serve()
        for run_id, state in place.states(accepted).items():
            if run_id in final:
                assert state == final[run_id]
            elif state == "completed":
                final[run_id] = state
            else:
                assert state in ("queued", "running"), state
    assert set(place.wait_until_over(accepted, seconds=120).values()) == {"completed"}
    effects = place.effects
    assert repeated_although_finished(effects) == []
    assert {run_id for run_id, _ in effects} == set(accepted)
    again = [pair for pair in set(effects) if effects.count(pair) > 1]
    with place.http() as http:
        for run_id, vertex in again:
            run = http.get(f"/api/v1/runs/{run_id}").json()
            assert run["attempt"] > 1
            assert any(vertex in warning for warning in run["warnings"]), (vertex, run["warnings"])
    print(f"{len(accepted)} runs, {kills} kills, {len(again)} steps cut off and run again")


def test_a_request_whose_answer_was_lost_gets_the_same_run(place: Place, many: int) -> None:
    """R2: the answer is never read, and the server is killed: after the commit, and at random moments around it."""
    chance = random.Random(3)
    place.environment |= {"HEADWATER_MAX_RUN_ATTEMPTS": "1000"}
    server = place.serve()
    flow_id = place.make_flow("steps", three_steps(0.05), endpoint_name="steps")
    keys = [f"key-{number}" for number in range(max(2, many // 10))]
    for number, key in enumerate(keys):
        before = len(place.effects)
        with deaf_client(place, "/api/v1/run/steps", {"input_value": "once"}, key):
            if number:
                time.sleep(chance.uniform(0, 0.3))
            else:
                wait_for(lambda before=before: len(place.effects) == before + 3 and _all_over(place), what="the run to be kept as ended")  # type: ignore[misc]
            server.kill()
        server = place.serve()
        answers = []
        for _ in range(2):
            with place.http() as http:
                answer = wait_for(lambda http=http, key=key: _answered(http, key), what="the answer")  # type: ignore[misc]
            answers.append((answer.headers["x-headwater-run-id"], answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"]))
        assert answers[0] == answers[1] and answers[0][1] == "once"
    with place.http() as http:
        runs = http.get("/api/v1/runs", params={"flow_id": flow_id, "limit": 200}).json()["runs"]
    assert len(runs) == len(keys)
    assert repeated_although_finished(place.effects) == []
    print(f"{len(keys)} lost answers, {len(runs)} runs, {len(place.effects) - 3 * len(keys)} steps cut off and run again")


@contextmanager
def deaf_client(place: Place, path: str, body: dict[str, Any], key: str) -> Iterator[None]:
    """A request whose answer nobody reads."""
    text = json.dumps(body)
    head = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", f"x-api-key: {place.key}", f"idempotency-key: {key}"]
    head += ["content-type: application/json", f"content-length: {len(text)}", "", text]
    with socket.create_connection(("127.0.0.1", place.port), timeout=10) as connection:
        connection.sendall("\r\n".join(head).encode())
        yield


def _all_over(place: Place) -> bool:
    with place.http() as http:
        runs = http.get("/api/v1/runs").json()["runs"]
    return bool(runs) and all(run["state"] == "completed" for run in runs)


def _answered(http: httpx.Client, key: str) -> httpx.Response | None:
    """None while the run that the lost request began is still going on."""
    answer = http.post("/api/v1/run/steps", json={"input_value": "once"}, headers={"Idempotency-Key": key})
    assert answer.status_code in (200, 409), answer.text
    if answer.status_code == 409:
        assert "still going on" in answer.text, answer.text
        return None
    return answer


def test_a_message_of_a_step_that_was_cut_off_is_stored_once(place: Place) -> None:
    """The step stores its message, one beside it finishes and is committed, and the server is killed."""
    server = place.serve()
    document = flows.document(
        [
            flows.chat_input(),
            flows.node("HeadwaterTestSay", "HeadwaterTestSay-s", {"text": "", "seconds": 2.0}),
            flows.node("HeadwaterTestEffect", "HeadwaterTestEffect-a", {"text": "", "seconds": 0.2}),
            flows.node("HeadwaterTestEffect", "HeadwaterTestEffect-b", {"text": "", "seconds": 0.0}),
        ],
        [
            flows.edge("ChatInput-in", "HeadwaterTestSay-s", "text"),
            flows.edge("ChatInput-in", "HeadwaterTestEffect-a", "text"),
            flows.edge("HeadwaterTestEffect-a", "HeadwaterTestEffect-b", "text"),
        ],
    )
    flow_id = place.make_flow("says", document)
    with place.http() as http:
        run_id = http.post("/api/v1/runs", json={"flow": flow_id, "input_value": "once"}).json()["id"]
    wait_for(lambda: len(place.effects) == 2, what="the quick step to be committed")
    server.kill()
    place.serve()
    assert place.wait_until_over([run_id]) == {run_id: "completed"}
    with place.http() as http:
        messages = http.get("/api/v1/monitor/messages", params={"flow_id": flow_id}).json()
        run = http.get(f"/api/v1/runs/{run_id}").json()
    assert sorted(message["sender_name"] for message in messages) == ["Say", "User"]
    assert run["attempt"] == 2 and any("HeadwaterTestSay-s" in warning for warning in run["warnings"])


def test_what_another_flow_said_in_a_step_that_was_cut_off_is_stored_once(place: Place) -> None:
    """The step runs another flow, which has said something and finished a step when the server is killed."""
    server = place.serve()
    document = flows.document(
        [
            flows.chat_input(),
            flows.node("HeadwaterTestEffect", "HeadwaterTestEffect-a", {"text": "", "seconds": 0.0}),
            flows.node("HeadwaterTestSay", "HeadwaterTestSay-s", {"text": "", "seconds": 2.0}),
            flows.chat_output(),
        ],
        [
            flows.edge("ChatInput-in", "HeadwaterTestEffect-a", "text"),
            flows.edge("HeadwaterTestEffect-a", "HeadwaterTestSay-s", "text"),
            flows.edge("HeadwaterTestSay-s", "ChatOutput-out", "input_value", output="message"),
        ],
    )
    inner, outer = place.make_flow("Inner", document), place.make_flow("Outer", flows.running("Inner"))
    with place.http() as http:
        run_id = http.post("/api/v1/runs", json={"flow": outer, "input_value": "once"}).json()["id"]

        def inner_runs() -> list[str]:
            return [run["state"] for run in http.get("/api/v1/runs", params={"flow_id": inner}).json()["runs"]]

        def is_inside() -> bool:
            return len(place.effects) == 1 and inner_runs() == ["running"]

        wait_for(is_inside, what="the other flow to be going on")
        time.sleep(0.2)  # so long that what it says would have been written
        server.kill()
        place.serve()
        assert place.wait_until_over([run_id]) == {run_id: "completed"}
        wait_for(lambda: "running" not in inner_runs(), what="the run that was cut off to be ended")
        assert inner_runs() == ["completed", "interrupted"]
        messages = http.get("/api/v1/monitor/messages", params={"flow_id": inner}).json()
        run = http.get(f"/api/v1/runs/{run_id}").json()
    assert sorted(message["sender_name"] for message in messages) == ["AI", "Say", "User"]
    assert run["attempt"] == 2 and any("RunFlow-r" in warning for warning in run["warnings"])


def test_sigterm_lets_runs_end_hands_back_the_rest_and_exits_with_0(place: Place, many: int) -> None:
    """R3. Runs in the background that do not end in time go back into the queue; those that somebody waits for are interrupted."""
    place.environment |= {"HEADWATER_DRAIN_SECONDS": "2"}
    server = place.serve()
    quick, slow = place.make_flow("quick", three_steps(1.0)), place.make_flow("slow", three_steps(6.0))
    count = max(3, many // 10)
    with place.http() as http:
        runs = {
            name: [http.post("/api/v1/runs", json={"flow": flow_id}).json()["id"] for _ in range(count)]
            for name, flow_id in (("quick", quick), ("slow", slow))
        }
        wait_for(lambda: len(place.effects) >= 4 * count, what="every run to be in its second step")
        server.running.terminate()
        wait_for(lambda: _is_refused(http, quick), what="new runs to be refused", seconds=5)
    assert server.running.wait(timeout=15) == 0
    server = place.serve(HEADWATER_BACKGROUND_RUNS="0")
    assert set(place.states(runs["quick"]).values()) == {"completed"}
    assert set(place.states(runs["slow"]).values()) == {"queued"}
    assert server.terminate() == 0
    place.serve()
    assert set(place.wait_until_over(runs["slow"]).values()) == {"completed"}
    assert repeated_although_finished(place.effects) == []


def _is_refused(http: httpx.Client, flow_id: str) -> bool:
    try:
        answer = http.post("/api/v1/runs", json={"flow": flow_id})
    except httpx.TransportError:
        return True  # nobody listens any more
    return answer.status_code == 503 and "retry-after" in answer.headers
