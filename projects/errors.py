"""Every error a caller may see, as one small tree. Faces translate it once (`mcp_server/errors.py`, `rest_adapter/errors.py`).

HeadwaterError
├── CredentialsMissing        nothing was presented
├── InvalidApiKey             unknown, expired or revoked key
├── InvalidToken              bad, expired or revoked session token; inactive user
├── NotPermitted              known caller, forbidden action
├── NotFound                  missing, or somebody else's: the two are never told apart
├── AlreadyExists             a name or id is taken
├── Locked                    the object refuses changes until it is unlocked
├── Stale                     the caller changed an older version
├── Conflict                  the object is not in the state that the request needs
│   ├── StillRunning          the run of an idempotency key goes on elsewhere; with `retry_after_seconds`
│   └── RunInterrupted        the server stopped before the run finished
├── InvalidInput              a value is wrong: names the value and what would be right
│   ├── ConflictingInput      two values of one request contradict each other
│   ├── TweaksRefused         protected or undeclared fields
│   ├── KeyReused             an idempotency key that stands for another request
│   └── FlowCannotRun         names the nodes that stop the run
├── TooLarge                  a body, document or value over its limit
├── TooManyRequests           with `retry_after_seconds`
├── Unavailable               busy or database gone; with `retry_after_seconds`
├── ModelMissing              no model was chosen and none can be; names the ways to get one
├── PackageMissing            an extra is not installed; names the install line
├── ProviderFailed            a provider of models answered with an error (502), with its status
│   ├── ProviderBusy          its 429 (503), with `retry_after_seconds`
│   └── ProviderTimedOut      no answer in time (504)
├── AddressRefused            an outgoing call to an address that flows may not reach
├── LimitReached              too many steps, too deep, too big
├── ComponentFailed           a component raised; carries its id and type
├── PluginFailed              a plugin's own function raised
├── RunCancelled              the run was cancelled before it finished
└── InputRequired             the run waits for a person
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


class HeadwaterError(Exception):
    """Base of the tree. `code` is stable, `message` is for a person and tells the next step."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CredentialsMissing(HeadwaterError):
    code = "credentials_missing"

    def __init__(self, message: str = "No credentials: send an API key as x-api-key or Authorization: Bearer.") -> None:
        super().__init__(message)


class InvalidApiKey(HeadwaterError):
    code = "invalid_api_key"

    def __init__(self, message: str = "This API key is unknown, expired or revoked. Create one with `headwater key create`.") -> None:
        super().__init__(message)


class InvalidToken(HeadwaterError):
    code = "invalid_token"


class NotPermitted(HeadwaterError):
    code = "not_permitted"


class NotFound(HeadwaterError):
    """`kind` is the noun ("flow", "project", "variable" …), `identifier` what the caller asked for."""

    code = "not_found"

    def __init__(self, kind: str, identifier: str) -> None:
        shown = identifier if len(identifier) <= 200 else identifier[:200] + "…"
        super().__init__(f"{kind.capitalize()} not found: {shown}")
        self.kind = kind
        self.identifier = identifier


class AlreadyExists(HeadwaterError):
    """`field` is what must be unique ("name", "endpoint_name", "id")."""

    code = "already_exists"

    def __init__(self, message: str, *, field: str = "name") -> None:
        super().__init__(message)
        self.field = field


class Locked(HeadwaterError):
    code = "locked"


class Stale(HeadwaterError):
    """Another version than the caller expected. `modified_by` is a user's id and name."""

    code = "stale"

    def __init__(
        self, message: str, *, flow_id: str, expected: int, current: int, modified_by: tuple[str, str], modified_at: datetime
    ) -> None:
        super().__init__(message)
        self.flow_id = flow_id
        self.expected = expected
        self.current = current
        self.modified_by = modified_by
        self.modified_at = modified_at


class Conflict(HeadwaterError):
    code = "conflict"


class StillRunning(Conflict):
    code = "still_running"

    def __init__(self, message: str, *, retry_after_seconds: int = 2) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RunInterrupted(Conflict):
    code = "interrupted"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong value: where it is (path into the body or arguments) and what is wrong with it."""

    location: tuple[str | int, ...]
    message: str
    kind: str = "value_error"


class InvalidInput(HeadwaterError):
    code = "invalid_input"

    def __init__(self, message: str, *, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class ConflictingInput(InvalidInput):
    code = "conflicting_input"


class KeyReused(InvalidInput):
    code = "idempotency_key_reused"


class TweaksRefused(InvalidInput):
    code = "tweaks_refused"

    def __init__(self, message: str, *, fields: Sequence[str]) -> None:
        super().__init__(message)
        self.fields = tuple(sorted(fields))


@dataclass(frozen=True, slots=True)
class NodeProblem:
    """Why one node cannot run."""

    node_id: str
    display_name: str
    type: str
    reason: str
    hint: str = ""


class FlowCannotRun(InvalidInput):
    code = "flow_cannot_run"

    def __init__(self, message: str, *, nodes: Sequence[NodeProblem]) -> None:
        super().__init__(message)
        self.nodes = tuple(nodes)


class TooLarge(HeadwaterError):
    code = "too_large"


class TooManyRequests(HeadwaterError):
    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(HeadwaterError):
    code = "unavailable"

    def __init__(self, message: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ModelMissing(InvalidInput):
    code = "model_missing"


class PackageMissing(InvalidInput):
    code = "package_missing"


class ProviderFailed(HeadwaterError):
    """`provider_status` is the HTTP status the provider answered with, None when there was no answer."""

    code = "provider_failed"

    def __init__(self, message: str, *, provider: str, provider_status: int | None = None) -> None:
        super().__init__(message)
        self.provider = provider
        self.provider_status = provider_status
        self.component_id: str | None = None  # filled in by the runner


class ProviderBusy(ProviderFailed):
    code = "provider_busy"

    def __init__(self, message: str, *, provider: str, retry_after_seconds: int = 1) -> None:
        super().__init__(message, provider=provider, provider_status=429)
        self.retry_after_seconds = retry_after_seconds


class ProviderTimedOut(ProviderFailed):
    code = "provider_timed_out"


class AddressRefused(HeadwaterError):
    code = "address_refused"


class LimitReached(InvalidInput):
    code = "limit_reached"


class ComponentFailed(HeadwaterError):
    """`reason` is the component's own text; `message` also names the component, as clients expect."""

    code = "component_failed"

    def __init__(self, *, component_id: str, component_type: str, display_name: str, reason: str, output: str | None = None) -> None:
        super().__init__(f"Error building Component {display_name}: \n\n{reason}")
        self.component_id = component_id
        self.component_type = component_type
        self.display_name = display_name
        self.reason = reason
        self.output = output
        self.run_id: str | None = None


class PluginFailed(HeadwaterError):
    code = "plugin_failed"


class RunCancelled(HeadwaterError):
    code = "run_cancelled"

    def __init__(self, message: str = "The run was cancelled before it finished.") -> None:
        super().__init__(message)


class InputRequired(HeadwaterError):
    code = "input_required"
