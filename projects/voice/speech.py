"""Text to speech: 16-bit samples, mono, 24 kHz, in pieces of a fifth of a second, from OpenAI or ElevenLabs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from pydantic_core import from_json

from projects.models.failures import Asked
from projects.outgoing.clients import GuardedHttp
from projects.outgoing.guard import Guard

PIECE_BYTES = 9_600  # a fifth of a second; a multiple of 6, so that its base64 has no padding
SPEECH_SECONDS = 120.0
MAX_SPEECH_BYTES = 64 * 1024 * 1024
MAX_LISTED_BYTES = 4 * 1024 * 1024
OPENAI_MODEL = "gpt-4o-mini-tts"
OPENAI_VOICE = "echo"
OPENAI_MAX_CHARACTERS = 4_096
ELEVENLABS_MODEL = "eleven_multilingual_v2"
ELEVENLABS_VOICE = "JBFqnCBsd6RMkjVDRZzb"

_VOICE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SENTENCE_END = re.compile(r"[.?;!](?=\s)")


class Speech(Protocol):
    def speak(self, text: str) -> AsyncIterator[bytes]:
        """Raises ProviderFailed, AddressRefused."""
        ...


@dataclass(frozen=True, slots=True)
class Voice:
    voice_id: str
    name: str


def is_voice(name: object) -> bool:
    return isinstance(name, str) and _VOICE.fullmatch(name) is not None


class OpenAISpeech:
    def __init__(self, guard: Guard, base_url: str, key: str, voice: str = OPENAI_VOICE) -> None:
        self._http = GuardedHttp(guard.trusting(base_url), max_bytes=MAX_SPEECH_BYTES)
        self._url = f"{base_url.rstrip('/')}/audio/speech"
        self._asked = Asked("OpenAI", OPENAI_MODEL, key)
        self._voice = voice

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        headers = {"Authorization": f"Bearer {self._asked.key}"}
        for begin in range(0, len(text), OPENAI_MAX_CHARACTERS):
            part = text[begin : begin + OPENAI_MAX_CHARACTERS]
            body = {"model": OPENAI_MODEL, "voice": self._voice, "input": part, "response_format": "pcm"}
            async for piece in _pieces(self._http, self._asked, self._url, headers, body):
                yield piece


class ElevenLabs:
    def __init__(self, guard: Guard, base_url: str, key: str, voice: str = ELEVENLABS_VOICE) -> None:
        trusting = guard.trusting(base_url)
        self._http = GuardedHttp(trusting, max_bytes=MAX_SPEECH_BYTES)
        self._short_http = GuardedHttp(trusting, max_bytes=MAX_LISTED_BYTES)
        self._base_url = base_url.rstrip("/")
        self._asked = Asked("ElevenLabs", ELEVENLABS_MODEL, key)
        self._voice = voice

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """Sentence by sentence, so that the first is heard while the others are made."""
        url = f"{self._base_url}/v1/text-to-speech/{quote(self._voice, safe='')}/stream?output_format=pcm_24000"
        sentences = Sentences()
        for sentence in (*sentences.add(text), *sentences.rest()):
            body = {"text": sentence, "model_id": ELEVENLABS_MODEL}
            async for piece in _pieces(self._http, self._asked, url, {"xi-api-key": self._asked.key}, body):
                yield piece

    async def list_voices(self) -> list[Voice]:
        """Raises ProviderFailed, AddressRefused."""
        with _told(self._asked):
            async with self._short_http.client(timeout_seconds=30, follow_redirects=False) as client:
                answer = await client.get(f"{self._base_url}/v1/voices", headers={"xi-api-key": self._asked.key})
        if answer.status_code != 200:
            raise self._asked.failed(answer.status_code, answer.text)
        try:
            return [Voice(str(each["voice_id"]), str(each["name"])) for each in from_json(answer.content)["voices"]]
        except (ValueError, KeyError, TypeError):
            raise self._asked.unreadable() from None


class Sentences:
    """Cuts a text that comes piece by piece behind the marks that end a sentence, where a blank follows them."""

    def __init__(self) -> None:
        self._left = ""

    def add(self, piece: str) -> list[str]:
        """The sentences that are whole now."""
        self._left += piece
        begin, whole = 0, []
        for end in _SENTENCE_END.finditer(self._left):
            whole.append(self._left[begin : end.end()].strip())
            begin = end.end()
        self._left = self._left[begin:]
        return whole

    def rest(self) -> list[str]:
        left, self._left = self._left.strip(), ""
        return [left] if left else []


async def _pieces(http: GuardedHttp, asked: Asked, url: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> AsyncIterator[bytes]:
    with _told(asked):
        async with (
            http.client(timeout_seconds=SPEECH_SECONDS, follow_redirects=False) as client,
            client.stream("POST", url, headers=headers, json=body) as answer,
        ):
            if answer.status_code != 200:
                raise asked.failed(answer.status_code, (await answer.aread()).decode("utf-8", "replace"))
            async for piece in answer.aiter_bytes(PIECE_BYTES):
                yield piece


@contextmanager
def _told(asked: Asked) -> Iterator[None]:
    import httpx

    try:
        yield
    except httpx.TimeoutException:
        raise asked.timed_out(SPEECH_SECONDS) from None
    except httpx.HTTPError as error:
        raise asked.unreachable(str(error)) from None
