"""`python -m tests.bench.memory --runs 20000`: what so many runs with a loop, a flow in a flow and an agent leave behind in the server.

The model is a stub in this process; the server is one of its own, started as a person starts it. Ends with exit code 1 when the second half
of the runs made the memory grow by more than a kilobyte a run, or left files or threads open.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import uvloop

from tests import flow_documents as flows
from tests.agent_documents import CALCULATOR, MODEL, agent
from tests.bench.__main__ import _found, headwater, memory_megabytes
from tests.bench.load import Target, post_json, send
from tests.model_server import Calls, Received, Says, model_server

RUNS = 5_000
RUNS_BETWEEN_LOOKS = 500
CALLS_A_SESSION = 50
CALLERS = 2
MAX_KILOBYTES_A_RUN = 1.0
MAX_MORE_OPEN = 3  # files or threads that come and go

ROWS = '[{"n": 1}, {"n": 2}, {"n": 3}]'
INNER = "Memory inner"


def calculates(received: Received) -> Calls | Says:
    last = received.messages[-1]
    return Says("It is 42.") if last["role"] == "tool" else Calls(("evaluate_expression", {"expression": "6*7"}))


def inner_flow() -> dict[str, Any]:
    return {"name": INNER, "data": flows.echo()}


def outer_flow() -> dict[str, Any]:
    """Rows through a loop, what comes of them through another flow, and that to an agent with a tool."""
    to_table = flows.node(
        "TypeConverterComponent",
        "TypeConverterComponent-t",
        {"input_data": {"value": "", "type": "other"}, "auto_parse": True, "output_type": "DataFrame"},
        outputs=("dataframe_output",),
    )
    helper = agent(n_messages=4)
    helper["data"]["node"]["outputs"][0]["method"] = "message_response"
    calculator = {**CALCULATOR}
    calculator["data"]["node"]["outputs"][0]["method"] = "to_toolkit"
    nodes = [
        flows.chat_input(),
        to_table,
        flows.loop("LoopComponent-l"),
        _parser("ParserComponent-body", "row {n}"),
        _parser("ParserComponent-done", "- {text}"),
        flows.run_flow("RunFlow-r", INNER),
        calculator,
        helper,
        flows.chat_output(),
    ]
    edges = [
        flows.edge("ChatInput-in", "TypeConverterComponent-t", "input_data"),
        flows.edge("TypeConverterComponent-t", "LoopComponent-l", "data", output="dataframe_output"),
        flows.edge("LoopComponent-l", "ParserComponent-body", "input_data", output="item"),
        flows.edge_back("ParserComponent-body", "LoopComponent-l", output="parsed_text"),
        flows.edge("LoopComponent-l", "ParserComponent-done", "input_data", output="done"),
        flows.edge("ParserComponent-done", "RunFlow-r", "ChatInput-in~input_value", output="parsed_text"),
        flows.edge("RunFlow-r", "Agent-a", "input_value", output="ChatOutput-out~message"),
        flows.edge("CalculatorComponent-c", "Agent-a", "tools", output="component_as_tool"),
        flows.edge("Agent-a", "ChatOutput-out", "input_value", output="response"),
    ]
    return {"name": "Memory outer", "data": flows.document(nodes, edges)}


def _parser(id: str, pattern: str) -> dict[str, Any]:
    fields = {"input_data": {"value": "", "type": "other"}, "mode": "Parser", "pattern": pattern, "sep": "\n"}
    return flows.node("ParserComponent", id, fields, outputs=("parsed_text",))


async def run(port: int, path: str, key: Mapping[str, str], *, calls: int, since: int) -> None:
    """That many runs, each session for a few of them."""
    for number in range(since, since + calls, CALLS_A_SESSION):
        body = {"input_value": ROWS, "session_id": f"session {number}"}
        await send(Target("/run", port, path, body, key, b"It is 42."), calls=CALLS_A_SESSION, callers=CALLERS)


@dataclass(frozen=True, slots=True)
class Look:
    """What the server holds after so many runs."""

    runs: int
    megabytes: float
    files: int
    threads: int


def look(process: Process, runs: int) -> Look:
    """Tasks are not seen from outside: one that is left holds what its run held, which is memory."""
    folder = Path(f"/proc/{process.pid}")
    return Look(runs, memory_megabytes(process), len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir())))


def kilobytes_a_run(looks: Sequence[Look]) -> float:
    """The slope of the line that lies nearest to the looks."""
    mean_runs, mean = fmean(look.runs for look in looks), fmean(look.megabytes for look in looks)
    spread = sum((look.runs - mean_runs) ** 2 for look in looks)
    return 1024 * sum((look.runs - mean_runs) * (look.megabytes - mean) for look in looks) / spread if spread else 0.0


def verdict(looks: Sequence[Look]) -> int:
    """0 when nothing gathers. The first half is left out: caches fill, and the allocator finds its size."""
    settled = looks[len(looks) // 2 - 1 :] if len(looks) > 2 else looks
    slope, first, last = kilobytes_a_run(settled), settled[0], settled[-1]
    print(f"growth over the last {last.runs - first.runs:,} runs: {slope:.2f} kB a run; at most {MAX_KILOBYTES_A_RUN:g} are good")
    gathers = last.files - first.files > MAX_MORE_OPEN or last.threads - first.threads > MAX_MORE_OPEN
    if gathers:
        print(f"files {first.files} → {last.files}, threads {first.threads} → {last.threads}: something stays open")
    return 1 if gathers or slope > MAX_KILOBYTES_A_RUN else 0


async def main(runs: int) -> int:
    looks: list[Look] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-memory-")))
        models = stack.enter_context(model_server())
        models.script(MODEL, calculates)
        os.environ["OPENAI_BASE_URL"] = models.address  # for the server, as an operator sets it
        async with headwater(folder, until="Stop with Ctrl+C") as server:
            key = {"x-api-key": _found(r"API key\s+(sk-\S+)", server.output)}
            await post_json(server.port, "/api/v1/flows/", inner_flow(), key)
            flow = await post_json(server.port, "/api/v1/flows/", outer_flow(), key)
            path = f"/api/v1/run/{flow['id']}"
            for done in range(0, runs, RUNS_BETWEEN_LOOKS):
                await run(server.port, path, key, calls=RUNS_BETWEEN_LOOKS, since=done)
                models.requests.clear()
                looks.append(seen := look(server.process, done + RUNS_BETWEEN_LOOKS))
                print(f"after {seen.runs:>6,} runs: {seen.megabytes:.1f} MB, {seen.files} files, {seen.threads} threads", flush=True)
    return verdict(looks)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.memory")
    arguments.add_argument("--runs", type=int, default=RUNS, help=f"in steps of {RUNS_BETWEEN_LOOKS}; default {RUNS}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(arguments.parse_args().runs)))
