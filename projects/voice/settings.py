"""What the operator says about voice."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

OPENAI_REALTIME_URL = "wss://api.openai.com/v1/realtime"
OPENAI_URL = "https://api.openai.com/v1"
ELEVENLABS_URL = "https://api.elevenlabs.io"


class RealtimeProtocol(StrEnum):
    """What the realtime server speaks."""

    GA = "ga"  # generally available: the only one that OpenAI speaks, since May 2026
    BETA = "beta"  # servers that were made like OpenAI's before that


@dataclass(frozen=True, slots=True)
class RealtimeModels:
    """`talking`: hears and speaks. `noting`: writes down what a person says to it. `listening`: writes down all, and nothing else."""

    talking: str
    noting: str
    listening: str


DEFAULT_MODELS: Mapping[RealtimeProtocol, RealtimeModels] = {
    RealtimeProtocol.GA: RealtimeModels("gpt-realtime-2.1-mini", "gpt-transcribe", "gpt-transcribe"),
    RealtimeProtocol.BETA: RealtimeModels("gpt-4o-mini-realtime-preview", "whisper-1", "gpt-4o-transcribe"),
}


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """Addresses here may be private ones. Seconds are counted by the event loop's clock."""

    realtime_url: str = OPENAI_REALTIME_URL
    realtime_protocol: RealtimeProtocol = RealtimeProtocol.GA
    realtime_model: str = ""  # empty: the protocol's default
    transcription_model: str = ""  # likewise
    speech_url: str = OPENAI_URL  # the base of `/audio/speech`
    elevenlabs_url: str = ELEVENLABS_URL
    max_sessions: int = 32  # of all users together; 0: there is no voice
    max_sessions_per_user: int = 4
    idle_seconds: float = 300.0  # without a word from either side
    max_seconds: float = 3_600.0
    slow_seconds: float = 15.0  # that a client may take to read one message

    @property
    def models(self) -> RealtimeModels:
        default = DEFAULT_MODELS[self.realtime_protocol]
        return RealtimeModels(
            self.realtime_model or default.talking,
            self.transcription_model or default.noting,
            self.transcription_model or default.listening,
        )


def realtime_url_beside(base_url: str) -> str:
    """The realtime address of a server that speaks OpenAI's API at `base_url`."""
    scheme, separator, rest = base_url.rstrip("/").partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}{separator}{rest}/realtime"
