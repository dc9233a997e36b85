"""How a run failed, as it is kept with the run, and made again from that for whoever asks for the same run once more."""

from collections.abc import Mapping
from typing import Any

from projects import errors
from projects.errors import ComponentFailed, FlowCannotRun, HeadwaterError, NodeProblem, ProviderBusy, ProviderFailed, ProviderTimedOut

_PROVIDER_KINDS = {kind.code: kind for kind in (ProviderFailed, ProviderTimedOut)}
# Those that are told by a message alone.
_PLAIN_KINDS: Mapping[str, type[HeadwaterError]] = {
    kind.code: kind
    for kind in (
        errors.AddressRefused,
        errors.Conflict,
        errors.InputRequired,
        errors.InvalidInput,
        errors.LimitReached,
        errors.ModelMissing,
        errors.NotPermitted,
        errors.PackageMissing,
        errors.PluginFailed,
        errors.RunCancelled,
        errors.RunInterrupted,
        errors.TooLarge,
        errors.Unavailable,
    )
}


class FailedBefore(HeadwaterError):
    """A failure that is known by its message alone."""

    code = "failed"


def described(error: HeadwaterError) -> dict[str, Any]:
    """`code` and `message`, and what else its kind knows."""
    kept: dict[str, Any] = {"code": error.code, "message": error.message}
    match error:
        case ComponentFailed():
            kept |= {
                "component_id": error.component_id,
                "component_type": error.component_type,
                "display_name": error.display_name,
                "reason": error.reason,
                "output": error.output,
            }
        case ProviderFailed():
            kept |= {"provider": error.provider, "provider_status": error.provider_status, "component_id": error.component_id}
            if isinstance(error, ProviderBusy):
                kept["retry_after_seconds"] = error.retry_after_seconds
        case FlowCannotRun():
            kept["nodes"] = [
                {"id": node.node_id, "display_name": node.display_name, "type": node.type, "reason": node.reason, "hint": node.hint}
                for node in error.nodes
            ]
        case _:
            pass
    return kept


def made_again(kept: Mapping[str, Any], *, run_id: str) -> HeadwaterError:
    """The error of a run that ended without a result, from what `described` gave."""
    code, message = str(kept.get("code", "")), str(kept.get("message", ""))
    error: HeadwaterError
    if code == ComponentFailed.code and "reason" in kept:
        failed = ComponentFailed(**{name: kept[name] for name in ("component_id", "component_type", "display_name", "reason", "output")})
        failed.run_id = run_id
        return failed
    if code == ProviderBusy.code and "provider" in kept:
        error = ProviderBusy(message, provider=kept["provider"], retry_after_seconds=kept.get("retry_after_seconds", 1))
        error.component_id = kept.get("component_id")
    elif code in _PROVIDER_KINDS and "provider" in kept:
        error = _PROVIDER_KINDS[code](message, provider=kept["provider"], provider_status=kept.get("provider_status"))
        error.component_id = kept.get("component_id")
    elif code == FlowCannotRun.code:
        nodes = [
            NodeProblem(node["id"], node.get("display_name", ""), node.get("type", ""), node["reason"], node.get("hint", ""))
            for node in kept.get("nodes", ())
        ]
        error = FlowCannotRun(message, nodes=nodes)
    else:
        error = _PLAIN_KINDS.get(code, FailedBefore)(message)
    return error
