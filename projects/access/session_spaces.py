"""Which conversations a confined caller can take part in: those whose session ids begin with the caller's own space, and no others.

A guest's space is its MCP session; without one, a session id that this server made up. A token's space is its subject. Whoever calls in
person has no space: the user's sessions are named as they like.
"""

import hashlib
import re

from projects.access.caller import Caller, Credential
from projects.errors import FieldProblem, InvalidInput
from storage.ids import new_id

_ISSUED = re.compile(r"[0-9a-f]{32}")


def session_for(caller: Caller, asked: str | None) -> str:
    """The session of a run that this caller starts, a new one unless `asked` names one.

    What an earlier answer told as its session may be asked for again. Raises InvalidInput for a guest without an MCP session that
    makes up a name: others could make up the same.
    """
    if not caller.is_confined:
        return asked or new_id()
    named = (asked or "").removeprefix(f"{caller.principal}:")
    if not caller.is_guest:
        return f"{caller.principal}:{named or new_id()}"
    if caller.conversation:
        space = _space_of_conversation(caller)
        named = named.removeprefix(f"{space}:")
        return f"{caller.principal}:{space}:{named or new_id()}"
    if not named:
        return f"{caller.principal}:{new_id().replace('-', '')}"
    if _ISSUED.fullmatch(named):
        return f"{caller.principal}:{named}"
    message = "A guest cannot choose a session's name. Leave session_id out, and go on with the one that the answer tells in its _meta."
    raise InvalidInput(message, problems=[FieldProblem(("session_id",), message)])


def space_of(principal: str, session_id: str) -> str:
    """The space that a run of this principal stays in; empty for a user in person."""
    kind = principal.partition(":")[0]
    if kind == Credential.GUEST:
        return ":".join(session_id.split(":")[:3])
    return principal if kind == Credential.OAUTH else ""


def inside(space: str, session_id: str) -> str:
    """The session that a flow means when it names `session_id`: itself, or what has that name in the run's own space."""
    if not space or not session_id or session_id == space or session_id.startswith(f"{space}:"):
        return session_id
    return f"{space}:{session_id}"


def is_open_to(caller: Caller, principal: str, session_id: str) -> bool:
    """Whether a run that `principal` started in this session is one that the caller may see, answer and stop.

    The user in person may with every one. Others may with what the same principal started; guests, who all have one, only with what was
    started in the same MCP session. Without MCP sessions it is the run's id that a guest was told and nobody can guess.
    """
    if not caller.is_confined:
        return True
    if caller.principal != principal:
        return False
    if not caller.is_guest:
        return True
    named = session_id.removeprefix(f"{principal}:")
    return named.startswith(f"{_space_of_conversation(caller)}:") if caller.conversation else ":" not in named


def _space_of_conversation(caller: Caller) -> str:
    return hashlib.sha256(caller.conversation.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_guest(principal: str) -> bool:
    return principal.partition(":")[0] == Credential.GUEST
