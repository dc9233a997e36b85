"""A flow that listens and speaks: what the model has written down is the flow's input, and the flow's last text is read out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from projects.errors import HeadwaterError
from projects.voice.conversation import Conversation, Sides
from projects.voice.frames import transcription_session
from projects.voice.settings import VoiceSettings
from projects.voice.speech import OPENAI_VOICE, Speech, is_voice


class SpokenFlow(Conversation):
    def __init__(self, sides: Sides, settings: VoiceSettings, *, session_id: str, make_speech: Callable[[str], Speech]) -> None:
        """`make_speech` is given the name of one of OpenAI's voices."""
        super().__init__(sides, settings)
        self._session_id = session_id
        self._make_speech = make_speech
        self._voice = OPENAI_VOICE
        self._turn: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await self._model.send(transcription_session(self._settings.models.listening))

    async def on_client(self, kind: str, message: dict[str, Any]) -> None:
        voice = message.get("voice")
        if kind != "voice.settings":
            await self.complain("unknown_message", f"{kind[:100]!r} is not understood here: send audio or voice.settings.")
        elif not is_voice(voice):
            await self.complain("invalid_message", "voice is the name of a voice, such as echo.")
        else:
            self._voice = str(voice)

    async def on_model(self, kind: str, event: dict[str, Any], text: str) -> None:
        if kind == "input_audio_buffer.speech_started":
            await self._interrupt()
        await self.relay(kind, text)
        if kind == "conversation.item.input_audio_transcription.completed":
            said = str(event.get("transcript") or "").strip()
            if said:
                await self._interrupt()
                self._turn = self.go_on(self._answer(said), "voice: the flow's turn")

    async def on_voice_changed(self) -> None:
        return  # the next answer is spoken so

    async def _interrupt(self) -> None:
        """The person goes on speaking: what was being worked out or said is of no use any more."""
        if self._turn is not None:
            self._turn.cancel()
            await asyncio.wait({self._turn})
            self._turn = None
        await self.outbox.drop_audio()

    async def _answer(self, said: str) -> None:
        answer = await self.run_flow(said, self._session_id)
        if answer.failure:
            await self.complain("flow_failed", answer.failure)
            return
        speech = self.elevenlabs or self._make_speech(self._voice)
        try:
            if text := answer.last:
                async for piece in speech.speak(text):
                    await self.say(piece)
        except HeadwaterError as error:
            await self.complain(error.code, error.message)
