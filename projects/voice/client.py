"""The person's side of a conversation: what the face gives us of it, how it ends, and what is still to be sent to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from pydantic_core import to_json

GOODBYE_SECONDS = 5.0  # that the last words may take
OUTBOX_BYTES = 8 * 1024 * 1024  # two minutes of speech


class CloseCode(IntEnum):
    """WebSocket close codes; from 4000 on they are ours."""

    NORMAL = 1000
    NOT_TEXT = 1003
    TOO_SLOW = 1008
    INTERNAL = 1011
    BAD_GATEWAY = 1014
    TIME_IS_OVER = 4408


class ClientGone(Exception):
    """Nobody is there any more."""


class ConversationOver(Exception):
    """Raised in any part of a conversation to end it all."""

    def __init__(self, code: CloseCode, reason: str, event: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.ending = Ending(code, reason, event)


@dataclass(frozen=True, slots=True)
class Ending:
    """`event` is still to be told before the socket closes."""

    code: CloseCode
    reason: str = ""
    event: Mapping[str, Any] | None = None


class Client(Protocol):
    async def receive(self) -> str:
        """The next text. Raises ClientGone; ConversationOver for what is no text."""
        ...

    async def send(self, text: str) -> None:
        """Returns when the connection has taken it, which waits for a slow reader. Raises ClientGone."""
        ...


def error_event(code: str, message: str, **more: Any) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": message, **more}


class Outbox:
    """What is still to be sent, in order and bounded: who puts waits for room. One writer takes."""

    def __init__(self, limit_bytes: int = OUTBOX_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._texts: deque[tuple[str, bool]] = deque()
        self._changed = asyncio.Condition()

    async def put(self, event: str | Mapping[str, Any], *, is_audio: bool = False) -> None:
        """`is_audio`: it is taken back when the person interrupts."""
        text = event if isinstance(event, str) else to_json(event, inf_nan_mode="null").decode()
        async with self._changed:
            # One that is larger than the whole box waits until the box is empty.
            await self._changed.wait_for(lambda: not self._texts or self._size_bytes + len(text) <= self._limit_bytes)
            self._texts.append((text, is_audio))
            self._size_bytes += len(text)
            self._changed.notify_all()

    async def take(self) -> str:
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._texts))
            text, _ = self._texts.popleft()
            self._size_bytes -= len(text)
            self._changed.notify_all()
            return text

    async def drop_audio(self) -> None:
        async with self._changed:
            self._texts = deque(each for each in self._texts if not each[1])
            self._size_bytes = sum(len(text) for text, _ in self._texts)
            self._changed.notify_all()

    def take_rest(self) -> list[str]:
        """Everything that is left, at the end."""
        rest = [text for text, _ in self._texts]
        self._texts.clear()
        self._size_bytes = 0
        return rest
