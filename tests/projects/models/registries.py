"""A registry of models with what a test sets, and one run's view of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from projects.models.choice import ModelRegistry, ModelSettings, RunModels
from projects.outgoing.guard import Guard


@asynccontextmanager
async def models(variables: Mapping[str, str] | None = None, *, allowed: Sequence[str] = (), **settings: Any) -> AsyncIterator[RunModels]:
    """`variables` are the keys that the run finds."""
    known = dict(variables or {})

    async def resolve(name: str) -> str | None:
        return known.get(name)

    said = {"ollama_base_url": "", "max_retries": 0, "timeout_seconds": 5.0, **settings}
    async with ModelRegistry(ModelSettings(**said), Guard(allowed)) as registry:
        yield registry.for_run(owner_id="someone", resolve=resolve)
