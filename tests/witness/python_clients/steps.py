"""What every client here does with the witness project, and how it tells."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

QUICK = "quick_answer"
STEPS = "three_steps"
LONG = "two_seconds"  # longer than the witness server answers directly
SLOW = "slow_wait"

SECONDS_UNTIL_STARTED = 1.0


async def cancel_after_start(call: Coroutine[Any, Any, Any]) -> None:
    """Give a call up in the way every asyncio program does: cancel its task."""
    task = asyncio.ensure_future(call)
    await asyncio.wait([task], timeout=SECONDS_UNTIL_STARTED)
    task.cancel()
    await asyncio.wait([task], timeout=5)


def report(tools: list[str], text: str, progress: list[float]) -> None:
    print(json.dumps({"tools": tools, "text": text, "progress": progress}))
