"""A model's provider that fails in every way there is, under a server that many clients ask at once. R14."""

import itertools
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests import flow_documents as flows
from tests.chaos.hardship import Place, resources, wait_for
from tests.model_server import Answer, Breaks, Busy, Fails, Garbage, Hangs, ModelServer, Received, Says, TooLong, model_server

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

NODE = "LanguageModelComponent-lm"
DEADLINE_SECONDS = 1.0  # that the server gives the provider
WAYS: list[Answer] = [
    *(Busy(retry_after=1), Busy(retry_after=None), Fails(500), Fails(503), Fails(401), TooLong()),
    *(Breaks(after=0), Breaks(after=2), Garbage(), Garbage(""), Garbage("null"), Hangs(), Hangs(after=2)),
]


def test_however_a_provider_fails_each_call_is_told_so_in_time_and_nothing_stays_behind(place: Place, many: int) -> None:
    ways = itertools.cycle(WAYS)

    def answer(request: Received) -> Answer:
        return Says("fine") if request.last_text == "well" else next(ways)

    with model_server() as models:
        models.script("a-model", answer)
        _be_asked(place, models, many)


def _be_asked(place: Place, models: ModelServer, many: int) -> None:
    place.environment |= {
        "HEADWATER_DEFAULT_MODEL": "openai:a-model",
        "HEADWATER_OPENAI_BASE_URL": models.address,
        "HEADWATER_MODEL_RETRIES": "0",
        "HEADWATER_MODEL_TIMEOUT_SECONDS": f"{DEADLINE_SECONDS:g}",
        "OPENAI_API_KEY": "a-key",
    }
    server = place.serve()
    model = flows.node("LanguageModelComponent", NODE, {"input_value": "", "model": ""}, outputs=("text_output",))
    edges = [flows.edge("ChatInput-in", NODE, "input_value"), flows.edge(NODE, "ChatOutput-out", "input_value", output="text_output")]
    flow_id = place.make_flow("chat", flows.document([flows.chat_input(), model, flows.chat_output()], edges))
    statuses: Counter[int | str] = Counter()
    slowest = 0.0

    def ask(number: int, text: str = "ill") -> httpx.Response:
        nonlocal slowest
        streams = number % 2 == 1
        began = time.monotonic()
        with place.http() as http:
            given = http.post(f"/api/v1/run/{flow_id}", params={"stream": streams}, json={"input_value": text})
        slowest = max(slowest, time.monotonic() - began)
        assert "Traceback" not in given.text
        if not streams:
            statuses[given.status_code] += 1
        else:
            assert given.status_code == 200
            statuses["told in the stream" if '"event": "error"' in given.text or '"event":"error"' in given.text else "ended"] += 1
        return given

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(64)))  # connections to the database are opened and kept
        before = resources(server)
        list(pool.map(ask, range(4 * many)))
    print(f"{dict(statuses)}, the slowest after {slowest:.1f} s, {before} → {resources(server)}")
    assert 500 not in statuses
    assert slowest < DEADLINE_SECONDS + 10
    with place.http() as http:
        running = http.get("/api/v1/runs", params={"state": "running"}).json()["runs"]
    assert running == []
    assert ask(0, "well").status_code == 200
    wait_for(lambda: resources(server)["files"] <= before["files"] + 2, seconds=10, what=f"the open files to come back to {before}")
    assert server.terminate() == 0
    assert "Traceback" not in server.printed
