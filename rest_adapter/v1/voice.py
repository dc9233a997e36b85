"""Voice: conversations with a flow over WebSockets, and the voices there are."""

import asyncio
import logging
from contextlib import suppress
from typing import Any
from uuid import UUID

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from projects.access.caller import Caller
from projects.errors import HeadwaterError
from projects.services import ProjectServices
from projects.voice.client import GOODBYE_SECONDS, ClientGone, CloseCode, ConversationOver, Ending
from projects.voice.service import KeyMissing, VoiceMode
from rest_adapter.errors import to_response
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.build_shapes import Frames as BuildFrames
from rest_adapter.v1.models import Detail, Wire
from rest_adapter.websocket_routing import refuse, websocket_endpoint

logger = logging.getLogger(__name__)

_TAG = "Voice"
_MAX_REASON_BYTES = 123  # of a close frame


class VoiceRead(Wire):
    voice_id: str
    name: str


class VoicesMissing(Wire):
    error: str


class _SocketClient:
    """A WebSocket as the other side of a conversation."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> str:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise ClientGone
        text = message.get("text")
        if not isinstance(text, str):
            raise ConversationOver(CloseCode.NOT_TEXT, "Send JSON texts; sound goes into them as base64.")
        return text

    async def send(self, text: str) -> None:
        try:
            await self._websocket.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as error:  # RuntimeError: it was closed already
            raise ClientGone from error


async def _converse(
    websocket: WebSocket, mode: VoiceMode, flow_id: str, session_id: str | None, caller: Caller, services: ProjectServices
) -> None:
    try:
        with services.voice.seat(caller):
            await websocket.accept()
            ending = await services.voice.converse(mode, caller, flow_id, session_id, _SocketClient(websocket), BuildFrames)
            await _close(websocket, ending)
    except HeadwaterError as error:
        if websocket.application_state is WebSocketState.CONNECTING:
            await refuse(websocket, to_response(error))
        else:
            # The database was away, for example.
            await _close(websocket, Ending(CloseCode.INTERNAL, error.message))
    except Exception:
        # A boundary: a mistake of ours costs one conversation, tells nothing of the inside, and is in the log.
        logger.exception("A voice conversation failed")
        if websocket.application_state is WebSocketState.CONNECTED:
            await _close(websocket, Ending(CloseCode.INTERNAL, "The server failed; its log has the reason."))


async def _close(websocket: WebSocket, ending: Ending) -> None:
    reason = ending.reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
    try:
        with suppress(TimeoutError):  # nobody reads, so it only ends
            async with asyncio.timeout(GOODBYE_SECONDS):
                if ending.event is not None:
                    await websocket.send_json(ending.event)
        await websocket.close(ending.code, reason)
    except (WebSocketDisconnect, RuntimeError):
        return  # the client was first


@websocket_endpoint("/api/v1/voice/ws/flow_as_tool/{flow_id}", tag=_TAG)
async def talk_with_flow_as_tool(websocket: WebSocket, flow_id: UUID, caller: Caller, services: ProjectServices) -> None:
    """Talk with a realtime model that has the flow as its tool, in a session of its own."""
    await _converse(websocket, VoiceMode.FLOW_AS_TOOL, str(flow_id), None, caller, services)


@websocket_endpoint("/api/v1/voice/ws/flow_as_tool/{flow_id}/{session_id}", tag=_TAG)
async def talk_with_flow_as_tool_in_session(
    websocket: WebSocket, flow_id: UUID, session_id: str, caller: Caller, services: ProjectServices
) -> None:
    """Talk with a realtime model that has the flow as its tool; what is said is kept in this session."""
    await _converse(websocket, VoiceMode.FLOW_AS_TOOL, str(flow_id), session_id, caller, services)


@websocket_endpoint("/api/v1/voice/ws/flow_tts/{flow_id}", tag=_TAG)
async def talk_to_flow(websocket: WebSocket, flow_id: UUID, caller: Caller, services: ProjectServices) -> None:
    """Talk to the flow itself: it is given what was understood, and its answer is read out."""
    await _converse(websocket, VoiceMode.FLOW_TTS, str(flow_id), None, caller, services)


@websocket_endpoint("/api/v1/voice/ws/flow_tts/{flow_id}/{session_id}", tag=_TAG)
async def talk_to_flow_in_session(websocket: WebSocket, flow_id: UUID, session_id: str, caller: Caller, services: ProjectServices) -> None:
    """Talk to the flow itself; its runs belong to this session."""
    await _converse(websocket, VoiceMode.FLOW_TTS, str(flow_id), session_id, caller, services)


@endpoint(
    "GET",
    "/api/v1/voice/elevenlabs/voice_ids",
    Answer(200, list[VoiceRead] | VoicesMissing, "The voices; without a key of ElevenLabs an object that says so."),
    Answer(502, Detail, "ElevenLabs answered with an error."),
    tag=_TAG,
)
async def list_elevenlabs_voices(caller: Caller, services: ProjectServices) -> Any:
    """The voices that the caller's key can use at ElevenLabs."""
    try:
        voices = await services.voice.list_voices(caller)
    except KeyMissing as error:
        return {"error": error.message}
    return [{"voice_id": voice.voice_id, "name": voice.name} for voice in voices]


WEBSOCKET_ENDPOINTS = (talk_with_flow_as_tool, talk_with_flow_as_tool_in_session, talk_to_flow, talk_to_flow_in_session)
ENDPOINTS = (list_elevenlabs_voices,)
