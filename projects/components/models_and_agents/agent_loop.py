"""The tool loop: ask the model, run the tools it wants side by side, tell it what came of them, until it answers.

Above: the Agent component. Below: a chat model, and tools that know nothing of each other.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeAlias

from projects.components.conversion import plain_text
from projects.components.models_and_agents import agent_memory
from projects.components.models_and_agents.agent_memory import AgentAnswer, Block
from projects.engine.component import ComponentError, PauseRun
from projects.engine.questions import Answer, Question
from projects.engine.tools import Tool
from projects.engine.values import Data, Message, Table, jsonable
from projects.errors import LimitReached
from projects.models.chat import ChatMessage, ChatModel, ChatOptions, Reply, TextChunk, ToolCall, ToolSpec

MAX_TOOL_TEXT = 200_000  # characters of one tool's answer that a model is told
MAX_ASKED_TEXT = 2_000  # characters of a call's arguments that a person is shown
MAX_NAME = 64
TOOLS_AT_ONCE = 16

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")

OnText: TypeAlias = Callable[[str], Awaitable[None]]
OnSteps: TypeAlias = Callable[[Sequence[Block]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Approvals:
    """How a person is asked before a tool is called: the asking vertex, a beginning for the ids of questions, and what was answered."""

    vertex_id: str
    prefix: str
    answers: Mapping[str, Answer]

    def question(self, id: str, call: ToolCall, tool: Tool) -> Question:
        shown = json.dumps(dict(call.arguments), ensure_ascii=False, default=str)
        if len(shown) > MAX_ASKED_TEXT:
            shown = shown[:MAX_ASKED_TEXT] + "…"
        return Question(
            id=id,
            vertex_id=self.vertex_id,
            kind="tool_approval",
            message=f"May the agent call {call.name} ({tool.display_name or tool.name}) with {shown}?",
            schema={"type": "object", "properties": {}},
        )

    def id_of(self, turn: int, place: int) -> str:
        """By the call's place: what providers call their calls need not be unique."""
        return f"{self.prefix}:{turn}.{place + 1}"


class AgentLoop:
    """One conversation with one model. `on_text` gets the answer's text as it comes, `on_steps` all tool calls whenever one changed.

    Without `approvals` a tool that needs one is not called. With them `run` raises PauseRun, whose memory `go_on` takes later.
    """

    def __init__(
        self,
        model: ChatModel,
        tools: Iterable[Tool],
        *,
        options: ChatOptions,
        max_model_calls: int,
        forgives_unreadable_calls: bool = True,
        on_text: OnText | None = None,
        on_steps: OnSteps | None = None,
        approvals: Approvals | None = None,
    ) -> None:
        self._approvals = approvals
        self._model = model
        self._tools = named(tools)
        self._specs = [ToolSpec(name, tool.description, tool.parameters) for name, tool in self._tools.items()]
        self._options = options
        self._max_model_calls = max_model_calls
        self._forgives_unreadable_calls = forgives_unreadable_calls
        self._on_text = on_text
        self._on_steps = on_steps
        self._at_once = asyncio.Semaphore(TOOLS_AT_ONCE)

    async def run(self, messages: Sequence[ChatMessage]) -> AgentAnswer:
        """Until the model answers without wanting a tool, or the bound is reached.

        A model's failure is raised, a tool's is told to the model.
        """
        return await self._converse(list(messages), AgentAnswer(model=self._model.name), asked=0)

    async def go_on(self, memory: Mapping[str, Any]) -> AgentAnswer:
        """Where an earlier `run` had to ask a person: the model is not asked again for what it has said."""
        turns, answer, calls, texts = agent_memory.recalled(memory)
        asked = memory["asked"]
        turns.extend(await self._call_tools(asked, calls, answer.steps, turns, answer, texts=texts))
        return await self._converse(turns, answer, asked=asked)

    async def _converse(self, turns: list[ChatMessage], answer: AgentAnswer, *, asked: int) -> AgentAnswer:
        for turn in range(asked + 1, self._max_model_calls + 1):
            began = perf_counter()
            reply = await self._ask(turns)
            answer.duration_ms = round((perf_counter() - began) * 1000)
            answer.model = reply.model or answer.model
            if reply.usage is not None:
                answer.usage = reply.usage if answer.usage is None else answer.usage + reply.usage
            answer.text = reply.text
            if not reply.tool_calls:
                return answer
            turns.append(ChatMessage("assistant", reply.text, tool_calls=reply.tool_calls))
            turns.extend(await self._call_tools(turn, reply.tool_calls, answer.steps, turns, answer))
        answer.is_complete = False
        return answer

    async def _ask(self, turns: Sequence[ChatMessage]) -> Reply:
        if self._on_text is None:
            return await self._model.reply(turns, tools=self._specs, options=self._options)
        reply: Reply | None = None
        # Closed here and now when this task is cancelled, so that no connection to a provider stays open behind a run.
        async with aclosing(self._model.stream(turns, tools=self._specs, options=self._options)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                if isinstance(piece, TextChunk):
                    await self._on_text(piece.text)
                else:
                    reply = piece
        if reply is None:
            raise ComponentError(f"The model {self._model.name} stopped in the middle of its answer.")
        return reply

    async def _call_tools(
        self,
        turn: int,
        calls: Sequence[ToolCall],
        steps: list[Block],
        turns: Sequence[ChatMessage],
        answer: AgentAnswer,
        *,
        texts: dict[str, str] | None = None,
    ) -> list[ChatMessage]:
        """Every call of one turn, side by side; their answers in the order of the calls.

        `texts` are, by place among the calls, the answers that were there before a person was asked. Calls that need no approval are made
        before anybody is asked about the others.
        """
        if texts is None:
            unreadable = next((call for call in calls if call.problem is not None), None)
            if unreadable is not None and not self._forgives_unreadable_calls:
                raise ComponentError(f"The model called {unreadable.name} with arguments that cannot be read: {unreadable.problem}")
            steps.extend(_begun(call) for call in calls)
            await self._tell(steps)
            texts = {}
        begun = steps[len(steps) - len(calls) :]
        questions = self._questions(turn, calls, texts)
        to_call = [place for place, call in enumerate(calls) if str(place) not in texts and self._id_of(turn, place) not in questions]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    place: group.create_task(self._call(self._id_of(turn, place), calls[place], begun[place], steps)) for place in to_call
                }
        except ExceptionGroup as failures:  # a bound of the run, or a failure of who listens: what a tool raises ends in its answer
            raise failures.exceptions[0] from None
        texts |= {str(place): "This call was given up." if task.cancelled() else task.result() for place, task in tasks.items()}
        if questions:
            raise PauseRun(tuple(questions.values()), agent_memory.kept(turns, answer, calls, texts, asked=turn))
        return [ChatMessage("tool", texts[str(place)], tool_call_id=call.id) for place, call in enumerate(calls)]

    def _questions(self, turn: int, calls: Sequence[ToolCall], texts: Mapping[str, str]) -> dict[str, Question]:
        """What a person has to be asked first, by id."""
        if self._approvals is None:
            return {}
        questions: dict[str, Question] = {}
        for place, call in enumerate(calls):
            tool = self._tools.get(call.name)
            if tool is None or not tool.needs_approval or call.problem is not None or str(place) in texts:
                continue
            id = self._approvals.id_of(turn, place)
            if id not in self._approvals.answers:
                questions[id] = self._approvals.question(id, call, tool)
        return questions

    def _id_of(self, turn: int, place: int) -> str:
        return "" if self._approvals is None else self._approvals.id_of(turn, place)

    async def _call(self, question_id: str, call: ToolCall, step: Block, steps: list[Block]) -> str:
        async with self._at_once:
            began = perf_counter()
            text, artifact, is_failure = await self._outcome(question_id, call)
            step["duration"] = round((perf_counter() - began) * 1000)
        step["header"] = {"title": f"{'Error using' if is_failure else 'Executed'} **{call.name}**", "icon": "Hammer"}
        step["error"] = text if is_failure else None
        step["output"] = {
            "content": text,
            "type": "tool",
            "name": call.name,
            "tool_call_id": call.id,
            "artifact": artifact,
            "status": "error" if is_failure else "success",
        }
        await self._tell(steps)
        return text

    async def _outcome(self, question_id: str, call: ToolCall) -> tuple[str, Any, bool]:
        """What the model is told, the value behind it, and whether it is a failure."""
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            return f"There is no tool named {call.name!r}. The tools are: {known}.", None, True
        if call.problem is not None:
            return f"The arguments cannot be read: {call.problem} Call the tool again with one JSON object.", None, True
        if tool.needs_approval:
            approval = None if self._approvals is None else self._approvals.answers.get(question_id)
            if approval is None:
                return "A person would have to approve this call, and nobody can be asked here. Answer without it.", None, True
            if approval.action != "accept":
                return "A person was asked and declined this call. Do not try it again; go on without it.", None, True
        try:
            value = await tool.call(call.arguments)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is None or current.cancelling():
                raise
            return "The call was given up by what it waited for.", None, True  # nobody cancelled this run
        except PauseRun:
            return "The call would have to wait for a person, which it cannot do as a tool.", None, True
        except LimitReached:
            raise  # a bound of the run, not of the tool
        except Exception as error:  # Whatever else a tool raises is an answer to the model: the agent goes on.
            return _bounded(str(error) or type(error).__name__), None, True
        return _bounded(tool_text(value)), jsonable(value), False

    async def _tell(self, steps: Sequence[Block]) -> None:
        if self._on_steps is not None:
            await self._on_steps(steps)


def named(tools: Iterable[Tool]) -> dict[str, Tool]:
    """Name → tool, in order. Of two tools with one name the later gets its node's id behind it; names become what providers accept."""
    found: dict[str, Tool] = {}
    for tool in tools:
        name = _NOT_IN_NAMES.sub("_", tool.name)[:MAX_NAME] or "tool"
        if name in found:
            suffix = "_" + (_NOT_IN_NAMES.sub("_", tool.node_id.rpartition("-")[2])[:20] or "2")
            name = name[: MAX_NAME - len(suffix)] + suffix
        number = 2
        while name in found:
            ending = f"_{number}"
            name = name.removesuffix(f"_{number - 1}")[: MAX_NAME - len(ending)] + ending
            number += 1
        found[name] = tool
    return found


def tool_text(value: Any) -> str:
    """A tool's value as a model reads it: text as it is, tables as markdown, everything else as JSON."""
    match value:
        case None:
            return ""
        case str() | Message() | Table():
            return plain_text(value)
        case Data():
            return json.dumps(jsonable(value.data), ensure_ascii=False)
        case _:
            return json.dumps(jsonable(value), ensure_ascii=False)


def _begun(call: ToolCall) -> Block:
    return {
        "type": "tool_use",
        "duration": None,
        "header": {"title": f"Accessing **{call.name}**", "icon": "Hammer"},
        "name": call.name,
        "tool_input": dict(call.arguments),
        "output": None,
        "error": None,
    }


def _bounded(text: str) -> str:
    if len(text) <= MAX_TOOL_TEXT:
        return text
    return f"{text[:MAX_TOOL_TEXT]}\n… (cut: {len(text) - MAX_TOOL_TEXT:,} more characters)"
