"""The one event port: run events, cancel requests, changes of flows and files, to whoever listens.

Above: faces that follow a run or a project's tools. Below: nothing, or with PostgreSQL `other_processes.py`, which carries events to the
other processes on the database. Publishing to a topic nobody follows costs a dict lookup or two.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

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

    @property
    def has_unread(self) -> bool:
        return not self._waiting.empty()

    async def get(self) -> Any:
        return await self._waiting.get()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            yield await self._waiting.get()


class Carrier(Protocol):
    """The way to the listeners of other processes."""

    def publish(self, topic: str, event: Any) -> None: ...

    def listen(self, topic: str) -> None:
        """Somebody here listens to it from now on."""

    def leave(self, topic: str) -> None:
        """Nobody here does any more."""


class EventPort:
    """Topics are strings made by `run_topic`, `flows_topic` and `files_topic`; events are the domain's own frozen values."""

    def __init__(self) -> None:
        self._topics: dict[str, set[Subscription]] = {}
        self.carrier: Carrier | None = None

    @property
    def topics(self) -> list[str]:
        """Those that somebody here listens to."""
        return list(self._topics)

    def publish(self, topic: str, event: Any) -> None:
        self.publish_here(topic, event)
        if self.carrier is not None:
            self.carrier.publish(topic, event)

    def publish_here(self, topic: str, event: Any) -> None:
        """To listeners of this process only: it comes from elsewhere."""
        for subscription in self._topics.get(topic, ()):
            subscription.put(event)

    @contextmanager
    def subscribe(self, *topics: str) -> Iterator[Subscription]:
        """Listen for the length of a `with` block; only what is published inside it is seen."""
        subscription = Subscription()
        for topic in topics:
            listeners = self._topics.setdefault(topic, set())
            listeners.add(subscription)
            if len(listeners) == 1 and self.carrier is not None:
                self.carrier.listen(topic)
        try:
            yield subscription
        finally:
            for topic in topics:
                listeners = self._topics[topic]
                listeners.discard(subscription)
                if not listeners:
                    del self._topics[topic]
                    if self.carrier is not None:
                        self.carrier.leave(topic)


def run_topic(run_id: str) -> str:
    return f"run:{run_id}"


def stop_topic(process_id: str) -> str:
    """Ids of runs that this process is to stop."""
    return f"stop:{process_id}"


def webhooks_topic(flow_id: str) -> str:
    """What the flow's runs for webhooks tell, each as an `InnerEvent` of its run, the last a `RunEnded`."""
    return f"webhooks:{flow_id}"


STOPPING_TOPIC = "stopping"
"""Told in this process when it ends, so that streams without an end of their own are closed."""


def flows_topic(owner_id: str) -> str:
    return f"flows:{owner_id}"


def files_topic(owner_id: str) -> str:
    return f"files:{owner_id}"
