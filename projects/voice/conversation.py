"""One conversation: a client, a realtime model, and the tasks between them, which end together whatever ends first.

What the sides say is decided in `tool_conversation.py` and `spoken_flow.py`; here is what both have in common: limits, the order of what is
sent, and that nothing is left running.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from projects.errors import HeadwaterError
from projects.voice.client import GOODBYE_SECONDS, Client, ClientGone, CloseCode, ConversationOver, Ending, Outbox, error_event
from projects.voice.flow_runs import FlowAnswer, FlowRuns
from projects.voice.frames import with_event_id
from projects.voice.realtime import Realtime, RealtimeClosed
from projects.voice.realtime_ga import from_ga
from projects.voice.settings import VoiceSettings
from projects.voice.speech import ELEVENLABS_VOICE, Speech, is_voice

MIN_COMMIT_CHARACTERS = 100  # of base64: less than that is no word, and the model answers with an error
ELEVENLABS_KEY = "ELEVENLABS_API_KEY"

MakeElevenLabs = Callable[[str], Speech | None]
"""Of a voice id; None without a key."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Who takes part."""

    client: Client
    model: Realtime
    flow: FlowRuns
    make_elevenlabs: MakeElevenLabs


class Conversation(ABC):
    def __init__(self, sides: Sides, settings: VoiceSettings) -> None:
        self._client = sides.client
        self._model = sides.model
        self._flow = sides.flow
        self._make_elevenlabs = sides.make_elevenlabs
        self._settings = settings
        self._group: asyncio.TaskGroup | None = None
        self._idle: asyncio.Timeout | None = None
        self._unheard_characters = 0  # of audio since the last commit
        self.outbox = Outbox()
        self.elevenlabs: Speech | None = None  # None: the model's own voice

    # --- from beginning to end

    async def run(self) -> Ending:
        """Until one side leaves or a limit is reached. Cancelling it ends everything too."""
        settings = self._settings
        ending: Ending
        try:
            async with asyncio.timeout(settings.max_seconds) as whole, asyncio.timeout(settings.idle_seconds) as self._idle:
                ending = await self._until_over()
        except TimeoutError:
            text = "This conversation has lasted as long as one may." if whole.expired() else "Nobody has said anything for a while."
            ending = Ending(CloseCode.TIME_IS_OVER, text, error_event("time_is_over", f"{text} Connect again to go on."))
        await self._say_goodbye(ending)
        return ending

    async def _until_over(self) -> Ending:
        ending = Ending(CloseCode.NORMAL)
        try:
            async with asyncio.TaskGroup() as self._group:
                self.go_on(self._write_to_client(), "voice: to the client")
                self.go_on(self._read_from_client(), "voice: from the client")
                self.go_on(self._read_from_model(), "voice: from the model")
                self.go_on(self.begin(), "voice: beginning")
        except* ConversationOver as ended:
            first = ended.exceptions[0]
            if isinstance(first, ConversationOver):
                ending = first.ending
        except* ClientGone:
            pass
        except* RealtimeClosed as closed:
            text = str(closed.exceptions[0])
            ending = Ending(CloseCode.BAD_GATEWAY, "The realtime model is gone.", error_event(RealtimeClosed.code, text))
        return ending

    def go_on(self, work: Any, name: str) -> asyncio.Task[None]:
        """A part of this conversation, which ends no later than it."""
        assert self._group is not None, "the conversation has not begun"
        task: asyncio.Task[None] = self._group.create_task(work, name=name)
        return task

    async def _say_goodbye(self, ending: Ending) -> None:
        """What was told before the end, as far as the client still reads. The end itself is told by whoever closes the socket."""
        if ending.code is CloseCode.TOO_SLOW:
            return
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                for text in self.outbox.take_rest():
                    await self._client.send(text)
        except (ClientGone, TimeoutError):
            return  # nobody reads it

    # --- the lines between the sides

    async def _write_to_client(self) -> None:
        while True:
            text = await self.outbox.take()
            try:
                async with asyncio.timeout(self._settings.slow_seconds):
                    await self._client.send(text)
            except TimeoutError:
                raise ConversationOver(CloseCode.TOO_SLOW, "You read too slowly; connect again and read what comes.") from None

    async def _read_from_client(self) -> None:
        while True:
            text = await self._client.receive()
            self._touch()
            try:
                message = from_json(text)
            except ValueError:
                message = None
            kind = message.get("type") if isinstance(message, dict) else None
            if not isinstance(kind, str):
                await self.complain("invalid_message", "Send JSON objects with a type, such as input_audio_buffer.append.")
            elif kind == "input_audio_buffer.append":
                await self._append(message)
            elif kind == "input_audio_buffer.commit":
                if self._unheard_characters > MIN_COMMIT_CHARACTERS:
                    self._unheard_characters = 0
                    await self._model.send(with_event_id({"type": kind, "event_id": message.get("event_id")}))
            elif kind == "langflow.elevenlabs.config":
                await self._configure_elevenlabs(message)
            else:
                message = from_ga(message)
                await self.on_client(message["type"], message)

    async def _read_from_model(self) -> None:
        while True:
            text, event = await self._model.receive()
            self._touch()
            await self.on_model(str(event.get("type") or ""), event, text)

    def _touch(self) -> None:
        """Somebody said something."""
        if self._idle is not None and not self._idle.expired():
            self._idle.reschedule(asyncio.get_running_loop().time() + self._settings.idle_seconds)

    async def _append(self, message: Mapping[str, Any]) -> None:
        audio = message.get("audio")
        if not isinstance(audio, str):
            await self.complain("invalid_message", "input_audio_buffer.append needs audio: 16-bit samples in base64, as a text.")
        elif audio:
            self._unheard_characters += len(audio)
            await self._model.send({"type": "input_audio_buffer.append", "audio": audio})

    async def _configure_elevenlabs(self, message: Mapping[str, Any]) -> None:
        voice = message.get("voice_id") or ELEVENLABS_VOICE
        if not is_voice(voice):
            await self.complain("invalid_message", "voice_id is the id of a voice, as /api/v1/voice/elevenlabs/voice_ids lists them.")
            return
        self.elevenlabs = self._make_elevenlabs(voice) if message.get("enabled") is True else None
        if message.get("enabled") is True and self.elevenlabs is None:
            text = f"There is no key for ElevenLabs: store a variable {ELEVENLABS_KEY}."
            await self.outbox.put(error_event("api_key_missing", text, key_name=ELEVENLABS_KEY))
        await self.on_voice_changed()

    # --- for what is built upon this

    async def complain(self, code: str, message: str) -> None:
        """Tell the client; the conversation goes on."""
        await self.outbox.put(error_event(code, message))

    async def relay(self, kind: str, text: str) -> None:
        await self.outbox.put(text, is_audio=kind == "response.audio.delta")

    async def say(self, samples: bytes, response_id: str | None = None) -> None:
        """Let the client hear this."""
        event = {"type": "response.audio.delta", "delta": b64encode(samples).decode()}
        await self.outbox.put(event if response_id is None else {**event, "response_id": response_id}, is_audio=True)

    async def run_flow(self, text: str, session_id: str) -> FlowAnswer:
        """The flow's answer; a refusal to run it is a failure like others. The client is told each event of the build."""

        async def tell(event: dict[str, Any]) -> None:
            self._touch()
            await self.outbox.put({"type": "flow.build.progress", "data": event})

        try:
            return await self._flow.run(text, session_id, tell)
        except HeadwaterError as error:
            return FlowAnswer(failure=error.message)

    @abstractmethod
    async def begin(self) -> None:
        """The first words to the model."""

    @abstractmethod
    async def on_client(self, kind: str, message: dict[str, Any]) -> None:
        """What a client sent that all conversations do not have in common, in the beta's form."""

    @abstractmethod
    async def on_model(self, kind: str, event: dict[str, Any], text: str) -> None: ...

    @abstractmethod
    async def on_voice_changed(self) -> None: ...
