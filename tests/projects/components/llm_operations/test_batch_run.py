"""Batch Run: a model's answer for every row, and what happens when one fails."""

import asyncio
import tomllib
from collections.abc import Sequence
from typing import Any

import pytest

from projects.components.llm_operations.batch_run import AT_ONCE, BatchRun, row_as_toml
from projects.engine.component import Component, ComponentError
from projects.engine.values import Table
from projects.errors import AddressRefused, ProviderFailed
from projects.models.chat import ChatMessage, ChatOptions, Reply, ToolSpec
from tests.fakes import FakeChatModel, FakeModels, FakeRunContext, build, output_of

ROWS = Table([{"title": "One", "n": 1}, {"title": "Two", "n": 2}])


class Shouting(FakeChatModel):
    """Answers each question in capitals; fails for the words it is told to. `most` is how many it had at once."""

    running = most = 0
    failing: tuple[str, ...] = ()

    async def reply(self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions | None = None) -> Reply:
        self.asked.append(list(messages))
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        text = messages[-1].text
        if text in self.failing:
            raise ProviderFailed(f"Nothing for {text}.", provider="Fake", provider_status=500)
        return Reply(text.upper())


def running(model: FakeChatModel, **inputs: Any) -> Component:
    return build(BatchRun, context=FakeRunContext(models=FakeModels(chat=model)), **{"df": ROWS, "column_name": "title", **inputs})


async def test_each_row_gets_the_answer_and_its_index() -> None:
    table = await output_of(running(Shouting(), system_message="Shout."))
    assert table.rows == [
        {"title": "One", "n": 1, "model_response": "ONE", "batch_index": 0},
        {"title": "Two", "n": 2, "model_response": "TWO", "batch_index": 1},
    ]


async def test_without_a_column_the_whole_row_is_sent_as_toml() -> None:
    model = Shouting()
    await output_of(running(model, column_name="", df=Table([{"title": 'A "b"\nc', "two words": 2}])))
    text = model.asked[0][-1].text
    assert text.startswith("[title]\nvalue = ")
    assert tomllib.loads(text) == {"title": {"value": 'A "b"\nc'}, "two words": {"value": "2"}}
    assert row_as_toml({}) == ""


async def test_at_most_a_few_rows_are_asked_at_once_and_order_is_kept() -> None:
    model = Shouting()
    table = await output_of(running(model, df=Table([{"title": f"t{number}"} for number in range(50)])))
    assert [row["model_response"] for row in table.rows] == [f"T{number}" for number in range(50)]
    assert 1 < model.most <= AT_ONCE


async def test_metadata_says_how_each_row_went() -> None:
    model = Shouting()
    model.failing = ("Two",)
    table = await output_of(running(model, enable_metadata=True, output_column_name="said"))
    assert [row["said"] for row in table.rows] == ["ONE", ""]
    assert table.rows[0]["metadata"]["processing_status"] == "success"
    assert table.rows[1]["metadata"]["error"] == "Nothing for Two."


@pytest.mark.parametrize(("failing", "with_metadata"), [(("Two",), False), (("One", "Two"), True)])
async def test_a_failure_that_nobody_would_see_ends_the_run(failing: tuple[str, ...], with_metadata: bool) -> None:
    model = Shouting()
    model.failing = failing
    with pytest.raises(ProviderFailed, match="Nothing for"):
        await output_of(running(model, enable_metadata=with_metadata))


async def test_what_is_no_failure_of_the_provider_is_raised_as_it_is() -> None:
    with pytest.raises(AddressRefused):
        await output_of(running(FakeChatModel(script=[AddressRefused("Private."), AddressRefused("Private.")])))


async def test_a_column_that_is_not_there_is_named_and_no_rows_need_no_model() -> None:
    with pytest.raises(ComponentError, match=r"no column 'body'\. Its columns are: title, n"):
        await output_of(running(Shouting(), column_name="body"))
    assert (await output_of(build(BatchRun, df=Table(columns=["title"]), column_name="title"))).rows == []
