"""What can be kept of a value, and that it comes back as it was."""

import json
import math
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from projects.engine import snapshot
from projects.engine.events import VertexResult
from projects.engine.tools import Tool
from projects.engine.values import Data, Message, Source, Table

MOMENT = datetime(2026, 11, 22, 5, 6, 7, 89, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        2**70,
        0.5,
        math.inf,
        "text",
        "half \ud800 and \x00",
        b"\x00\xff",
        MOMENT,
        [1, ["two"]],
        (1, 2),
        {"a": {"b": [None]}},
        {1: "one", (2, 3): "pair"},
        {"$kind": "message"},
        Message("hi", source=Source("id", "shown", "model"), timestamp=MOMENT, files=["f"], usage={"total_tokens": 3}, data={"k": (1,)}),
        Data({"a": MOMENT}, text_key="a", default_value="d"),
        Table([{"a": 1}, {"a": 2, "b": Data({})}], ["b", "a"]),
    ],
    ids=repr,
)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    text = snapshot.value_to_text(value)
    back = snapshot.value_from_text(text)
    assert back == value
    assert type(back) is type(value)
    assert text.isascii()


def test_a_number_that_is_none_comes_back_as_such() -> None:
    assert math.isnan(snapshot.value_from_text(snapshot.value_to_text(math.nan)))


@pytest.mark.parametrize("value", [object(), len, Counter("a"), {1, 2}, Tool("t", "", {}, len), [Tool("t", "", {}, len)], Data({"f": len})])  # type: ignore[arg-type]
def test_what_is_no_plain_value_is_not_kept(value: Any) -> None:
    with pytest.raises(snapshot.CannotKeep):
        snapshot.value_to_text(value)


def test_what_is_nested_without_an_end_is_not_kept() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(snapshot.CannotKeep):
        snapshot.value_to_text(endless)


@pytest.mark.parametrize("text", ["", "[", '{"$kind": "os.system"}', '{"$kind": "message"}', '{"$kind": "float", "value": "1e5"}'])
def test_a_text_of_another_kind_is_unreadable(text: str) -> None:
    with pytest.raises(snapshot.Unreadable):
        snapshot.value_from_text(text)


def test_a_result_comes_back_with_its_outputs_and_what_it_stopped() -> None:
    result = VertexResult(
        "Agent-a",
        "Agent",
        "Agent",
        outputs={"response": Message("hi", timestamp=MOMENT)},
        started_at=MOMENT,
        stopped_outputs=frozenset(("no",)),
    )
    assert snapshot.result_from_text(snapshot.result_to_text(result)) == result


def test_inputs_are_simplified_where_outputs_must_be_whole() -> None:
    tool = Tool("look", "Looks.", {}, len)  # type: ignore[arg-type]
    kept = snapshot.result_from_text(snapshot.result_to_text(VertexResult("a", "A", "A", inputs={"tools": [tool]})))
    assert kept.inputs == {"tools": ["look: Looks."]}
    with pytest.raises(snapshot.CannotKeep):
        snapshot.result_to_text(VertexResult("a", "A", "A", outputs={"tools": [tool]}))


def test_of_a_runs_state_only_what_can_be_kept_is_kept() -> None:
    kept = snapshot.keepable_parts({"count": 3, "counter": Counter("a"), "event": object()})
    assert json.loads(json.dumps(kept)) == {"count": 3}
