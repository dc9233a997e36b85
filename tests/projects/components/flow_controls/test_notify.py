"""Notify and Listen."""

import pytest

from projects.components.flow_controls.listen import Listen
from projects.components.flow_controls.notify import Notify
from projects.engine.component import ComponentError
from projects.engine.values import Data, Message
from tests.fakes import FakeRunContext, build, output_of


async def test_what_was_told_is_heard_under_the_same_name() -> None:
    context = FakeRunContext()
    telling = build(Notify, context=context, context_key="news", input_value=Message(text="rain"))
    assert await output_of(telling) == Data({"text": "rain"})
    assert telling.notifications == [("news", Data({"text": "rain"}))]
    assert await output_of(build(Listen, context=context, context_key="news")) == Data({"text": "rain"})
    assert await output_of(build(Listen, context=context, context_key="all the news")) == Data({"text": "rain"})
    assert await output_of(build(Listen, context=context, context_key="weather")) == Data()


async def test_values_can_be_gathered() -> None:
    context = FakeRunContext()
    for text in ("one", "two"):
        last = await output_of(build(Notify, context=context, context_key="news", input_value=Data({"n": text}), append=True))
    assert last == [Data({"n": "one"}), Data({"n": "two"})]


async def test_a_name_is_needed() -> None:
    with pytest.raises(ComponentError, match="Context Key"):
        await output_of(build(Notify, context_key=" ", input_value=Data()))
