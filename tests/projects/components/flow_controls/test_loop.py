"""Loop, by itself: which rows it goes through and what comes out. What it repeats is the runner's (tests/projects/engine/test_loops.py)."""

from dataclasses import replace
from typing import Any

import pytest

from projects.components.flow_controls.loop import Loop, rows_of
from projects.engine.values import Data, Message, Table
from tests.fakes import build


async def looped(data: Any, *results: Any, **vertex: Any) -> Any:
    instance = build(Loop, data=data)
    assert isinstance(instance, Loop)
    instance.vertex = replace(instance.vertex, **vertex)
    left = list(results)

    async def repeat(item: Any) -> Any:
        return left.pop(0) if results else item

    instance.repeat = repeat
    await instance.before_outputs()
    return await instance.done_output()


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        (Table(rows=[{"a": 1}, {"a": 2}]), [{"a": 1}, {"a": 2}]),
        ([Data({"a": 1}), {"a": 2}, "x"], [{"a": 1}, {"a": 2}, {"text": "x"}]),
        (Data({"a": 1}), [{"a": 1}]),
        (Message(text="hi", session_id="s"), [{"text": "hi"}]),
        ("", []),
        (None, []),
        (Table(), []),
    ],
)
def test_whatever_arrives_is_rows(value: Any, rows: list[dict[str, Any]]) -> None:
    assert rows_of(value) == rows


async def test_results_are_a_table_in_order() -> None:
    rows = Table(rows=[{"n": n} for n in range(5)])
    done = await looped(rows, Message(text="said"), Data({"k": 1}), {"k": 2}, None, Table(rows=[{"x": 1}]))
    assert done == Table(rows=[{"text": "said"}, {"k": 1}, {"k": 2}, {"text": ""}, {"results": [{"x": 1}]}])


async def test_no_rows_are_an_empty_table() -> None:
    assert await looped(None) == Table()


async def test_older_flows_get_a_list_of_records() -> None:
    assert await looped([Data({"a": 1})], output_types={"done": ("Data",)}) == [Data({"a": 1})]
    assert await looped([Data({"a": 1})], output_types={"done": ("DataFrame", "Table")}) == Table(rows=[{"a": 1}])
