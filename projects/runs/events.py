"""The one event port: run events, cancel requests and flow changes, to whoever listens in this process.

Below: nothing. Above: faces that follow a run or a project's tools. Publishing to a topic nobody follows costs a dict lookup.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

QUEUE_LIMIT = 1_000


class Subscription:
    """What one listener has not read yet. When it falls `QUEUE_LIMIT` events behind, the oldest are dropped and `missed` counts them."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Any] = asyncio.Queue(QUEUE_LIMIT)
        self.missed = 0

    def put(self, event: Any) -> None:
        if self._waiting.full():
            self._waiting.get_nowait()
            self.missed += 1
        self._waiting.put_nowait(event)

    async def get(self) -> Any:
        return await self._waiting.get()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            yield await self._waiting.get()


class EventPort:
    """Topics are strings made by `run_topic` and `flows_topic`; events are the domain's own frozen values."""

    def __init__(self) -> None:
        self._topics: dict[str, set[Subscription]] = {}

    def publish(self, topic: str, event: Any) -> None:
        for subscription in self._topics.get(topic, ()):
            subscription.put(event)

    @contextmanager
    def subscribe(self, topic: str) -> Iterator[Subscription]:
        """Listen for the length of a `with` block; only what is published inside it is seen."""
        subscription = Subscription()
        self._topics.setdefault(topic, set()).add(subscription)
        try:
            yield subscription
        finally:
            listeners = self._topics[topic]
            listeners.discard(subscription)
            if not listeners:
                del self._topics[topic]


def run_topic(run_id: str) -> str:
    return f"run:{run_id}"


def flows_topic(owner_id: str) -> str:
    return f"flows:{owner_id}"
