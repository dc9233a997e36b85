"""The tool loop: ask the model, run the tools it wants side by side, tell it what came of them, until it answers.

Above: the Agent component. Below: a chat model, and tools that know nothing of each other.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeAlias

from projects.components.conversion import plain_text
from projects.engine.component import ComponentError, PauseRun
from projects.engine.tools import Tool
from projects.engine.values import Data, Message, Table, jsonable
from projects.errors import LimitReached
from projects.models.chat import ChatMessage, ChatModel, ChatOptions, Reply, TextChunk, ToolCall, ToolSpec, Usage

MAX_TOOL_TEXT = 200_000  # characters of one tool's answer that a model is told
MAX_NAME = 64
TOOLS_AT_ONCE = 16

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")

Block: TypeAlias = dict[str, Any]  # a content block of a message
OnText: TypeAlias = Callable[[str], Awaitable[None]]
OnSteps: TypeAlias = Callable[[Sequence[Block]], Awaitable[None]]


@dataclass(slots=True)
class AgentAnswer:
    """`steps` are the content blocks of the tool calls, in the order the model asked for them."""

    text: str = ""
    model: str = ""
    usage: Usage | None = None
    steps: list[Block] = field(default_factory=list)
    is_complete: bool = True  # False: the bound on model calls was reached before there was an answer


class AgentLoop:
    """One conversation with one model. `on_text` gets the answer's text as it comes, `on_steps` all tool calls whenever one changed."""

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
    ) -> None:
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
        turns = list(messages)
        answer = AgentAnswer(model=self._model.name)
        for _ in range(self._max_model_calls):
            reply = await self._ask(turns)
            answer.model = reply.model or answer.model
            if reply.usage is not None:
                answer.usage = reply.usage if answer.usage is None else answer.usage + reply.usage
            answer.text = reply.text
            if not reply.tool_calls:
                return answer
            turns.append(ChatMessage("assistant", reply.text, tool_calls=reply.tool_calls))
            turns.extend(await self._call_tools(reply.tool_calls, answer.steps))
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

    async def _call_tools(self, calls: Sequence[ToolCall], steps: list[Block]) -> list[ChatMessage]:
        """Every call of one turn, side by side; their answers in the order of the calls."""
        unreadable = next((call for call in calls if call.problem is not None), None)
        if unreadable is not None and not self._forgives_unreadable_calls:
            raise ComponentError(f"The model called {unreadable.name} with arguments that cannot be read: {unreadable.problem}")
        begun = [_begun(call) for call in calls]
        steps.extend(begun)
        await self._tell(steps)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._call(call, step, steps)) for call, step in zip(calls, begun, strict=True)]
        except ExceptionGroup as failures:  # a bound of the run, or a failure of who listens: what a tool raises ends in its answer
            raise failures.exceptions[0] from None
        return [
            ChatMessage("tool", "This call was given up." if task.cancelled() else task.result(), tool_call_id=call.id)
            for call, task in zip(calls, tasks, strict=True)
        ]

    async def _call(self, call: ToolCall, step: Block, steps: list[Block]) -> str:
        async with self._at_once:
            began = perf_counter()
            text, artifact, is_failure = await self._outcome(call)
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

    async def _outcome(self, call: ToolCall) -> tuple[str, Any, bool]:
        """What the model is told, the value behind it, and whether it is a failure."""
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            return f"There is no tool named {call.name!r}. The tools are: {known}.", None, True
        if call.problem is not None:
            return f"The arguments cannot be read: {call.problem} Call the tool again with one JSON object.", None, True
        if tool.needs_approval:
            return "A person would have to approve this call, and nobody can be asked during this run. Answer without it.", None, True
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
