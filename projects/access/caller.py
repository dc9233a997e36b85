"""Who is calling. Made once per request by `authentication.py`; every use case takes it as a parameter."""

from dataclasses import dataclass
from enum import StrEnum


class Credential(StrEnum):
    """What proved the caller."""

    API_KEY = "api_key"
    SESSION = "session"  # a login: bearer token or cookie
    AUTOMATIC = "automatic"  # automatic login on loopback
    LOCAL = "local"  # the command line on the server's own machine
    GUEST = "guest"  # nothing: the project lets anybody use its tools
    OAUTH = "oauth"  # a token of the authorization server that the project's owner chose


@dataclass(frozen=True, slots=True)
class Caller:
    """A known user and the credential used. `credential_id` is the API key's or the session's id.

    A confined caller (a guest, or the holder of a project's token) acts under the owner's `user_id` and may use the tools of one
    project and nothing else of the owner's. `conversation` tells the MCP session of a guest apart from that of another.
    """

    user_id: str
    username: str
    is_superuser: bool
    via: Credential
    credential_id: str | None = None
    project_id: str | None = None  # the only project that this caller may use; None for the user in person
    conversation: str = ""

    @property
    def principal(self) -> str:
        """Names caller and credential, for run records and for binding MCP sessions: "api_key:<id>" for example."""
        return f"{self.via}:{self.credential_id or self.user_id}"

    @property
    def is_guest(self) -> bool:
        return self.via is Credential.GUEST

    @property
    def is_confined(self) -> bool:
        """Whether this is somebody else than the user whose things are used."""
        return self.project_id is not None
