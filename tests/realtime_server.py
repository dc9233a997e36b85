"""A realtime endpoint on loopback, in the test's own loop, that says what a test tells it and remembers what it heard; and a server beside
it that makes speech, as OpenAI and ElevenLabs do.

    async with realtime_server() as server:
        ... a conversation with voice_realtime_url=server.url ...
        model = await server.connection()
        await model.heard("session.update")          # waits for the next event of this type, passing over others
        await model.say("response.created", response={"id": "r1"})
        await model.drop()                           # without a goodbye

Tests name events as the beta of the protocol did; a server that speaks GA renames them on their way, refuses what GA does not know, and
remembers that in `server.refusals`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as HandshakeAnswer

from tests import loopback

BOUND_SECONDS = 15
BETA_HEADER = "OpenAI-Beta"

# What a test says: how a GA server says it.
GA_NAMES = {
    "conversation.item.created": "conversation.item.added",
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
}
_INPUT = {"format", "noise_reduction", "transcription", "turn_detection"}
# What a GA server takes, by what it is in: names, and in `audio` what these hold.
GA_FIELDS: dict[str, tuple[set[str], dict[str, set[str]]]] = {
    "realtime": (
        {
            *("type", "audio", "include", "instructions", "max_output_tokens", "model", "output_modalities", "parallel_tool_calls"),
            *("prompt", "reasoning", "tool_choice", "tools", "tracing", "truncation"),
        },
        {"input": _INPUT, "output": {"format", "speed", "voice"}},
    ),
    "transcription": ({"type", "audio", "include"}, {"input": _INPUT}),
    "response": (
        {
            *("audio", "conversation", "input", "instructions", "max_output_tokens", "metadata", "output_modalities"),
            *("parallel_tool_calls", "prompt", "reasoning", "tool_choice", "tools"),
        },
        {"output": {"format", "voice"}},
    ),
}
GA_CLIENT_EVENTS = {
    *("conversation.item.create", "conversation.item.delete", "conversation.item.retrieve", "conversation.item.truncate"),
    *("input_audio_buffer.append", "input_audio_buffer.clear", "input_audio_buffer.commit", "output_audio_buffer.clear"),
    *("response.cancel", "response.create", "session.update"),
}
GA_CONTENTS = {"assistant": {"output_audio", "output_text"}, "system": {"input_text"}, "user": {"input_audio", "input_image", "input_text"}}


def ga_refusal(event: Mapping[str, Any]) -> str:
    """What a GA server has against an event of its client; empty: nothing."""
    kind = event["type"]
    if kind not in GA_CLIENT_EVENTS:
        return f"Invalid value: {kind!r}."
    if kind == "conversation.item.create" and (role := event["item"].get("role")):
        wrong = [each["type"] for each in event["item"]["content"] if each["type"] not in GA_CONTENTS[role]]
        return f"Invalid value: {wrong[0]!r}." if wrong else ""
    if kind not in ("session.update", "response.create"):
        return ""
    place = "session" if kind == "session.update" else "response"
    part = event.get(place, {})
    names, in_audio = GA_FIELDS["response" if place == "response" else part.get("type", "realtime")]
    if place == "session" and "type" not in part:
        return "Missing required parameter: 'session.type'."
    audio = part.get("audio", {})
    unknown = [f"{place}.{name}" for name in part if name not in names]
    unknown += [f"{place}.audio.{side}" for side in audio if side not in in_audio]
    unknown += [f"{place}.audio.{side}.{name}" for side in audio for name in audio[side] if name not in in_audio.get(side, set())]
    if unknown:
        return f"Unknown parameter: {unknown[0]!r}."
    return "" if part.get("output_modalities", ["audio"]) in (["audio"], ["text"]) else f"Invalid value: '{place}.output_modalities'."


class HeardConnection:
    """One client of the endpoint."""

    def __init__(self, connection: ServerConnection, server: RealtimeServer) -> None:
        assert connection.request is not None
        self._server = server
        self.path = connection.request.path
        self.headers = connection.request.headers
        self.everything: list[dict[str, Any]] = []
        self.is_closed = asyncio.Event()
        self._connection = connection
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def listen(self) -> None:
        try:
            async for text in self._connection:
                event = json.loads(text)
                self.everything.append(event)
                self._events.put_nowait(event)
                if self._server.protocol == "ga" and (text := ga_refusal(event)):
                    self._server.refusals.append(text)
                    await self.refuse(event, "unknown_parameter", text)
        except ConnectionClosed:
            pass
        finally:
            self.is_closed.set()

    async def heard(self, type: str) -> dict[str, Any]:
        async with asyncio.timeout(BOUND_SECONDS):
            while (event := await self._events.get())["type"] != type:
                pass
            return event

    async def say(self, type: str, **more: Any) -> None:
        name = GA_NAMES.get(type, type) if self._server.protocol == "ga" else type
        await self._connection.send(json.dumps({"type": name, **more}))

    async def refuse(self, event: Mapping[str, Any], code: str, message: str = "No.") -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None, "event_id": event.get("event_id")}
        await self.say("error", error=error)

    async def drop(self) -> None:
        self._connection.transport.abort()
        await self.is_closed.wait()


class RealtimeServer:
    def __init__(self, good_key: str, protocol: str) -> None:
        self.url = ""
        self.protocol = protocol
        self.refusals: list[str] = []
        self.connections: list[HeardConnection] = []
        self._good_key = good_key
        self._new: asyncio.Queue[HeardConnection] = asyncio.Queue()

    async def connection(self) -> HeardConnection:
        """The next one that was opened."""
        async with asyncio.timeout(BOUND_SECONDS):
            return await self._new.get()

    async def handle(self, connection: ServerConnection) -> None:
        heard = HeardConnection(connection, self)
        self.connections.append(heard)
        self._new.put_nowait(heard)
        await heard.listen()

    def check(self, connection: ServerConnection, request: Handshake) -> HandshakeAnswer | None:
        if request.headers.get("Authorization") != f"Bearer {self._good_key}":
            return connection.respond(HTTPStatus.UNAUTHORIZED, "Incorrect API key provided.")
        if (self.protocol == "beta") != (request.headers.get(BETA_HEADER) == "realtime=v1"):
            return connection.respond(HTTPStatus.BAD_REQUEST, "That shape of the realtime API is not spoken here.")
        return None


@asynccontextmanager
async def realtime_server(good_key: str = "sk-voice", *, protocol: str = "ga") -> AsyncIterator[RealtimeServer]:
    server = RealtimeServer(good_key, protocol)
    async with serve(server.handle, "127.0.0.1", 0, process_request=server.check) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        server.url = f"ws://127.0.0.1:{port}/v1/realtime"
        yield server


@dataclass
class SpeechServer:
    """`requests` are (path, headers, body). What is spoken is the text itself, in UTF-8; `delay` holds every answer back while cleared."""

    origin: str = ""
    status: int = 200
    requests: list[tuple[str, Mapping[str, str], Any]] = field(default_factory=list)
    may_speak: asyncio.Event = field(default_factory=asyncio.Event)

    async def speak(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append((request.url.path, dict(request.headers), body))
        if self.status != 200:
            return JSONResponse({"detail": "Out of breath."}, self.status)

        async def samples() -> AsyncIterator[bytes]:
            await self.may_speak.wait()
            yield (body.get("text") or body["input"]).encode()

        return StreamingResponse(samples(), media_type="audio/pcm")

    async def voices(self, request: Request) -> Response:
        self.requests.append((request.url.path, dict(request.headers), None))
        if self.status != 200:
            return JSONResponse({"detail": "Out of breath."}, self.status)
        listed = [{"voice_id": "v1", "name": "Ann", "labels": {}}, {"voice_id": "v2", "name": "Ben", "labels": {}}]
        return JSONResponse({"voices": listed})


@asynccontextmanager
async def speech_server() -> AsyncIterator[SpeechServer]:
    server = SpeechServer()
    server.may_speak.set()
    routes = [
        Route("/v1/audio/speech", server.speak, methods=["POST"]),
        Route("/v1/text-to-speech/{voice}/stream", server.speak, methods=["POST"]),
        Route("/v1/voices", server.voices),
    ]
    async with loopback.serving(Starlette(routes=routes), lifespan="off", ws="none") as port:
        server.origin = f"http://127.0.0.1:{port}"
        yield server
