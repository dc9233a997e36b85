"""Reads one response of the model out while the model still writes it, sentence by sentence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from projects.errors import HeadwaterError
from projects.voice.speech import Sentences, Speech

if TYPE_CHECKING:
    from projects.voice.conversation import Conversation

MAX_CHARACTERS = 100_000  # of one response; what comes after is written but not spoken


class Speaker:
    """`task` runs `run`. Add pieces, then `finish` once; or `stop` at any time."""

    def __init__(self, conversation: Conversation, speech: Speech, response_id: str) -> None:
        self._conversation = conversation
        self._speech = speech
        self._response_id = response_id
        self._sentences = Sentences()
        self._length = 0
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._done = ""
        self.task: asyncio.Task[None] | None = None

    def add(self, piece: str) -> None:
        self._length += len(piece)
        if self._length <= MAX_CHARACTERS:
            for sentence in self._sentences.add(piece):
                self._queue.put_nowait(sentence)

    def finish(self, done: str) -> None:
        """The response is whole; `done` is the model's event that says so, told after the last sound."""
        self._done = done
        for sentence in (*self._sentences.rest(), None):
            self._queue.put_nowait(sentence)

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def wait(self) -> None:
        """Until it has ended; a response that was whole before it was stopped is told as done."""
        if self.task is not None:
            await asyncio.wait({self.task})
        await self._tell_done()

    async def run(self) -> None:
        try:
            while (sentence := await self._queue.get()) is not None:
                async for piece in self._speech.speak(sentence):
                    await self._conversation.say(piece, self._response_id)
        except HeadwaterError as error:
            await self._conversation.complain(error.code, error.message)
            while await self._queue.get() is not None:
                pass
        await self._conversation.outbox.put({"type": "response.audio.done", "response_id": self._response_id})
        await self._tell_done()

    async def _tell_done(self) -> None:
        done, self._done = self._done, ""
        if done:
            await self._conversation.outbox.put(done)
