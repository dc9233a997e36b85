"""A whole application on a real socket, with a realtime model and a maker of speech beside it, for conversations by voice."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from mcp_server import bounded_websocket
from mcp_server.bounded_http import BoundedHttp
from mcp_server.settings import load_settings
from tests import loopback
from tests.application import Application, open_application
from tests.realtime_server import BOUND_SECONDS, HeardConnection, RealtimeServer, SpeechServer, realtime_server, speech_server

OPENAI_KEY = "sk-voice"
ELEVENLABS_KEY = "el-voice-key"
_OF_A_CONVERSATION = re.compile(r"voice: |(run|build) [0-9a-f-]{32,}$")  # names of tasks


class Person:
    """A client of a conversation: what it was told, in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.everything: list[dict[str, Any]] = []

    async def send(self, type: str, **more: Any) -> None:
        await self.connection.send(json.dumps({"type": type, **more}))

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(BOUND_SECONDS):
            event: dict[str, Any] = json.loads(await self.connection.recv())
        self.everything.append(event)
        return event

    async def told(self, type: str, **more: Any) -> dict[str, Any]:
        """The next event that is this, passing over others."""
        while True:
            event = await self.next()
            if event.get("type") == type and all(event.get(name) == value for name, value in more.items()):
                return event

    async def progress(self, name: str) -> dict[str, Any]:
        """The data of the next event of this name that a build told."""
        while True:
            event = await self.told("flow.build.progress")
            if event["data"]["event"] == name:
                found: dict[str, Any] = event["data"]["data"]
                return found

    async def closed(self) -> tuple[int | None, str | None]:
        """Code and reason, once the server has closed."""
        async with asyncio.timeout(BOUND_SECONDS):
            await self.connection.wait_closed()
        return self.connection.close_code, self.connection.close_reason


@dataclass(frozen=True)
class VoiceRoom:
    application: Application
    port: int
    realtime: RealtimeServer
    speech: SpeechServer

    async def add_flow(self, document: dict[str, Any], **more: Any) -> str:
        made = await self.application.http.post("/api/v1/flows/", json={"name": "Spoken", "data": document, **more})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def add_variable(self, name: str, value: str, *, stranger: bool = False) -> None:
        http = self.application.stranger if stranger else self.application.http
        made = await http.post("/api/v1/variables/", json={"name": name, "value": value, "type": "Credential", "default_fields": []})
        assert made.status_code == 201, made.text

    @asynccontextmanager
    async def call(
        self, path: str, *, query: str | None = None, headers: Mapping[str, str] | None = None, prefix: str = "", **options: Any
    ) -> AsyncIterator[Person]:
        """A person in a conversation, by the first user's key in the query unless other credentials are named."""
        text = f"x-api-key={self.application.key}" if query is None else query
        address = f"ws://127.0.0.1:{self.port}{prefix}/api/v1/voice/ws/{path}?{text}"
        options = {"max_queue": None, **options}  # a reader that never lags, unless a test says otherwise
        async with connect(address, additional_headers=headers, max_size=None, proxy=None, **options) as connection:
            yield Person(connection)

    @asynccontextmanager
    async def talk(self, path: str, **options: Any) -> AsyncIterator[tuple[Person, HeardConnection]]:
        """The person and what the model's server has of the conversation."""
        async with self.call(path, **options) as person:
            yield person, await self.realtime.connection()

    async def is_quiet(self) -> None:
        """Until no conversation, run, connection to a model or task of either is left; fails when that does not come."""
        services = self.application.services
        try:
            async with asyncio.timeout(BOUND_SECONDS):
                for connection in self.realtime.connections:
                    await connection.is_closed.wait()
                while services.voice.open_count or services.invocations.running_count or self._tasks():  # noqa: ASYNC110 - no event tells of them all
                    await asyncio.sleep(0)
        except TimeoutError:
            raise AssertionError(f"left: {services.voice.open_count=} {services.invocations.running_count=} {self._tasks()}") from None

    def _tasks(self) -> list[str]:
        return [task.get_name() for task in asyncio.all_tasks() if _OF_A_CONVERSATION.match(task.get_name())]


@asynccontextmanager
async def voice_room(
    data_dir: Path, *, with_key: bool = True, is_loaded: bool = False, protocol: str = "ga", **settings: Any
) -> AsyncIterator[VoiceRoom]:
    """`with_key`: the first user has a key to the model. `is_loaded`: the settings are loaded as a server does, environment and all.
    `protocol`: what the model's server speaks."""
    async with realtime_server(OPENAI_KEY, protocol=protocol) as realtime, speech_server() as speech:
        addresses = {
            "voice_realtime_url": realtime.url,
            **({} if protocol == "ga" else {"voice_realtime_protocol": protocol}),
            "openai_base_url": f"{speech.origin}/v1",
            "elevenlabs_url": speech.origin,
        }
        chosen: dict[str, Any] = {**addresses, **settings}
        if is_loaded:
            chosen = {"given": load_settings(chosen)[0]}
        async with (
            open_application(data_dir, **chosen) as application,
            loopback.serving(application.app, lifespan="off", http=BoundedHttp, **bounded_websocket.OPTIONS) as port,
        ):
            room = VoiceRoom(application, port, realtime, speech)
            if with_key:
                await room.add_variable("OPENAI_API_KEY", OPENAI_KEY)
            yield room
            assert realtime.refusals == []
