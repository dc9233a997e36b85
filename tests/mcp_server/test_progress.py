"""What a client with a progress token is told: vertices, words as they come, and signs of life."""

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mcp_server.progress import Context, Progress, progress_of
from projects.engine.events import InnerEvent, RunStarted, TokenAdded, VertexFinished, VertexResult, VertexStarted
from tests.flow_documents import chat_input, chat_output, document, edge, node, running
from tests.mcp_server.conftest import ERAS, waiting
from tests.mcp_server.long_runs import LONG, impatient, request

every_era = pytest.mark.parametrize("era", ERAS)


class Told:
    """A context that notes what is told."""

    def __init__(self, token: Any = "t") -> None:
        self.params = {"_meta": {"progressToken": token}} if token is not None else {}
        self.session = SimpleNamespace(report_progress=self._report)
        self.said: list[tuple[float, float | None, str | None]] = []

    async def _report(self, progress: float, total: float | None, message: str | None) -> None:
        self.said.append((progress, total, message))

    @property
    def context(self) -> Context:
        return cast(Context, self)


def finished(name: str, count: int, total: int) -> VertexFinished:
    return VertexFinished(VertexResult(f"{name}-1", name, name), count, total)


@pytest.mark.parametrize(("token", "is_followed"), [("t", True), (0, True), (True, False), (None, False), ({}, False)])
def test_only_a_client_with_a_token_is_told_anything(token: Any, is_followed: bool) -> None:
    assert (progress_of(Told(token).context) is not None) is is_followed


async def test_progress_always_grows_though_vertices_run_side_by_side() -> None:
    told = Told()
    progress = Progress(told.context)
    for event in (RunStarted((), ("a", "b", "c")), finished("b", 2, 3), finished("a", 1, 3), finished("tool", 1, 3), finished("c", 3, 3)):
        await progress.tell(event)
    numbers = [number for number, _, _ in told.said]
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (0, 3)
    assert [message for _, _, message in told.said] == [None, "b", "a", "tool", "c"]


async def test_what_happens_in_a_flow_that_the_run_runs_is_told_between_two_vertices() -> None:
    told = Told()
    progress = Progress(told.context)
    await progress.tell(RunStarted((), ("a", "b")))
    await progress.tell(finished("a", 1, 2))
    inner = (RunStarted((), ("x", "y", "z")), finished("x", 1, 3), TokenAdded("word", "m"), finished("y", 2, 3), finished("z", 3, 3))
    for event in inner:
        await progress.tell(InnerEvent("run", "Child", event))
    await progress.tell(finished("b", 2, 2))
    numbers = [number for number, _, _ in told.said]
    assert numbers == sorted(set(numbers))
    assert numbers[1] == 1 and numbers[-1] == 2
    assert {total for _, total, _ in told.said} == {2}
    assert [message for _, _, message in told.said] == [None, "a", "Child: x", "word", "Child: y", "Child: z", "b"]


async def test_a_sign_of_life_names_what_runs_and_for_how_long() -> None:
    told = Told()
    progress = Progress(told.context)
    await progress.tell(RunStarted((), ("Wait-1", "b")))
    await progress.tell(VertexStarted("Wait-1", "Wait"))
    await progress._say_between(progress._where())
    assert told.said[-1] == (0.5, 2, "Wait has been running for 0 s")


async def test_after_the_answer_nothing_is_told() -> None:
    told = Told()
    progress = Progress(told.context)
    progress.stop()
    await progress.tell(RunStarted((), ("a",)))
    assert told.said == []


@every_era
async def test_a_long_silence_is_broken_by_signs_of_life(tmp_path: Path, era: str) -> None:
    numbers: list[float] = []
    is_alive = asyncio.Event()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        numbers.append(progress)
        if re.fullmatch(r"Wait has been running for \d+ s", message or ""):
            is_alive.set()

    async with impatient(tmp_path, answer_after_seconds=0, heartbeat_seconds=0.05) as served:
        await served.add_tool("slow", waiting(LONG))
        async with served.client(era) as client:
            calling = asyncio.create_task(client.call_tool("slow", {"input_value": "x"}, progress_callback=note))
            async with asyncio.timeout(20):
                await is_alive.wait()
            calling.cancel()
            await asyncio.wait([calling])
    assert numbers == sorted(set(numbers))


@every_era
async def test_words_come_as_progress_before_their_vertex_is_done(tmp_path: Path, era: str) -> None:
    told: list[tuple[float, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    stream = node("HeadwaterTestStream", "Stream-1", {"text": ""}, display_name="Stream")
    edges = [edge("ChatInput-in", "Stream-1", "text"), edge("Stream-1", "ChatOutput-out", "input_value")]
    async with impatient(tmp_path, answer_after_seconds=0) as served:
        await served.add_tool("talker", document([chat_input(), stream, chat_output()], edges))
        async with served.client(era) as client:
            result = await client.call_tool("talker", {"input_value": "one two three"}, progress_callback=note)
    assert result.content[0].text == "one two three"  # type: ignore[union-attr]
    messages = [message for _, message in told]
    assert messages[2] == "one"
    assert messages.index("one") < messages.index("Stream") < messages.index("Chat Output")


@every_era
async def test_words_of_a_flow_that_the_flow_runs_come_as_progress_too(tmp_path: Path, era: str) -> None:
    told: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    stream = node("HeadwaterTestStream", "Stream-1", {"text": ""}, display_name="Stream")
    edges = [edge("ChatInput-in", "Stream-1", "text"), edge("Stream-1", "ChatOutput-out", "input_value")]
    async with impatient(tmp_path, answer_after_seconds=0) as served:
        await served.add_tool("talker", document([chat_input(), stream, chat_output()], edges))
        await served.add_tool("outer", running("talker"))
        async with served.client(era) as client:
            result = await client.call_tool("outer", {"input_value": "one two three"}, progress_callback=note)
    assert result.content[0].text == "one two three"  # type: ignore[union-attr]
    assert told.index("one") < told.index("talker: Stream") < told.index("talker: Chat Output") < told.index("Chat Output")


async def test_a_task_is_not_told_about_on_the_stream_of_its_call(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        await served.add_tool("slow", waiting(0.3))
        knows: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
        params: dict[str, Any] = {"name": "slow", "arguments": {"input_value": "x"}, "_meta": {"progressToken": "t"}}
        answer = await request(served, "tools/call", params, capabilities=knows)
    assert answer["result"]["resultType"] == "task"  # the stream's last message, though the run went on
