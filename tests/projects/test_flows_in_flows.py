"""Flows that run flows: whose messages, how deep, what is inherited, and that nothing is left behind. And what a live reader is told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from headwater_test_components import Wait

from projects.access.caller import Caller
from projects.engine.events import MessageAdded, RunEvent, TokenAdded
from projects.errors import ComponentFailed, FlowCannotRun, LimitReached
from projects.flows.library import Flow, FlowDraft
from projects.invocation import Invocation, InvocationResult
from projects.services import ProjectServices
from tests import flow_documents as flows
from tests.services import open_test_services, to_text

BOUND = 10.0


class Person:
    """Somebody with flows."""

    def __init__(self, services: ProjectServices, caller: Caller) -> None:
        self.services, self.caller = services, caller

    async def has(self, name: str, document: dict[str, Any]) -> Flow:
        return await self.services.flows.create(self.caller, FlowDraft(name=name, document=to_text(document)))

    async def runs(self, flow: Flow, text: str | None = None, **more: Any) -> InvocationResult:
        on_event = more.pop("on_event", None)
        invocation = Invocation(input_value=text, **more)
        async with asyncio.timeout(BOUND):
            if on_event is None:
                return await self.services.invocations.invoke(self.caller, flow.id, invocation)
            return await self.services.invocations.invoke(self.caller, flow.id, invocation, on_event=on_event)

    async def messages(self, flow: Flow) -> list[tuple[str, str]]:
        kept = await self.services.messages.list_messages(self.caller, flow_id=flow.id)
        return [(stored.message.text, stored.message.session_id) for stored in kept]

    async def run_states(self, flow: Flow) -> list[tuple[str, str]]:
        found, _ = await self.services.monitoring.list_runs(self.caller, flow_id=flow.id)
        return [(run.kind, run.state) for run in found]


@pytest.fixture
async def person(tmp_path: Path) -> AsyncIterator[Person]:
    async with open_test_services(tmp_path, max_steps_per_run=200, max_flow_depth=4) as (services, caller):
        yield Person(services, caller)


def said(result: InvocationResult) -> list[str]:
    return [value.text for vertex in result.outputs for value in vertex.outputs.values()]


def prompting(template: str) -> dict[str, Any]:
    return flows.document(
        [flows.chat_input(), flows.prompt("Prompt Template-p", template, "q"), flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Prompt Template-p", "q"),
            flows.edge("Prompt Template-p", "ChatOutput-out", "input_value", output="prompt"),
        ],
    )


async def test_the_other_flow_s_messages_are_its_own_in_the_session_of_the_run(person: Person) -> None:
    inner = await person.has("Inner", prompting("inner {q}"))
    outer = await person.has("Outer", flows.running("Inner"))
    assert said(await person.runs(outer, "deep", session_id="S")) == ["inner deep"]
    assert await person.messages(inner) == [("deep", "S"), ("inner deep", "S")]
    assert await person.messages(outer) == [("deep", "S"), ("inner deep", "S")]
    assert await person.run_states(inner) == [("call", "completed")]


async def test_the_id_wins_over_the_name_and_the_name_helps_when_the_id_is_from_elsewhere(person: Person) -> None:
    await person.has("Inner", prompting("by name {q}"))
    other = await person.has("Other", prompting("by id {q}"))
    by_id = await person.has("A", flows.running("Inner", flow_id=other.id))
    by_name = await person.has("B", flows.running("Inner", flow_id="2a2f445b-6eb9-4c5d-ae00-336d0bd614e1"))
    assert said(await person.runs(by_id, "x")) == ["by id x"]
    assert said(await person.runs(by_name, "x")) == ["by name x"]


async def test_a_flow_that_is_nobody_s_fails_the_node_that_names_it(person: Person) -> None:
    outer = await person.has("Outer", flows.running("Nowhere"))
    with pytest.raises(ComponentFailed, match="Nowhere") as caught:
        await person.runs(outer, "x")
    assert caught.value.component_id == "RunFlow-r"


async def test_flows_that_run_each_other_in_a_circle_end_at_the_depth_bound(person: Person) -> None:
    one = await person.has("One", flows.running("Two"))
    await person.has("Two", flows.running("One"))
    with pytest.raises(LimitReached, match="One → Two → One → Two → One"):
        await person.runs(one, "x")
    assert person.services.invocations.running_count == 0


async def test_steps_are_counted_over_loops_and_all_flows_of_a_run(person: Person) -> None:
    await person.has("Inner", prompting("{q}"))
    looping = flows.document(
        [
            flows.chat_input(),
            flows.node(
                "TypeConverterComponent",
                "TypeConverterComponent-t",
                {"input_data": {"value": "", "type": "other"}, "auto_parse": True},
                outputs=("dataframe_output",),
            ),
            flows.loop("LoopComponent-l"),
            flows.run_flow("RunFlow-r", "Inner"),
            flows.chat_output(),
        ],
        [
            flows.edge("ChatInput-in", "TypeConverterComponent-t", "input_data"),
            flows.edge("TypeConverterComponent-t", "LoopComponent-l", "data", output="dataframe_output"),
            flows.edge("LoopComponent-l", "RunFlow-r", "ChatInput-in~input_value", output="item"),
            flows.edge_back("RunFlow-r", "LoopComponent-l", output="ChatOutput-out~message"),
            flows.edge("LoopComponent-l", "ChatOutput-out", "input_value", output="done"),
        ],
    )
    outer = await person.has("Outer", looping)
    table = await person.runs(outer, '[{"text": "a"}, {"text": "b"}]')
    assert "a" in said(table)[0] and "b" in said(table)[0]
    rows = ", ".join('{"text": "a"}' for _ in range(60))  # 60 rows of 4 steps are more than 200
    with pytest.raises(LimitReached, match="200 steps"):
        await person.runs(outer, f"[{rows}]")
    assert person.services.invocations.running_count == 0


async def test_variables_of_the_request_reach_the_other_flow(person: Person) -> None:
    variable = flows.document(
        [flows.chat_input(), flows.text_input("TextInput-v"), flows.chat_output()],
        [flows.edge("TextInput-v", "ChatOutput-out", "input_value", output="text")],
    )
    variable["nodes"][1]["data"]["node"]["template"]["input_value"] |= {"value": "CITY", "load_from_db": True}
    variable["edges"].append(flows.edge("ChatInput-in", "ChatOutput-out", "context_id"))
    await person.has("Inner", variable)
    outer = await person.has("Outer", flows.running("Inner"))
    assert said(await person.runs(outer, "x", request_variables={"CITY": "Oslo"})) == ["Oslo"]


async def test_a_failure_in_the_other_flow_names_both(person: Person) -> None:
    failing = flows.document(
        [
            flows.chat_input(),
            flows.node("HeadwaterTestFail", "HeadwaterTestFail-f", {"text": "", "reason": "no luck"}),
            flows.chat_output(),
        ],
        [flows.edge("ChatInput-in", "HeadwaterTestFail-f", "text"), flows.edge("HeadwaterTestFail-f", "ChatOutput-out", "input_value")],
    )
    inner = await person.has("Inner", failing)
    outer = await person.has("Outer", flows.running("Inner"))
    with pytest.raises(ComponentFailed, match=r"'Inner' failed in HeadwaterTestFail \(HeadwaterTestFail-f\): no luck") as caught:
        await person.runs(outer, "x")
    assert caught.value.component_id == "RunFlow-r"
    assert await person.run_states(inner) == [("call", "failed")]


async def test_a_flow_that_cannot_run_is_refused_by_name(person: Person) -> None:
    await person.has(
        "Inner",
        flows.document(
            [flows.chat_input(), flows.node("Strange", "Strange-s", {"text": ""})], [flows.edge("ChatInput-in", "Strange-s", "text")]
        ),
    )
    outer = await person.has("Outer", flows.running("Inner"))
    with pytest.raises(FlowCannotRun, match="Strange-s"):
        await person.runs(outer, "x")


async def test_a_run_that_is_cancelled_takes_the_flows_it_runs_with_it(person: Person) -> None:
    waiting = flows.document(
        [flows.chat_input(), flows.node("HeadwaterTestWait", "HeadwaterTestWait-w", {"text": "", "seconds": 60.0}), flows.chat_output()],
        [flows.edge("ChatInput-in", "HeadwaterTestWait-w", "text"), flows.edge("HeadwaterTestWait-w", "ChatOutput-out", "input_value")],
    )
    inner = await person.has("Inner", waiting)
    outer = await person.has("Outer", flows.running("Inner"))
    run_id = await person.services.invocations.start(person.caller, outer.id, Invocation(input_value="x"))
    async with asyncio.timeout(BOUND):
        while not Wait.started[inner.id]:  # noqa: ASYNC110 - the component is another package's and knows no event of ours
            await asyncio.sleep(0)
        await person.services.invocations.cancel(person.caller, run_id)
        await person.services.invocations.wait_until_idle()
    assert Wait.ended[inner.id] == 1
    assert await person.run_states(outer) == [("call", "cancelled")]
    assert await person.run_states(inner) == [("call", "cancelled")]
    assert person.services.invocations.running_count == 0


async def test_who_reads_live_is_told_of_a_message_while_it_is_made_and_again_when_it_is_kept(person: Person) -> None:
    flow = await person.has(
        "Streaming",
        flows.document(
            [
                flows.chat_input(),
                flows.node("HeadwaterTestStream", "HeadwaterTestStream-s", {"text": ""}),
                flows.chat_output(),
                flows.chat_output("ChatOutput-second"),
            ],
            [
                flows.edge("ChatInput-in", "HeadwaterTestStream-s", "text"),
                flows.edge("HeadwaterTestStream-s", "ChatOutput-out", "input_value"),
                flows.edge("HeadwaterTestStream-s", "ChatOutput-second", "input_value"),
            ],
        ),
    )
    told: list[tuple[str, str | None]] = []
    ids: list[str | None] = []

    async def on_event(event: RunEvent) -> None:
        match event:
            case MessageAdded(message=message):
                told.append((message.state, message.text))
                ids.append(message.id)
            case TokenAdded(chunk=chunk, message_id=id):
                told.append(("token", chunk))
                ids.append(id)
            case _:
                pass

    await person.runs(flow, "one two", on_event=on_event)
    assert told == [("complete", "one two"), ("partial", ""), ("token", "one"), ("token", "two"), *[("complete", "one two")] * 2]
    assert len(set(ids[1:5])) == 1, "what was announced, streamed and kept first is one message"
    assert len({ids[0], ids[1], ids[5]}) == 3
    assert [text for text, _ in await person.messages(flow)] == ["one two"] * 3


async def test_without_a_live_reader_nothing_is_streamed(person: Person) -> None:
    flow = await person.has(
        "Quiet",
        flows.document(
            [flows.chat_input(), flows.node("HeadwaterTestStream", "HeadwaterTestStream-s", {"text": ""}), flows.chat_output()],
            [
                flows.edge("ChatInput-in", "HeadwaterTestStream-s", "text"),
                flows.edge("HeadwaterTestStream-s", "ChatOutput-out", "input_value"),
            ],
        ),
    )
    assert said(await person.runs(flow, "one two")) == ["one two"]
