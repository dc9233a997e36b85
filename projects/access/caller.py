"""Who is calling. Made once per request by `authentication.py`; every use case takes it as a parameter."""

from dataclasses import dataclass
from enum import StrEnum


class Credential(StrEnum):
    """What proved the caller."""

    API_KEY = "api_key"
    SESSION = "session"  # a login: bearer token or cookie
    AUTOMATIC = "automatic"  # automatic login on loopback
    LOCAL = "local"  # the command line on the server's own machine


@dataclass(frozen=True, slots=True)
class Caller:
    """A known user and the credential used. `credential_id` is the API key's or the session's id."""

    user_id: str
    username: str
    is_superuser: bool
    via: Credential
    credential_id: str | None = None

    @property
    def principal(self) -> str:
        """Names caller and credential, for run records and for binding MCP sessions: "api_key:<id>" for example."""
        return f"{self.via}:{self.credential_id or self.user_id}"
