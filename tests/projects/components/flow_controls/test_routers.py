"""If-Else, Condition and Pass."""

from typing import Any

import pytest

from projects.components.flow_controls.data_condition import DataCondition
from projects.components.flow_controls.if_else import IfElse
from projects.components.flow_controls.pass_message import PassMessage
from projects.engine.component import ComponentError
from projects.engine.values import Data, Message
from tests.fakes import FakeRunContext, build


async def decide(context: FakeRunContext | None = None, **fields: Any) -> tuple[str, str, set[str]]:
    instance = build(IfElse, context=context, vertex_id="ConditionalRouter-1", **fields)
    assert isinstance(instance, IfElse)
    await instance.before_outputs()
    return (await instance.true_response()).text, (await instance.false_response()).text, instance.stopped_outputs


@pytest.mark.parametrize(
    ("operator", "text", "match", "holds"),
    [
        ("equals", "a", "a", True),
        ("equals", "a", "A", True),
        ("not equals", "a", "b", True),
        ("contains", "oh YES", "yes", True),
        ("contains", "no", "yes", False),
        ("starts with", "abc", "ab", True),
        ("ends with", "abc", "bc", True),
        ("regex", "abc123", r"[a-z]+\d", True),
        ("regex", " abc", "abc", False),
        ("regex", "ABC", "abc", False),
        ("regex", "abc", "(", False),
        ("less than", "2", "10", True),
        ("less than or equal", "2.0", "2", True),
        ("greater than", "10", "9", True),
        ("greater than or equal", "x", "9", False),
        ("no such operator", "a", "a", False),
    ],
)
async def test_one_branch_gets_the_text_and_the_other_is_stopped(operator: str, text: str, match: str, holds: bool) -> None:
    true, false, stopped = await decide(input_text=text, operator=operator, match_text=match, case_sensitive=False)
    assert (true, false) == ((text, "") if holds else ("", text))
    assert stopped == ({"false_result"} if holds else {"true_result"})


async def test_capitals_matter_unless_told_otherwise() -> None:
    _, _, stopped = await decide(input_text="YES", operator="equals", match_text="yes")
    assert stopped == {"true_result"}


async def test_a_case_message_replaces_the_text_only_when_it_says_something() -> None:
    assert (await decide(input_text="a", match_text="a", true_case_message=Message(text="fits")))[0] == "fits"
    assert (await decide(input_text="a", match_text="a", true_case_message=Message()))[0] == "a"
    assert (await decide(input_text="a", match_text="b", false_case_message=Message(text="no fit")))[1] == "no fit"


async def test_the_default_route_is_taken_when_the_iterations_are_used_up() -> None:
    context = FakeRunContext()
    for _ in range(2):
        assert (await decide(context, input_text="a", match_text="a", max_iterations=3))[2] == {"false_result"}
    assert (await decide(context, input_text="a", match_text="a", max_iterations=3))[2] == {"true_result"}
    assert context.state == {"ConditionalRouter-1_iteration": 3}


async def test_only_a_computed_output_can_be_stopped() -> None:
    instance = build(IfElse, input_text="a", match_text="a")
    assert isinstance(instance, IfElse)
    await instance.before_outputs()
    await instance.true_response()
    assert instance.stopped_outputs == set()


async def test_each_record_goes_down_its_own_branch() -> None:
    records = [Data({"kind": "x", "n": 1}), Data({"kind": "y", "n": 2})]
    instance = build(DataCondition, data_input=records, key_name="kind", operator="equals", compare_value="x")
    assert isinstance(instance, DataCondition)
    await instance.before_outputs()
    assert await instance.process_data() == [records[0]]
    assert await instance.process_false() == [records[1]]
    assert instance.stopped_outputs == set()


async def test_one_record_stops_the_other_branch() -> None:
    instance = build(DataCondition, data_input=[Data({"ok": "yes"})], key_name="ok", operator="boolean validator")
    assert isinstance(instance, DataCondition)
    await instance.before_outputs()
    assert await instance.process_data() == Data({"ok": "yes"})
    await instance.process_false()
    assert instance.stopped_outputs == {"false_output"}


async def test_a_record_without_the_key_is_an_error_that_names_it() -> None:
    instance = build(DataCondition, data_input=[Data({"a": 1})], key_name="kind")
    with pytest.raises(ComponentError, match=r"'kind'.*It has: a"):
        await instance.before_outputs()


async def test_pass_hands_on_the_same_message() -> None:
    message = Message(text="x")
    instance = build(PassMessage, input_message=message)
    assert isinstance(instance, PassMessage)
    assert await instance.pass_message() is message


async def test_the_message_of_an_older_if_else_goes_down_either_branch() -> None:
    message = Message(text="the question itself")
    assert (await decide(input_text="a", match_text="a", message=message))[0] == "the question itself"
    assert (await decide(input_text="a", match_text="b", message=message))[1] == "the question itself"
    assert (await decide(input_text="a", match_text="a", message=Message()))[0] == "a"
    assert (await decide(input_text="a", match_text="a", message=message, true_case_message=Message(text="fits")))[0] == "fits"
