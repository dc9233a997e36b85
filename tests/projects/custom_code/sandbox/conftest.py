"""Workers of the real sandbox, and one text after another in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from textwrap import dedent, indent
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio

from projects.custom_code.host import Host, VertexDescription
from projects.custom_code.sandbox.command import Bounds
from projects.custom_code.sandbox.pool import SandboxPool
from projects.engine.values import Message

TEXT = """
import asyncio, ctypes, multiprocessing, os, re, signal, socket, subprocess, sys, tempfile, threading, time
from pathlib import Path
from lfx.custom import Component
from lfx.io import Output

class Probe(Component):
    outputs = [Output(name="out", method="probe")]

    async def probe(self) -> str:
"""


class SilentHost:
    """A run whose world offers nothing."""


@dataclass
class Sandboxes:
    pool: SandboxPool
    runs: count[int] = field(default_factory=count)

    async def say(self, body: str, *, run: str = "", owner: str = "ada", is_inside: bool = False, host: Any = None) -> str:
        """What the body of a component's method returns, as text; by default in a run of its own."""
        own = run or f"run {next(self.runs)}"
        code = TEXT + indent(dedent(body), " " * 8)
        where = VertexDescription(
            id="Probe-1",
            type="Probe",
            display_name="Probe",
            methods={"out": "probe"},
            run_id=own,
            user_id=owner,
            is_inside=is_inside,
        )
        try:
            outcome = await self.pool.run_vertex(code, where, {}, ["out"], cast(Host, host or SilentHost()))
        finally:
            if not run:
                self.end(own, owner)
        made = outcome.outputs["out"]
        return made.text if isinstance(made, Message) else str(made)

    def end(self, run: str, owner: str = "ada") -> None:
        ended: Any = SimpleNamespace(identity=SimpleNamespace(owner_id=owner, run_id=run))
        self.pool.run_ended(ended, cast(Any, None), 0.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandboxes() -> AsyncIterator[Sandboxes]:
    """With more time for each component than a busy machine takes for any of them."""
    async with SandboxPool(Bounds(seconds=60, memory_bytes=512 * 1024 * 1024, folder_bytes=8 * 1024 * 1024)) as pool:
        if pool.unavailable:
            pytest.skip(f"no sandbox here: {pool.unavailable}")
        yield Sandboxes(pool)
