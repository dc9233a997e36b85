"""Turns to speak: the model gives one response at a time and refuses to begin another before its end, so what asks for one waits in line.

It also begins responses of its own accord, when it has heard a person. One that was asked for meanwhile is refused, and asked for again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from projects.voice.frames import with_event_id

MAX_TRIES = 5  # for one response
MAX_REMEMBERED = 16  # responses that were asked for, by their ids
TOO_EARLY = "conversation_already_has_active_response"


@dataclass(slots=True)
class _Turn:
    events: list[dict[str, Any]]
    tries: int = 0

    @property
    def asks(self) -> bool:
        return bool(self.events[-1]["type"] == "response.create")


class Turns:
    """`run` sends; the others are told what the model said."""

    def __init__(self, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._send = send
        self._waiting: deque[_Turn] = deque()
        self._asked: dict[str, _Turn] = {}  # by the id of their last event
        self._is_free = True  # no response goes on or was asked for
        self._is_responding = False
        self._changed = asyncio.Event()

    @property
    def waiting_count(self) -> int:
        return len(self._waiting)

    def add(self, *events: Mapping[str, Any]) -> None:
        """To be sent together and in this order; when the last one asks for a response, as soon as there may be one."""
        self._waiting.append(_Turn([with_event_id(event) for event in events]))
        self._changed.set()

    async def run(self) -> None:
        while True:
            while not self._waiting or (self._waiting[0].asks and not self._is_free):
                self._changed.clear()
                await self._changed.wait()
            turn = self._waiting.popleft()
            if turn.asks:
                self._is_free = False
                turn.tries += 1
                self._asked[turn.events[-1]["event_id"]] = turn
                while len(self._asked) > MAX_REMEMBERED:
                    del self._asked[next(iter(self._asked))]
            for event in turn.events:
                await self._send(event)

    def began(self) -> None:
        """Asked for or not, the model has begun a response."""
        self._is_responding, self._is_free = True, False

    def ended(self) -> None:
        self._is_responding, self._is_free = False, True
        self._changed.set()

    def refused(self, event: Mapping[str, Any]) -> bool:
        """The model's event of an error; whether it only means that a response will be asked for again."""
        error = event.get("error")
        details = error if isinstance(error, dict) else {}
        id, is_early = details.get("event_id"), details.get("code") == TOO_EARLY
        turn: _Turn | None = None
        if isinstance(id, str) and id:
            turn = self._asked.pop(id, None)
            if turn is None:
                return False  # it was something else that went wrong
        elif is_early and self._asked:  # from a server that does not tell whose error it is
            turn = self._asked.pop(next(reversed(self._asked)))
        is_again = turn is not None and is_early and turn.tries < MAX_TRIES
        if turn is not None and is_again:
            turn.events = turn.events[-1:]  # what came before it was taken
            self._waiting.appendleft(turn)
        self._is_free = not self._is_responding
        self._changed.set()
        return is_again
