"""The `requestState` of a call that waits for a person: sealed, and good for the very call it was given to."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from time import time
from typing import Any, Protocol

from projects.errors import InvalidInput

_PURPOSE = "headwater tools/call"


class TextBox(Protocol):
    """Authenticated encryption of text; `decrypt` raises for whatever it did not encrypt itself."""

    def encrypt(self, text: str) -> str: ...
    def decrypt(self, ciphertext: str) -> str: ...


@dataclass(frozen=True, slots=True)
class CallIdentity:
    """Who calls what with which arguments: a state is of no use to any other call."""

    user_id: str
    principal: str
    project_id: str | None
    tool: str
    arguments: Mapping[str, Any]

    def claims(self) -> dict[str, Any]:
        plain = json.dumps(self.arguments, sort_keys=True, separators=(",", ":"))
        return {
            "for": _PURPOSE,
            "user": self.user_id,
            "by": self.principal,
            "project": self.project_id,
            "tool": self.tool,
            "arguments": hashlib.sha256(plain.encode()).hexdigest(),
        }


class RequestStates:
    """Seals the id of a waiting run for the caller to carry, and opens what comes back."""

    def __init__(self, box: TextBox, *, seconds: float) -> None:
        self._box = box
        self._seconds = seconds

    def seal(self, call: CallIdentity, run_id: str, *, expires_at: datetime | None = None) -> str:
        """Good for `seconds`, or until the question itself expires when that is sooner."""
        until = time() + self._seconds
        if expires_at is not None:
            until = min(until, expires_at.timestamp())
        return self._box.encrypt(json.dumps({**call.claims(), "run": run_id, "until": until}))

    def open(self, call: CallIdentity, state: str) -> str:
        """The run's id. Raises InvalidInput for a state that was changed, is too old, or belongs to another call."""
        try:
            claims = json.loads(self._box.decrypt(state))
        except Exception:
            # A boundary: the text comes from outside, and whatever is wrong with it is wrong in the same way.
            raise InvalidInput("The requestState was not made by this server or was changed. Call the tool again without it.") from None
        if not isinstance(claims, dict) or any(claims.get(name) != value for name, value in call.claims().items()):
            raise InvalidInput(
                "The requestState belongs to another call: it is good for the same caller, project, tool and arguments only."
            )
        if not isinstance(claims.get("until"), int | float) or claims["until"] < time():
            raise InvalidInput(
                f"The requestState is too old. The run {claims.get('run')} still waits: answer it with POST "
                f"/api/v1/runs/{claims.get('run')}/answers, or call the tool again without the requestState for a new run."
            )
        return str(claims["run"])
