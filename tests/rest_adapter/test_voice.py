"""Conversations by voice, over real sockets: what each side is told, and that nothing is left behind."""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from headwater_test_components import Wait

from tests import flow_documents as flows
from tests.realtime_server import HeardConnection
from tests.rest_adapter.voice_room import ELEVENLABS_KEY, VoiceRoom, voice_room

SOUND = b64encode(b"\x01\x02" * 60).decode()


in_both_protocols = pytest.mark.parametrize("room", ["ga", "beta"], indirect=True)


@pytest.fixture
async def room(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[VoiceRoom]:
    async with voice_room(tmp_path / "data", protocol=getattr(request, "param", "ga")) as opened:
        yield opened
        await opened.is_quiet()


def waiting(seconds: float = 60.0) -> dict[str, Any]:
    """A chat whose answer takes a while."""
    wait = flows.node("HeadwaterTestWait", "Wait-w", {"text": "", "seconds": seconds})
    edges = [flows.edge("ChatInput-in", "Wait-w", "text"), flows.edge("Wait-w", "ChatOutput-out", "input_value")]
    return flows.document([flows.chat_input(), wait, flows.chat_output()], edges)


async def call_flow(model: HeardConnection, text: str, *, call_id: str = "call_1", response_id: str = "r1") -> None:
    """The model answers with a call of its tool."""
    await model.say("response.created", response={"id": response_id})
    arguments = f'{{"input": "{text}"}}'
    for piece in (arguments[:7], arguments[7:]):
        await model.say("response.function_call_arguments.delta", call_id=call_id, response_id=response_id, delta=piece)
    await model.say("response.function_call_arguments.done", call_id=call_id, response_id=response_id)
    await model.say("response.done", response={"id": response_id, "status": "completed"})


async def hear(model: HeardConnection, text: str) -> None:
    await model.say("input_audio_buffer.speech_started", item_id="i1")
    await model.say("input_audio_buffer.speech_stopped", item_id="i1")
    await model.say("conversation.item.input_audio_transcription.completed", item_id="i1", transcript=text)


async def messages(room: VoiceRoom, session_id: str) -> list[tuple[str, str, str]]:
    answer = await room.application.http.get("/api/v1/monitor/messages", params={"session_id": session_id})
    return [(each["sender"], each["sender_name"], each["text"]) for each in answer.json()]


# --- a model with the flow as its tool


@in_both_protocols
async def test_a_person_is_heard_the_flow_runs_with_progress_and_its_answer_is_spoken(room: VoiceRoom) -> None:
    flow = await room.add_flow(flows.echo(), description="Repeats what it is told.")
    async with room.talk(f"flow_as_tool/{flow}/kitchen") as (person, model):
        session = (await model.heard("session.update"))["session"]
        assert model.headers["Authorization"] == "Bearer sk-voice"
        if room.realtime.protocol == "ga":
            assert (model.path, model.headers.get("OpenAI-Beta")) == ("/v1/realtime?model=gpt-realtime-2.1-mini", None)
            assert (session["type"], session["output_modalities"]) == ("realtime", ["audio"])
            assert session["audio"]["input"]["transcription"] == {"model": "gpt-transcribe"}
            assert session["audio"]["input"]["turn_detection"]["threshold"] == 0.1
            assert session["audio"]["output"] == {"voice": "echo", "format": {"type": "audio/pcm", "rate": 24_000}}
        else:
            assert (model.path, model.headers["OpenAI-Beta"]) == ("/v1/realtime?model=gpt-4o-mini-realtime-preview", "realtime=v1")
            assert (session["modalities"], session["voice"], session["input_audio_format"]) == (["text", "audio"], "echo", "pcm16")
            assert (session["temperature"], session["input_audio_transcription"]) == (0.8, {"model": "whisper-1"})
        assert [(tool["name"], tool["description"]) for tool in session["tools"]] == [("execute_flow", "Repeats what it is told.")]

        await person.send("input_audio_buffer.append", audio=SOUND)
        assert (await model.heard("input_audio_buffer.append"))["audio"] == SOUND
        await hear(model, "Say hello.")
        assert (await person.told("conversation.item.input_audio_transcription.completed"))["transcript"] == "Say hello."

        await call_flow(model, "hello")
        assert (await model.heard("conversation.item.create"))["item"]["role"] == "system"  # to say that it is at work
        assert "hello" in (await person.progress("end_vertex"))["build_data"]["data"]["results"]["message"]["text"]
        await person.progress("end")
        await model.heard("response.create")
        await model.say("response.created", response={"id": "r2"})
        await model.say("flow.secret", text="not for clients")
        await model.say("response.audio.delta", response_id="r2", delta=SOUND)
        assert await person.told("response.audio.delta") == {"type": "response.audio.delta", "response_id": "r2", "delta": SOUND}
        # Its answer waits until the model has said that it is at work.
        assert not any(each.get("item", {}).get("type") == "function_call_output" for each in model.everything)
        await model.say("response.done", response={"id": "r2"})
        item = (await model.heard("conversation.item.create"))["item"]
        assert (item["type"], item["call_id"], item["output"]) == ("function_call_output", "call_1", "hello\nhello")
        await model.heard("response.create")
        await model.say("response.created", response={"id": "r3"})
        await model.say("response.audio_transcript.done", response_id="r3", transcript="It says hello.")
        await model.say("response.done", response={"id": "r3"})
        assert (await person.told("response.done", response={"id": "r3"}))["response"]["id"] == "r3"
        assert not any(event["type"].startswith("flow.secret") for event in person.everything)
    assert await messages(room, "kitchen") == [("User", "User", "Say hello."), ("Machine", "AI", "It says hello.")]


async def test_who_interrupts_stops_the_flow_and_hears_nothing_more_of_the_answer(room: VoiceRoom) -> None:
    flow = await room.add_flow(waiting())
    async with room.talk(f"flow_as_tool/{flow}") as (person, model):
        await person.send("langflow.voice_mode.config", progress_enabled=False)
        await person.send("response.create")
        await model.heard("response.create")  # so the setting before it has arrived
        await call_flow(model, "a long story")
        await person.progress("build_start")
        while not Wait.started[flow]:
            await person.progress("end_vertex")
        await model.say("input_audio_buffer.speech_started", item_id="i2")
        await person.told("input_audio_buffer.speech_started")
        item = (await model.heard("conversation.item.create"))["item"]
        assert (item["type"], item["call_id"]) == ("function_call_output", "call_1")
        assert "interrupted" in item["output"]
        assert Wait.ended[flow] == 1
        # The conversation goes on.
        await person.send("input_audio_buffer.append", audio=SOUND)
        await model.heard("input_audio_buffer.append")
    await room.is_quiet()
    runs = (await room.application.http.get("/api/v1/runs", params={"flow_id": flow})).json()
    assert "cancelled" in str(runs)


async def test_a_flow_that_fails_is_told_to_the_model_as_the_tools_answer(room: VoiceRoom) -> None:
    fail = flows.node("HeadwaterTestFail", "Fail-f", {"text": "", "reason": "no more bread"})
    edges = [flows.edge("ChatInput-in", "Fail-f", "text"), flows.edge("Fail-f", "ChatOutput-out", "input_value")]
    flow = await room.add_flow(flows.document([flows.chat_input(), fail, flows.chat_output()], edges))
    async with room.talk(f"flow_as_tool/{flow}") as (person, model):
        await person.send("langflow.voice_mode.config", progress_enabled=False)
        await person.send("response.create")
        await model.heard("response.create")
        await call_flow(model, "bread")
        assert "no more bread" in (await model.heard("conversation.item.create"))["item"]["output"]
        for arguments in ("[]", "{broken", '{"input": 7}'):
            await model.say("response.function_call_arguments.done", call_id="call_2", arguments=arguments)
            await model.say("response.done", response={"id": "r2"})
            assert "cannot be read" in (await model.heard("conversation.item.create"))["item"]["output"]


async def test_an_answer_that_came_while_the_model_spoke_of_its_own_accord_is_given_afterwards(room: VoiceRoom) -> None:
    flow = await room.add_flow(flows.echo())
    async with room.talk(f"flow_as_tool/{flow}") as (person, model):
        await person.send("langflow.voice_mode.config", progress_enabled=False)
        await person.send("response.create")
        await model.heard("response.create")
        await call_flow(model, "hello")
        assert (await model.heard("conversation.item.create"))["item"]["output"] == "hello\nhello"
        asked = await model.heard("response.create")
        # It has heard the person in the meantime, and begun to answer that.
        await model.say("response.created", response={"id": "r2"})
        await model.refuse(asked, "conversation_already_has_active_response")
        await model.say("response.audio_transcript.done", response_id="r2", transcript="One moment.")
        await person.told("response.audio_transcript.done")
        await person.send("input_audio_buffer.append", audio=SOUND)
        await model.heard("input_audio_buffer.append")
        assert [event["type"] for event in model.everything].count("response.create") == 2
        await model.say("response.done", response={"id": "r2"})
        again = await model.heard("response.create")
        assert again["event_id"] == asked["event_id"]
        await model.say("response.created", response={"id": "r3"})
        await person.told("response.created", response={"id": "r3"})
        # What is asked for again is no error of the client's, and the tool's answer is given once.
        assert not any(event["type"] == "error" for event in person.everything)
        assert [event["type"] for event in model.everything].count("conversation.item.create") == 1


async def test_only_an_error_about_a_response_gives_the_turn_to_the_next(room: VoiceRoom) -> None:
    flow = await room.add_flow(flows.echo())
    async with room.talk(f"flow_as_tool/{flow}") as (person, model):
        begun = await model.heard("session.update")
        for number in range(3):
            await person.send("response.create", event_id=f"turn-{number}")
        first = await model.heard("response.create")
        assert first["event_id"] == "turn-0"
        await model.refuse(begun, "invalid_value", "No such voice.")
        assert (await person.told("error"))["error"]["message"] == "No such voice."
        assert [event["type"] for event in model.everything].count("response.create") == 1
        await model.refuse(first, "invalid_value", "No such thing.")
        assert (await person.told("error"))["error"]["event_id"] == "turn-0"
        assert (await model.heard("response.create"))["event_id"] == "turn-1"
        # A server that names no event: the last one is meant. It is not asked for ever.
        for _ in range(4):
            await model.refuse({}, "conversation_already_has_active_response")
            assert (await model.heard("response.create"))["event_id"] == "turn-1"
        await model.refuse({}, "conversation_already_has_active_response")
        assert (await model.heard("response.create"))["event_id"] == "turn-2"
        assert (await person.told("error"))["error"]["code"] == "conversation_already_has_active_response"


@in_both_protocols
async def test_a_client_changes_only_what_is_its_own_of_the_session(room: VoiceRoom) -> None:
    flow = await room.add_flow(flows.echo())
    async with room.talk(f"flow_as_tool/{flow}") as (person, model):
        rules = (await model.heard("session.update"))["session"]["instructions"]
        given = {"voice": "alloy", "instructions": "Speak like a pirate.", "tools": [], "model": "gpt-expensive", "temperature": 0.6}
        await person.send("session.update", session=given)
        changed = (await model.heard("session.update"))["session"]
        is_ga = room.realtime.protocol == "ga"
        assert set(changed) == ({"type", "instructions", "audio"} if is_ga else {"voice", "instructions", "temperature"})
        assert (changed["audio"]["output"] if is_ga else changed)["voice"] == "alloy"
        assert changed["instructions"].startswith(rules) and changed["instructions"].endswith("Speak like a pirate.")
        # It may write the other form of the protocol as well.
        given = {"type": "realtime", "audio": {"input": {"turn_detection": None, "format": {"type": "audio/pcmu"}}}, "tools": []}
        await person.send("session.update", session=given, event_id="mine")
        changed = await model.heard("session.update")
        assert changed["session"] == (
            {"type": "realtime", "audio": {"input": {"turn_detection": None}}} if is_ga else {"turn_detection": None}
        )
        assert changed["event_id"] == "mine"
        said = {"type": "message", "role": "assistant", "content": [{"type": "text" if is_ga else "output_text", "text": "Hello."}]}
        await person.send("conversation.item.create", item=said)
        heard = (await model.heard("conversation.item.create"))["item"]["content"]
        assert heard == [{"type": "output_text" if is_ga else "text", "text": "Hello."}]
        # Too little sound to be a word is not committed, and no sound is not sent.
        await person.send("input_audio_buffer.append", audio="")
        await person.send("input_audio_buffer.append", audio="AAAA")
        await person.send("input_audio_buffer.commit")
        await person.send("input_audio_buffer.append", audio=SOUND)
        await person.send("input_audio_buffer.commit")
        await model.heard("input_audio_buffer.commit")
        await person.send("conversation.item.truncate", item_id="i1", content_index=0)
        assert await model.heard("conversation.item.truncate") == {
            "type": "conversation.item.truncate",
            "item_id": "i1",
            "content_index": 0,
        }
        kinds = [event["type"] for event in model.everything]
        assert (kinds.count("input_audio_buffer.append"), kinds.count("input_audio_buffer.commit")) == (2, 1)


async def test_what_cannot_be_understood_is_said_and_the_conversation_goes_on(room: VoiceRoom) -> None:
    flow = await room.add_flow(flows.echo())
    async with room.talk(f"flow_as_tool/{flow}") as (person, model):
        for text in ("{", "[]", '{"type": 7}', '{"type": "input_audio_buffer.append", "audio": 7}', '{"type": "langflow.sing"}'):
            await person.connection.send(text)
            assert (await person.told("error"))["code"] in ("invalid_message", "unknown_message")
        await person.send("langflow.elevenlabs.config", enabled=True, voice_id="../../v1/user")
        assert "voice_id" in (await person.told("error"))["message"]
        await person.send("langflow.elevenlabs.config", enabled=True)
        missing = await person.told("error")
        assert (missing["code"], missing["key_name"]) == ("api_key_missing", "ELEVENLABS_API_KEY")
        await person.connection.send(b"\x00\x01")
        assert (await person.closed())[0] == 1003
    assert model.path


@in_both_protocols
async def test_elevenlabs_speaks_what_the_model_writes_sentence_by_sentence(room: VoiceRoom) -> None:
    await room.add_variable("ELEVENLABS_API_KEY", ELEVENLABS_KEY)
    flow = await room.add_flow(flows.echo())
    async with room.talk(f"flow_as_tool/{flow}") as (person, model):
        await model.heard("session.update")
        await person.send("langflow.elevenlabs.config", enabled=True, voice_id="abc")
        is_ga = room.realtime.protocol == "ga"
        writes_only = {"type": "realtime", "output_modalities": ["text"]} if is_ga else {"modalities": ["text"]}
        assert (await model.heard("session.update"))["session"] == writes_only
        await person.send("response.create", response={"modalities": ["audio"]})
        assert (await model.heard("response.create"))["response"] == (
            {"output_modalities": ["text"]} if is_ga else {"modalities": ["text"]}
        )
        await model.say("response.created", response={"id": "r1"})
        for piece in ("It costs 3.", "50 euros. Do", " you want", " it?"):
            await model.say("response.text.delta", response_id="r1", delta=piece)
        await model.say("response.done", response={"id": "r1", "status": "completed"})
        heard = [await person.told("response.audio.delta"), await person.told("response.audio.delta")]
        assert {event["response_id"] for event in heard} == {"r1"}
        assert [b64decode(event["delta"]).decode() for event in heard] == ["It costs 3.50 euros.", "Do you want it?"]
        assert (await person.next())["type"] == "response.audio.done"
        assert (await person.next())["type"] == "response.done"
    path, headers, body = room.speech.requests[0]
    assert (path, headers["xi-api-key"], body["model_id"]) == ("/v1/text-to-speech/abc/stream", ELEVENLABS_KEY, "eleven_multilingual_v2")


async def test_speech_made_elsewhere_ends_when_the_person_interrupts(room: VoiceRoom) -> None:
    await room.add_variable("ELEVENLABS_API_KEY", ELEVENLABS_KEY)
    room.speech.may_speak.clear()
    flow = await room.add_flow(flows.echo())
    async with room.talk(f"flow_as_tool/{flow}") as (person, model):
        await person.send("langflow.elevenlabs.config", enabled=True)
        await person.send("response.create")
        await model.heard("response.create")
        await model.say("response.created", response={"id": "r1"})
        await model.say("response.text.delta", response_id="r1", delta="Once upon a time. ")
        await model.say("response.done", response={"id": "r1", "status": "completed"})
        await model.say("input_audio_buffer.speech_started", item_id="i2")
        await person.told("response.done")
        await person.told("input_audio_buffer.speech_started")
        room.speech.may_speak.set()
        await model.say("rate_limits.updated")
        await person.told("rate_limits.updated")
        assert not any(event["type"].startswith("response.audio") for event in person.everything)


# --- the flow itself


@in_both_protocols
async def test_the_flow_is_given_what_was_understood_and_its_answer_is_read_out(room: VoiceRoom) -> None:
    flow = await room.add_flow(flows.echo())
    async with room.talk(f"flow_tts/{flow}/hall") as (person, model):
        assert model.path == "/v1/realtime?intent=transcription"
        if room.realtime.protocol == "ga":
            session = (await model.heard("session.update"))["session"]
            assert (session["type"], session["audio"]["input"]["noise_reduction"]) == ("transcription", {"type": "near_field"})
            assert session["audio"]["input"]["transcription"] == {"model": "gpt-transcribe", "languages": ["en"]}
            await model.say("session.updated", session=session)
            told = await person.told("transcription_session.updated")
            assert told["session"]["input_audio_format"] == "pcm16"
        else:
            session = (await model.heard("transcription_session.update"))["session"]
            assert session["input_audio_transcription"] == {"model": "gpt-4o-transcribe", "language": "en"}
        await person.send("voice.settings", voice="sage")
        await person.send("input_audio_buffer.append", audio=SOUND)
        await model.heard("input_audio_buffer.append")
        await hear(model, "  ")
        await hear(model, "Good morning.")
        await person.progress("end_vertex")
        await person.progress("end")
        assert b64decode((await person.told("response.audio.delta"))["delta"]) == b"Good morning."
        await person.send("voice.settings", voice=7)
        await person.send("response.create")
        assert [(await person.told("error"))["code"] for _ in range(2)] == ["invalid_message", "unknown_message"]
    path, headers, body = room.speech.requests[0]
    assert (path, headers["authorization"]) == ("/v1/audio/speech", "Bearer sk-voice")
    assert body == {"model": "gpt-4o-mini-tts", "voice": "sage", "input": "Good morning.", "response_format": "pcm"}
    # As the flow's own chat components have stored them, once each.
    assert await messages(room, "hall") == [("User", "User", "Good morning."), ("Machine", "AI", "Good morning.")]


async def test_who_speaks_on_stops_the_flow_that_worked_on_what_was_said_before(room: VoiceRoom) -> None:
    flow = await room.add_flow(waiting())
    async with room.talk(f"flow_tts/{flow}") as (person, model):
        await hear(model, "First.")
        await person.progress("build_start")
        while not Wait.started[flow]:
            await person.progress("end_vertex")
        await hear(model, "No, second.")
        await person.progress("build_start")
        assert Wait.ended[flow] == 1
    await room.is_quiet()
    assert Wait.ended[flow] == Wait.started[flow]


async def test_speech_that_cannot_be_made_is_told_without_the_key(room: VoiceRoom) -> None:
    room.speech.status = 500
    flow = await room.add_flow(flows.echo())
    async with room.talk(f"flow_tts/{flow}") as (person, model):
        await hear(model, "Good morning.")
        error = await person.told("error")
        assert (error["code"], "sk-voice" in error["message"]) == ("provider_failed", False)
        room.speech.status = 200
        await hear(model, "Again.")
        assert b64decode((await person.told("response.audio.delta"))["delta"]) == b"Again."


async def test_a_visitor_talks_to_a_public_flow_in_sessions_of_its_own(room: VoiceRoom) -> None:
    stranger = room.application.stranger
    await room.add_variable("OPENAI_API_KEY", "sk-voice", stranger=True)
    flow = await room.add_flow(flows.echo())
    key = stranger.headers["x-api-key"]
    async with room.call(f"flow_tts/{flow}/hall", query=f"api_key={key}") as person:
        assert (await person.next())["error"].startswith("Failed to load flow: ")
    assert (await room.application.http.patch(f"/api/v1/flows/{flow}", json={"access_type": "PUBLIC"})).status_code == 200
    async with room.talk(f"flow_as_tool/{flow}/hall", query="", headers={"api_key": key}) as (person, model):
        await hear(model, "It is me.")
        await person.told("conversation.item.input_audio_transcription.completed")
        await call_flow(model, "from a visitor")
        await person.progress("end")
    assert await messages(room, "hall") == []
    kept = (await room.application.http.get("/api/v1/monitor/messages", params={"flow_id": flow})).json()
    assert {each["text"] for each in kept} == {"It is me.", "from a visitor"}
    assert {"hall"}.isdisjoint({each["session_id"] for each in kept})
