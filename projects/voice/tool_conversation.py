"""A realtime model that has a flow as its tool: it hears, calls the flow, and says what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_core import from_json

from projects.errors import HeadwaterError
from projects.voice import frames
from projects.voice.conversation import Conversation, Sides
from projects.voice.settings import VoiceSettings
from projects.voice.speaker import Speaker
from projects.voice.turns import Turns

MAX_CALLS = 4  # of the flow, that go on or wait in one conversation
MAX_TURNS = 16  # of a client's own response.create, that wait for their turn
MAX_ARGUMENTS = 200_000  # characters
PERSON = "User", "User"
MODEL = "Machine", "AI"
INTERRUPTED = "The person interrupted; this was stopped before it had an answer."

Keep = Callable[[str, str, str], Awaitable[None]]
"""Stores what was said: sender, the sender's name, text."""


class ToolConversation(Conversation):
    def __init__(self, sides: Sides, settings: VoiceSettings, *, description: str, flow_session_id: str, keep: Keep) -> None:
        super().__init__(sides, settings)
        self._description = description
        self._flow_session_id = flow_session_id
        self._keep = keep
        self._announces = True
        self._arguments: dict[str, str] = {}  # of calls whose arguments still come, by call id
        self._calls: dict[asyncio.Task[None], str] = {}
        self._one_at_a_time = asyncio.Lock()
        self._speakers: dict[str, Speaker] = {}  # by response id
        self._turns = Turns(self._model.send)

    async def begin(self) -> None:
        session = frames.tool_session(self._description, transcription_model=self._settings.models.noting)
        await self._model.send(frames.session_update(session))
        self.go_on(self._turns.run(), "voice: turns")

    # --- from the client

    async def on_client(self, kind: str, message: dict[str, Any]) -> None:
        match kind:
            case "response.create":
                if self._turns.waiting_count >= MAX_TURNS:
                    await self.complain("too_many_requests", "Many responses were asked for already; wait for response.done.")
                else:
                    self._turns.add(frames.response_create(is_text_only=self._writes_only, given=message))
            case "session.update":
                given = message.get("session")
                changes = frames.changed_session(given if isinstance(given, dict) else {})
                if changes:
                    await self._model.send(frames.session_update(changes, event_id=message.get("event_id")))
            case "langflow.voice_mode.config":
                self._announces = message.get("progress_enabled", True) is True
            case "response.cancel":
                await self._interrupt()
                await self._model.send(message)
            case _ if kind.startswith(("langflow.", "flow.")):
                await self.complain("unknown_message", f"{kind[:100]!r} is not understood here.")
            case _:
                await self._model.send(message)

    async def on_voice_changed(self) -> None:
        modalities = ["text"] if self._writes_only else ["text", "audio"]
        await self._model.send(frames.session_update({"modalities": modalities}))

    @property
    def _writes_only(self) -> bool:
        return self.elevenlabs is not None

    # --- from the model

    async def on_model(self, kind: str, event: dict[str, Any], text: str) -> None:
        if kind == "input_audio_buffer.speech_started":
            await self._interrupt()
        if kind == "error" and self._turns.refused(event):
            return
        if kind == "response.done":
            await self._end_response(event, text)
        elif not kind.startswith("flow."):
            await self.relay(kind, text)
        match kind:
            case "response.created":
                self._turns.began()
            case "response.text.delta":
                self._speak(_response_id(event), str(event.get("delta") or ""))
            case "response.function_call_arguments.delta":
                self._gather(str(event.get("call_id") or ""), str(event.get("delta") or ""))
            case "response.function_call_arguments.done":
                self._call(event)
            case "conversation.item.input_audio_transcription.completed":
                await self._remember(PERSON, event.get("transcript"))
            case "response.audio_transcript.done":
                await self._remember(MODEL, event.get("transcript"))
            case "response.text.done":
                await self._remember(MODEL, event.get("text"))
            case _:
                pass

    async def _remember(self, who: tuple[str, str], text: object) -> None:
        if not isinstance(text, str) or not text.strip():
            return
        try:
            await self._keep(*who, text.strip())
        except HeadwaterError as error:
            await self.complain(error.code, f"What was said could not be kept: {error.message}")

    async def _interrupt(self) -> None:
        """The person speaks: the flow's runs are stopped, and nothing more of the answer is heard."""
        calls = {task: call_id for task, call_id in self._calls.items() if not task.done()}
        self._calls = {}
        for task, call_id in calls.items():
            task.cancel()
            self._turns.add(frames.tool_output(call_id, INTERRUPTED))
        speakers, self._speakers = self._speakers, {}
        for speaker in speakers.values():
            speaker.stop()
        if calls:
            await asyncio.wait(calls)
        await self.outbox.drop_audio()
        for speaker in speakers.values():
            await speaker.wait()

    async def _end_response(self, event: dict[str, Any], text: str) -> None:
        self._turns.ended()
        speaker = self._speakers.get(_response_id(event))
        if speaker is None:
            await self.relay("response.done", text)
        else:
            speaker.finish(text)  # its end is told when everything was said

    # --- the flow as a tool

    def _gather(self, call_id: str, piece: str) -> None:
        if call_id in self._arguments or len(self._arguments) < MAX_CALLS:
            self._arguments[call_id] = (self._arguments.get(call_id, "") + piece)[:MAX_ARGUMENTS]

    def _call(self, event: dict[str, Any]) -> None:
        call_id = str(event.get("call_id") or "")
        given = event.get("arguments")
        gathered = self._arguments.pop(call_id, "")
        request = _request(given if isinstance(given, str) and given else gathered)
        if event.get("name") not in (None, "", frames.FLOW_TOOL):
            self._answer_call(call_id, f"There is no such tool; the only one is {frames.FLOW_TOOL}.")
        elif request is None:
            self._answer_call(call_id, 'The arguments cannot be read: send {"input": "<the request>"}.')
        elif len(self._calls) >= MAX_CALLS:
            self._answer_call(call_id, "The program is at work on several requests already; wait for their answers.")
        else:
            if self._announces:
                self._ask_for_response(frames.announcement(request))
            task = self.go_on(self._run(call_id, request), "voice: the flow as a tool")
            self._calls[task] = call_id
            task.add_done_callback(lambda ended: self._calls.pop(ended, None))

    async def _run(self, call_id: str, request: str) -> None:
        async with self._one_at_a_time:
            answer = await self.run_flow(request, self._flow_session_id)
        self._answer_call(call_id, f"The program failed: {answer.failure}" if answer.failure else answer.whole or "(no text)")

    def _answer_call(self, call_id: str, output: str) -> None:
        self._ask_for_response(frames.tool_output(call_id, output))

    def _ask_for_response(self, item: dict[str, Any]) -> None:
        self._turns.add(item, frames.response_create(is_text_only=self._writes_only))

    # --- speech made elsewhere

    def _speak(self, response_id: str, piece: str) -> None:
        if self.elevenlabs is None:
            return
        speaker = self._speakers.get(response_id)
        if speaker is None:
            speaker = self._speakers[response_id] = Speaker(self, self.elevenlabs, response_id)
            speaker.task = self.go_on(speaker.run(), "voice: speaking")
            speaker.task.add_done_callback(lambda _: self._speakers.pop(response_id, None))
        speaker.add(piece)


def _response_id(event: dict[str, Any]) -> str:
    response = event.get("response")
    return str(event.get("response_id") or (response.get("id") if isinstance(response, dict) else "") or "")


def _request(arguments: str) -> str | None:
    try:
        value = from_json(arguments)
    except ValueError:
        return None
    text = value.get("input") if isinstance(value, dict) else None
    return text if isinstance(text, str) else None
