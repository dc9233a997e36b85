"""More than a server can do: R11."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.hardship import Place, percentile, run_once, spent_seconds, three_steps, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def test_a_flood_is_refused_quickly_and_what_was_accepted_is_kept(place: Place, many: int) -> None:
    """R11: a queue of 50, and ten times as many runs as it holds."""
    place.serve(HEADWATER_BACKGROUND_RUNS="4", HEADWATER_MAX_QUEUED_RUNS="50")
    flow_id = place.make_flow("steps", three_steps(0.1))
    accepted: list[str] = []
    refused: list[float] = []

    def flood(_: int) -> None:
        with place.http() as http:
            for _ in range(max(6, many // 4)):
                began = time.perf_counter()
                answer = http.post("/api/v1/runs", json={"flow": flow_id})
                if answer.status_code == 202:
                    accepted.append(answer.json()["id"])
                else:
                    assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1, answer.text
                    refused.append(time.perf_counter() - began)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(flood, range(20)))
    assert refused and accepted
    print(f"{len(accepted)} accepted, {len(refused)} refused, p50 of a refusal {percentile(refused, 0.5) * 1000:.0f} ms")
    assert percentile(refused, 0.5) < 0.5
    assert set(place.wait_until_over(accepted, seconds=120).values()) == {"completed"}
    with place.http() as http:
        assert http.post("/api/v1/runs", json={"flow": flow_id}).status_code == 202


def test_what_is_accepted_in_a_flood_takes_no_longer_than_what_the_server_is_full_with(place: Place, many: int) -> None:
    """R11: two runs at once are allowed, and twenty clients want one; those who are refused ask again after a while."""
    server = place.serve(HEADWATER_MAX_RUNNING_RUNS="2", HEADWATER_CALLS_PER_MINUTE_PER_KEY="0")
    flow_id = place.make_flow("steps", three_steps(0.5))

    def all_of(clients: int) -> tuple[list[float], list[float]]:
        """Seconds until 200, and until 503."""
        accepted: list[float] = []
        refused: list[float] = []

        def ask(_: int) -> None:
            with place.http() as http:
                for _ in range(max(4, many // 5)):
                    began = time.perf_counter()
                    answer = run_once(http, flow_id)
                    taken = time.perf_counter() - began
                    if answer.status_code == 200:
                        accepted.append(taken)
                    else:
                        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1, answer.text
                        refused.append(taken)
                        time.sleep(0.05)

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(ask, range(clients)))
        return accepted, refused

    full, _ = all_of(2)
    spent = spent_seconds(server)
    accepted, refused = all_of(20)
    spent = spent_seconds(server) - spent
    assert accepted and refused
    p99, full_p99 = percentile(accepted, 0.99), percentile(full, 0.99)
    print(
        f"p99 of {len(full)} at capacity {full_p99 * 1000:.0f} ms, of {len(accepted)} accepted in a flood {p99 * 1000:.0f} ms; "
        f"{len(refused)} refused, p50 {percentile(refused, 0.5) * 1000:.0f} ms; the flood cost {spent:.2f} s of computing"
    )
    assert p99 < 2 * full_p99
    assert percentile(refused, 0.5) < full_p99 / 2
    with place.http() as http:
        wait_for(lambda: run_once(http, flow_id).status_code == 200, seconds=5, what="the server to recover")
