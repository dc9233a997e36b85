"""Carries events between the processes on one PostgreSQL database.

Above: the event port. Below: `storage/notifications.py`. What a run tells is sent only when somebody elsewhere listens: each process says
what it listens to. Everything else is rare and always sent. An event may be lost with a connection, so whoever follows a run also looks at
its record from time to time.
"""

import json
import logging
from collections.abc import Callable
from typing import Any

from projects.engine import snapshot
from projects.runs import event_text
from projects.runs.events import EventPort, stop_topic
from storage.notifications import Notifications

logger = logging.getLogger(__name__)

_MAX_TOPICS = 10_000  # of the others, remembered here


class OtherProcesses:
    """One a process. Texts are [what, topic or topics, event]; `what` is hello, listen, leave or event, then comes who."""

    def __init__(self, process_id: str, events: EventPort) -> None:
        self._process_id = process_id
        self._events = events
        self._wanted: dict[str, set[str]] = {}  # topic → processes that listen to it
        self._notifications: Notifications | None = None

    def begin(self, notifications: Notifications) -> None:
        self._notifications = notifications
        self._events.carrier = self
        self.say_hello()

    def end(self) -> None:
        self._events.carrier = None
        self._notifications = None

    def say_hello(self) -> None:
        """After a connection is made: what is listened to here, and that the others may say the same."""
        self._send("hello", self._events.topics)

    # --- from here to the others

    def publish(self, topic: str, event: Any) -> None:
        if topic not in self._wanted and topic.startswith("run:"):
            return
        try:
            text = event_text.to_text(event)
        except snapshot.CannotKeep:
            logger.warning("An event of kind %s stays in this process", type(event).__name__)
            return
        self._send("event", topic, text)

    def listen(self, topic: str) -> None:
        self._send("listen", [topic])

    def leave(self, topic: str) -> None:
        self._send("leave", [topic])

    def _send(self, what: str, *values: Any) -> None:
        if self._notifications is not None:
            self._notifications.send(json.dumps([what, self._process_id, *values]))

    # --- from the others to here

    def take(self, text: str) -> None:
        what, process_id, *values = json.loads(text)
        match what:
            case "event":
                topic, event = values
                try:
                    self._events.publish_here(topic, event_text.from_text(event))
                except event_text.Unreadable:
                    logger.warning("An event of another version was left out")
            case "hello":
                for listeners in self._wanted.values():
                    listeners.discard(process_id)
                self._add(process_id, values[0])
                self._send("listen", self._events.topics)
            case "listen":
                self._add(process_id, values[0])
            case "leave":
                for topic in values[0]:
                    self._forget(process_id, topic)
            case _:
                logger.info("Another process says %r, which this version does not know", what)

    def forget(self, process_ids: list[str]) -> None:
        """They have ended."""
        for process_id in process_ids:
            for topic in tuple(self._wanted):
                self._forget(process_id, topic)

    def _add(self, process_id: str, topics: list[str]) -> None:
        for topic in topics:
            if topic in self._wanted or len(self._wanted) < _MAX_TOPICS:
                self._wanted.setdefault(topic, set()).add(process_id)

    def _forget(self, process_id: str, topic: str) -> None:
        if (listeners := self._wanted.get(topic)) is not None:
            listeners.discard(process_id)
            if not listeners:
                del self._wanted[topic]


async def follow_others(process_id: str, events: EventPort, stop: Callable[[str], None]) -> None:
    """Do at once what other processes ask of this one; it would be seen a little later in the database too."""
    with events.subscribe(stop_topic(process_id)) as asked:
        async for run_id in asked:
            stop(run_id)
