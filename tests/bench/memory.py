"""`python -m tests.bench.memory`: what thousands of runs with a loop, a flow in a flow and an agent leave behind in the server's memory.

The model is a stub in this process; the server is one of its own, started as a person starts it. Ends with exit code 1 when the memory
after all runs is more than a tenth above that after the first ones.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from tests import flow_documents as flows
from tests.agent_documents import CALCULATOR, MODEL, agent
from tests.bench.__main__ import _found, headwater, memory_megabytes
from tests.bench.load import Target, post_json, send
from tests.model_server import Calls, Received, Says, model_server

CALLS_FIRST = 500
CALLS = 5_000
CALLS_A_SESSION = 50
CALLERS = 2
MAX_GROWTH = 0.10

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


async def main() -> int:
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
            done, first = 0, 0.0
            while done < CALLS:
                await run(server.port, path, key, calls=CALLS_FIRST, since=done)
                done += CALLS_FIRST
                models.requests.clear()
                used = memory_megabytes(server.process)
                first = first or used
                print(f"memory after {done:>5,} runs: {used:.1f} MB  (x {used / first:.3f})", flush=True)
    return 0 if used <= first * (1 + MAX_GROWTH) else 1


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main()))
