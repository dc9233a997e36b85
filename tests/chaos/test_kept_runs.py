"""What was accepted is kept: through kill -9, through a lost answer, and through an orderly stop. R1, R2 and R3."""

import random
import time
from collections import defaultdict

import httpx
import pytest

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


def test_a_request_whose_answer_was_lost_gets_the_same_run(place: Place) -> None:
    """R2: killed after the commit and before the answer."""
    server = place.serve()
    place.make_flow("steps", three_steps(0.0), endpoint_name="steps")
    request = {"input_value": "once"}
    ids = []
    for _ in range(2):
        with place.http() as http:
            answer = http.post("/api/v1/run/steps", json=request, headers={"Idempotency-Key": "the-key"})
            assert answer.status_code == 200, answer.text
            ids.append(answer.headers["x-headwater-run-id"])
        server.kill()
        server = place.serve()
    assert ids[0] == ids[1]
    assert len(place.effects) == 3


def test_sigterm_lets_runs_end_hands_back_the_rest_and_exits_with_0(place: Place) -> None:
    """R3. Runs in the background that do not end in time go back into the queue; those that somebody waits for are interrupted."""
    place.environment |= {"HEADWATER_DRAIN_SECONDS": "2"}
    server = place.serve()
    quick, slow = place.make_flow("quick", three_steps(1.0)), place.make_flow("slow", three_steps(8.0))
    with place.http() as http:
        runs = {
            name: [http.post("/api/v1/runs", json={"flow": flow_id}).json()["id"] for _ in range(10)]
            for name, flow_id in (("quick", quick), ("slow", slow))
        }
        wait_for(lambda: len(place.effects) >= 40, what="every run to be in its second step")
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
