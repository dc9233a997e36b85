"""Who may open a conversation by voice, and how one ends: refused, dropped, too slow, too long; nothing is left behind."""

import json
import logging
import re
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from headwater_test_components import Wait
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mcp_server.telemetry import redact
from tests import flow_documents as flows
from tests.application import open_application
from tests.rest_adapter.test_voice import SOUND, call_flow, waiting
from tests.rest_adapter.voice_room import ELEVENLABS_KEY, VoiceRoom, voice_room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[VoiceRoom]:
    async with voice_room(tmp_path / "data") as opened:
        yield opened
        await opened.is_quiet()


async def status_of(room: VoiceRoom, path: str, query: str = "", **options: object) -> tuple[int, object]:
    with pytest.raises(InvalidStatus) as refused:
        async with room.call(path, query=query, **options):  # type: ignore[arg-type]
            raise AssertionError("it was accepted")
    return refused.value.response.status_code, json.loads(refused.value.response.body or b"{}").get("detail")


async def test_nothing_is_accepted_without_a_good_credential(room: VoiceRoom) -> None:
    flow = await room.add_flow(flows.echo())
    for mode in ("flow_as_tool", "flow_tts"):
        assert (await status_of(room, f"{mode}/{flow}"))[0] == 403
        assert (await status_of(room, f"{mode}/{flow}/s", "x-api-key=sk-guessed-guessed-guessed"))[0] == 403
        assert (await status_of(room, f"{mode}/{flow}", "token=abc.def.ghi"))[0] == 401
        assert (await status_of(room, f"{mode}/{flow}", headers={"Authorization": "Bearer abc.def.ghi"}))[0] == 401
    assert (await status_of(room, "flow_tts/no-id", f"x-api-key={room.application.key}"))[0] == 422
    assert room.realtime.connections == []


async def test_bad_keys_are_counted_with_those_of_requests(tmp_path: Path) -> None:
    async with voice_room(tmp_path / "data", bad_keys_per_minute=2) as room:
        flow = await room.add_flow(flows.echo())
        statuses = [(await status_of(room, f"flow_tts/{flow}", f"api_key=sk-{number}"))[0] for number in range(3)]
        assert statuses == [403, 403, 429]
        assert (await room.application.nobody.get("/api/v1/flows/", headers={"x-api-key": "sk-4"})).status_code == 429


async def test_a_login_opens_a_conversation_by_cookie_or_token_and_other_sites_pages_open_none(room: VoiceRoom) -> None:
    flow = await room.add_flow(flows.echo())
    pair = {"username": "ada", "password": "a-long-password"}
    token = (await room.application.nobody.post("/api/v1/login", data=pair)).json()["access_token"]
    own = f"http://127.0.0.1:{room.port}"
    for query, headers in ((f"token={token}", {"Origin": own}), ("", {"Cookie": f"access_token_lf={token}", "Origin": own})):
        async with room.talk(f"flow_tts/{flow}", query=query, headers=headers) as (_, model):
            assert model.path
    for query, headers in (
        (f"token={token}", {"Origin": "https://elsewhere.example"}),
        ("", {"Cookie": f"access_token_lf={token}", "Origin": "https://elsewhere.example"}),
        (f"x-api-key={room.application.key}", {"Origin": "null"}),
    ):
        status, detail = await status_of(room, f"flow_tts/{flow}", query, headers=headers)
        assert (status, "origin" in str(detail)) == (403, True)
    with pytest.raises(InvalidStatus, match="403"):  # a name that was pointed at this machine
        address = f"ws://rebound.example/api/v1/voice/ws/flow_tts/{flow}?x-api-key={room.application.key}"
        async with connect(address, host="127.0.0.1", port=room.port, proxy=None):
            raise AssertionError("it was accepted")


async def test_a_flow_that_is_not_the_callers_answers_as_one_that_is_missing(room: VoiceRoom) -> None:
    flow = await room.add_flow(flows.echo())
    stranger = f"x-api-key={room.application.stranger.headers['x-api-key']}"
    told = []
    for path, query in ((flow, stranger), ("00000000-0000-4000-8000-000000000000", stranger)):
        async with room.call(f"flow_as_tool/{path}", query=query) as person:
            told.append(str((await person.next())["error"]).replace(path, "<id>"))
            assert (await person.closed())[0] == 1000
    assert told[0] == told[1]
    assert room.realtime.connections == []


async def test_without_a_key_for_the_model_the_client_is_told_which_is_missing(tmp_path: Path) -> None:
    async with voice_room(tmp_path / "data", with_key=False) as room:
        flow = await room.add_flow(flows.echo())
        await room.add_variable("OPENAI_API_KEY", "dummy")
        async with room.call(f"flow_as_tool/{flow}") as person:
            event = await person.next()
            assert (event["type"], event["code"], event["key_name"]) == ("error", "api_key_missing", "OPENAI_API_KEY")
            assert event["message"]
            await person.closed()
        assert room.realtime.connections == []


async def test_the_operators_key_is_used_where_the_caller_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-voice")
    monkeypatch.setenv("ELEVENLABS_API_KEY", ELEVENLABS_KEY)
    async with voice_room(tmp_path / "data", with_key=False, is_loaded=True) as room:
        flow = await room.add_flow(flows.echo())
        async with room.talk(f"flow_tts/{flow}") as (_, model):
            assert model.headers["Authorization"] == "Bearer sk-voice"
        assert (await room.application.http.get("/api/v1/voice/elevenlabs/voice_ids")).json()[0]["name"] == "Ann"
        # The address is the operator's own, so the key went where the operator sends it; into a flow it never goes.
        curious = flows.text_input(input_value={"value": "ELEVENLABS_API_KEY", "load_from_db": True})
        edge = flows.edge("TextInput-in", "ChatOutput-out", "input_value", output="text")
        data = flows.document([curious, flows.chat_output()], [edge])
        other = await room.application.http.post("/api/v1/flows/", json={"name": "Curious", "data": data})
        answer = await room.application.http.post(f"/api/v1/run/{other.json()['id']}", json={})
        assert (answer.status_code, "ELEVENLABS_API_KEY" in answer.text, ELEVENLABS_KEY in answer.text) == (500, True, False)


async def test_a_key_that_the_model_refuses_is_told_and_not_repeated(tmp_path: Path) -> None:
    async with voice_room(tmp_path / "data", with_key=False) as room:
        flow = await room.add_flow(flows.echo())
        await room.add_variable("OPENAI_API_KEY", "sk-wrong-wrong-wrong")
        async with room.call(f"flow_as_tool/{flow}") as person:
            event = await person.next()
            assert event["code"] == "provider_failed"
            assert "401" in event["message"] and "sk-wrong" not in event["message"]
            assert (await person.closed())[0] == 1014
        await room.is_quiet()


async def test_a_model_that_drops_out_is_told_as_an_error_and_the_runs_end(room: VoiceRoom) -> None:
    flow = await room.add_flow(waiting())
    async with room.talk(f"flow_as_tool/{flow}") as (person, model):
        await call_flow(model, "a long story")
        await person.progress("build_start")
        await model.drop()
        assert (await person.told("error"))["code"] == "upstream_closed"
        assert await person.closed() == (1014, "The realtime model is gone.")
    await room.is_quiet()
    assert Wait.ended[flow] == Wait.started[flow]


async def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{nobody.getsockname()[1]}/v1/realtime"
        async with voice_room(tmp_path / "data", voice_realtime_url=url) as room:
            flow = await room.add_flow(flows.echo())
            async with room.call(f"flow_tts/{flow}") as person:
                event = await person.next()
                assert (event["code"], "could not be reached" in event["message"]) == ("provider_failed", True)


async def test_a_client_that_leaves_takes_its_run_with_it(room: VoiceRoom) -> None:
    flow = await room.add_flow(waiting())
    async with room.talk(f"flow_tts/{flow}") as (person, model):
        await model.say("conversation.item.input_audio_transcription.completed", transcript="A long story.")
        while not Wait.started[flow]:
            await person.told("flow.build.progress")
        person.connection.transport.abort()
        await model.is_closed.wait()
    await room.is_quiet()
    assert Wait.ended[flow] == 1


async def test_a_client_that_does_not_read_is_closed_and_holds_nothing(tmp_path: Path) -> None:
    async with voice_room(tmp_path / "data", voice_slow_seconds=0.2) as room:
        flow = await room.add_flow(flows.echo())
        async with room.talk(f"flow_as_tool/{flow}", max_queue=1) as (person, model):
            sound = "A" * 400_000
            while not model.is_closed.is_set():
                with suppress(ConnectionClosed):
                    await model.say("response.audio.delta", response_id="r1", delta=sound)
            await room.is_quiet()
            # Whoever reads on after all finds the reason behind what was under way.
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await person.next()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
            # Of the little that was sent most was never read, and none of it is held here.
            assert len(person.everything) < 40


async def test_a_conversation_in_which_nobody_speaks_ends(tmp_path: Path) -> None:
    async with voice_room(tmp_path / "data", voice_idle_seconds=0.3) as room:
        flow = await room.add_flow(flows.echo())
        async with room.talk(f"flow_as_tool/{flow}") as (person, _):
            assert (await person.told("error"))["code"] == "time_is_over"
            assert (await person.closed())[0] == 4408
        await room.is_quiet()


async def test_a_conversation_ends_when_it_has_lasted_long_enough(tmp_path: Path) -> None:
    async with voice_room(tmp_path / "data", max_voice_seconds=0.3) as room:
        flow = await room.add_flow(flows.echo())
        async with room.talk(f"flow_tts/{flow}") as (person, _):
            assert (await person.told("error"))["code"] == "time_is_over"
            assert (await person.closed())[0] == 4408


async def test_further_conversations_wait_until_one_ends(tmp_path: Path) -> None:
    async with voice_room(tmp_path / "data", max_voice_conversations=1) as room:
        flow = await room.add_flow(flows.echo())
        query = f"x-api-key={room.application.key}"
        async with room.talk(f"flow_tts/{flow}") as (person, model):
            assert (await status_of(room, f"flow_tts/{flow}", query))[0] == 503
            await person.send("input_audio_buffer.append", audio=SOUND)
            await model.heard("input_audio_buffer.append")
        await room.is_quiet()
        async with room.talk(f"flow_tts/{flow}"):
            pass


async def test_a_conversation_has_a_request_id_and_is_reached_below_the_public_address_too(tmp_path: Path) -> None:
    async with voice_room(tmp_path / "data", public_url="http://127.0.0.1/tools") as room:
        flow = await room.add_flow(flows.echo())
        async with room.talk(f"flow_tts/{flow}", prefix="/tools", headers={"x-request-id": "a-request-1"}) as (person, _):
            assert person.connection.response is not None
            assert person.connection.response.headers["x-request-id"] == "a-request-1"
        await room.is_quiet()


async def test_the_operator_chooses_the_models(tmp_path: Path) -> None:
    chosen: dict[str, Any] = {"voice_realtime_model": "gpt-realtime-2.1", "voice_transcription_model": "whisper-1"}
    async with voice_room(tmp_path / "data", **chosen) as room:
        flow = await room.add_flow(flows.echo())
        for mode, path in (("flow_as_tool", "/v1/realtime?model=gpt-realtime-2.1"), ("flow_tts", "/v1/realtime?intent=transcription")):
            async with room.talk(f"{mode}/{flow}") as (_, model):
                session = (await model.heard("session.update"))["session"]
                assert (model.path, session["audio"]["input"]["transcription"]["model"]) == (path, "whisper-1")


async def test_the_log_of_requests_has_a_line_for_a_conversation_as_for_every_request(room: VoiceRoom) -> None:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(redact(record.getMessage()))  # type: ignore[method-assign]
    logger = logging.getLogger("uvicorn.access")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        flow = await room.add_flow(flows.echo())
        async with room.talk(f"flow_tts/{flow}"):
            pass
        await status_of(room, f"flow_tts/{flow}", "x-api-key=sk-guessed")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{room.port}", trust_env=False) as http:
            await http.get("/health")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    path = f"/api/v1/voice/ws/flow_tts/{flow}?x-api-key=[redacted]"
    assert [re.sub(r"^127\.0\.0\.1:\d+ - ", "", line) for line in lines] == [
        f'"GET {path} HTTP/1.1" 101',
        f'"GET {path} HTTP/1.1" 403',
        '"GET /health HTTP/1.1" 200',
    ]


async def test_a_message_that_is_too_large_ends_the_conversation(tmp_path: Path) -> None:
    async with voice_room(tmp_path / "data") as room:
        flow = await room.add_flow(flows.echo())
        async with room.talk(f"flow_tts/{flow}") as (person, _):
            await person.send("input_audio_buffer.append", audio="A" * 1_100_000)
            assert (await person.closed())[0] == 1009
        await room.is_quiet()


# --- beside the conversations


async def test_the_voices_of_elevenlabs_are_listed_for_who_has_a_key(room: VoiceRoom) -> None:
    http = room.application.http
    missing = await http.get("/api/v1/voice/elevenlabs/voice_ids")
    assert (missing.status_code, set(missing.json())) == (200, {"error"})
    await room.add_variable("ELEVENLABS_API_KEY", ELEVENLABS_KEY)
    listed = await http.get("/api/v1/voice/elevenlabs/voice_ids")
    assert (listed.status_code, listed.json()) == (200, [{"voice_id": "v1", "name": "Ann"}, {"voice_id": "v2", "name": "Ben"}])
    assert room.speech.requests[0][1]["xi-api-key"] == ELEVENLABS_KEY
    room.speech.status = 401
    failed = await http.get("/api/v1/voice/elevenlabs/voice_ids")
    assert (failed.status_code, failed.json()["detail"]["provider"], failed.json()["detail"]["provider_status"]) == (502, "ElevenLabs", 401)
    assert set((await room.application.stranger.get("/api/v1/voice/elevenlabs/voice_ids")).json()) == {"error"}


@pytest.mark.parametrize(("count", "is_available"), [(32, True), (0, False)])
async def test_the_config_says_whether_there_is_voice(tmp_path: Path, count: int, is_available: bool) -> None:
    async with open_application(tmp_path / "data", max_voice_conversations=count) as application:
        assert (await application.nobody.get("/api/v1/config")).json()["voice_mode_available"] is is_available
