"""Voice for callers: the conversations of this process, and the voices that a caller's key can use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from uuid import uuid4

from projects.access.caller import Caller
from projects.builds import BuildService, MakeFrames, Visitor
from projects.errors import (
    AddressRefused,
    HeadwaterError,
    InvalidInput,
    NotFound,
    NotPermitted,
    ProviderFailed,
    TooManyRequests,
    Unavailable,
)
from projects.flows.flow import Flow
from projects.flows.library import FlowLibrary
from projects.messages import MessageService
from projects.outgoing.guard import Guard
from projects.runs.request import check_session
from projects.variables import VariableService
from projects.voice.client import Client, CloseCode, Ending, error_event
from projects.voice.conversation import ELEVENLABS_KEY, Conversation, Sides
from projects.voice.flow_runs import FlowRuns
from projects.voice.realtime import Realtime, open_realtime
from projects.voice.settings import VoiceSettings
from projects.voice.speech import ELEVENLABS_VOICE, ElevenLabs, OpenAISpeech, Speech, Voice
from projects.voice.spoken_flow import SpokenFlow
from projects.voice.tool_conversation import ToolConversation

OPENAI_KEY = "OPENAI_API_KEY"
NO_KEYS = frozenset(("", "dummy"))  # what clients store when a person gave none


class VoiceMode(StrEnum):
    FLOW_AS_TOOL = "flow_as_tool"  # the model talks, and asks the flow
    FLOW_TTS = "flow_tts"  # the flow talks; the model only hears


class KeyMissing(InvalidInput):
    """The caller has no key for a service; `key_name` is the variable that would hold it."""

    code = "api_key_missing"

    def __init__(self, key_name: str) -> None:
        super().__init__(f"There is no key for this: store a variable {key_name}.")
        self.key_name = key_name


class VoiceService:
    """One for the process."""

    def __init__(
        self,
        *,
        builds: BuildService,
        library: FlowLibrary,
        messages: MessageService,
        variables: VariableService,
        guard: Guard,
        settings: VoiceSettings,
        environment: Mapping[str, str],
    ) -> None:
        self._builds = builds
        self._library = library
        self._messages = messages
        self._variables = variables
        self._guard = guard
        self._settings = settings
        self._environment = environment
        self._seats: Counter[str] = Counter()

    @property
    def open_count(self) -> int:
        return self._seats.total()

    @contextmanager
    def seat(self, caller: Caller) -> Iterator[None]:
        """A place for one conversation, asked for before it is accepted. Raises Unavailable, TooManyRequests."""
        settings = self._settings
        if self.open_count >= settings.max_sessions:
            raise Unavailable("No further voice conversation can be held here now; try again later.", retry_after_seconds=30)
        if self._seats[caller.user_id] >= settings.max_sessions_per_user:
            text = f"{settings.max_sessions_per_user} voice conversations of yours are open already; end one first."
            raise TooManyRequests(text, retry_after_seconds=30)
        self._seats[caller.user_id] += 1
        try:
            yield
        finally:
            self._seats[caller.user_id] -= 1
            if not self._seats[caller.user_id]:
                del self._seats[caller.user_id]

    async def list_voices(self, caller: Caller) -> list[Voice]:
        """ElevenLabs' voices. Raises KeyMissing, ProviderFailed."""
        key = await self._key(caller, ELEVENLABS_KEY)
        if key is None:
            raise KeyMissing(ELEVENLABS_KEY)
        return await ElevenLabs(self._guard, self._settings.elevenlabs_url, key).list_voices()

    async def get_flow(self, caller: Caller, flow_id: str) -> Flow:
        """The caller's own, or a public one that visitors may run. Raises NotFound, NotPermitted."""
        try:
            return await self._library.get(caller, flow_id)
        except NotFound:
            flow = await self._library.get_public(flow_id)
        if not await self._builds.can_visit(flow):
            raise NotPermitted("This flow cannot be run by visitors: it needs its author's code, secrets or other things of its owner's.")
        return flow

    async def converse(
        self, mode: VoiceMode, caller: Caller, flow_id: str, session_id: str | None, client: Client, make_frames: MakeFrames
    ) -> Ending:
        """Hold one conversation, until its end. What is wrong before it begins is told to the client as an event."""
        session_id = session_id or str(uuid4())
        try:
            check_session(session_id)
            flow = await self.get_flow(caller, flow_id)
        except HeadwaterError as error:
            return Ending(CloseCode.NORMAL, "The flow cannot be loaded.", {"error": f"Failed to load flow: {error.message}"})
        key = await self._key(caller, OPENAI_KEY)
        if key is None:
            missing = KeyMissing(OPENAI_KEY)
            return Ending(CloseCode.NORMAL, "There is no key.", error_event(missing.code, missing.message, key_name=missing.key_name))
        query = {"model": self._settings.models.talking} if mode is VoiceMode.FLOW_AS_TOOL else {"intent": "transcription"}
        url, protocol = self._settings.realtime_url, self._settings.realtime_protocol
        try:
            async with open_realtime(self._guard.trusting(_as_http(url)), url, key=key, query=query, protocol=protocol) as model:
                conversation = await self._conversation(mode, caller, flow, session_id, client, model, key, make_frames)
                return await conversation.run()
        except (ProviderFailed, AddressRefused) as error:
            return Ending(CloseCode.BAD_GATEWAY, "The realtime model cannot be used.", error_event(error.code, error.message))

    async def _conversation(
        self,
        mode: VoiceMode,
        caller: Caller,
        flow: Flow,
        session_id: str,
        client: Client,
        model: Realtime,
        key: str,
        make_frames: MakeFrames,
    ) -> Conversation:
        settings = self._settings
        elevenlabs_key = await self._key(caller, ELEVENLABS_KEY)

        def make_elevenlabs(voice: str) -> Speech | None:
            if elevenlabs_key is None:
                return None
            return ElevenLabs(self._guard, settings.elevenlabs_url, elevenlabs_key, voice or ELEVENLABS_VOICE)

        def make_speech(voice: str) -> Speech:
            return OpenAISpeech(self._guard, settings.speech_url, key, voice)

        sides = Sides(client, model, FlowRuns(self._builds, caller, flow, make_frames), make_elevenlabs)
        if mode is VoiceMode.FLOW_TTS:
            return SpokenFlow(sides, settings, session_id=session_id, make_speech=make_speech)
        kept_in = session_id
        if flow.owner_id != caller.user_id:
            # As in a visitor's builds: what visitors say to a public flow stays apart from its owner's conversations.
            space = Visitor(f"user:{caller.user_id}").space(flow.id)
            kept_in = session_id if session_id == space or session_id.startswith(f"{space}:") else f"{space}:{session_id}"

        async def keep(sender: str, sender_name: str, text: str) -> None:
            await self._messages.keep_said(flow.owner_id, flow.id, kept_in, sender=sender, sender_name=sender_name, text=text)

        return ToolConversation(sides, settings, description=flow.description or "", flow_session_id=str(uuid4()), keep=keep)

    async def _key(self, caller: Caller, name: str) -> str | None:
        """The caller's own variable, else the operator's: both only ever go to the addresses that the operator set."""
        own = (await self._variables.resolve_values(caller.user_id)).get(name, "").strip()
        key = own if own not in NO_KEYS else self._environment.get(name, "").strip()
        return None if key in NO_KEYS or not key.isascii() or not key.isprintable() else key


def _as_http(url: str) -> str:
    """The address as the guard knows addresses."""
    scheme, separator, rest = url.partition("://")
    return f"{'https' if scheme == 'wss' else 'http'}{separator}{rest}"
