"""Domain errors once a message is read: a tool result or a JSON-RPC error. Before that `refusals.py` answers."""

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS

from projects.errors import (
    ComponentFailed,
    FlowCannotRun,
    HeadwaterError,
    InvalidInput,
    LimitReached,
    NotFound,
    ProviderBusy,
    ProviderFailed,
    TooManyRequests,
    Unavailable,
)


def protocol_error(error: HeadwaterError) -> MCPError:
    """The JSON-RPC error for a request that is not a tool call's own failure."""
    return MCPError(INVALID_PARAMS if isinstance(error, (NotFound, InvalidInput)) else INTERNAL_ERROR, printable(error.message))


def unknown_tool(name: str) -> MCPError:
    return MCPError(INVALID_PARAMS, f"Unknown tool: {printable(name)}")


def tool_failure_text(tool: str, error: HeadwaterError) -> str:
    """What the model reads when a call failed: which tool, what was wrong, and where."""
    match error:
        case ComponentFailed():
            text = f"Error in tool {tool!r}: component {error.display_name} ({error.component_id}) failed: {error.reason}"
        case ProviderBusy():
            text = f"Error in tool {tool!r}: the model provider is busy{_in(error)}: {error.message}"
        case ProviderFailed():
            text = f"Error in tool {tool!r}: the model provider failed{_in(error)}: {error.message}"
        case FlowCannotRun():
            nodes = "".join(f"\n- {node.display_name} ({node.node_id}): {node.reason} {node.hint}".rstrip() for node in error.nodes)
            text = f"Tool {tool!r} cannot run: {error.message}{nodes}"
        case TooManyRequests() | Unavailable():
            text = f"Tool {tool!r} was not run: {error.message} Try again in {error.retry_after_seconds} s."
        case LimitReached():
            text = f"Tool {tool!r} was stopped: {error.message}"
        case InvalidInput(problems=problems) if problems:
            wrong = "; ".join(f"{'.'.join(map(str, problem.location))}: {problem.message}" for problem in problems)
            text = f"Tool {tool!r} was not run: {error.message}" + ("" if wrong in error.message else f" ({wrong})")
        case InvalidInput():
            text = f"Tool {tool!r} was not run: {error.message}"
        case _:
            text = f"Error in tool {tool!r}: {error.message}"
    return printable(text, limit=4_000)


def _in(error: ProviderFailed) -> str:
    parts = [error.provider]
    if error.provider_status is not None:
        parts.append(f"status {error.provider_status}")
    if error.component_id:
        parts.append(f"component {error.component_id}")
    return f" ({', '.join(parts)})"


def printable(text: str, *, limit: int = 400) -> str:
    """Caller's text that is repeated in an answer: bounded, and without the lone surrogates no JSON writer can send."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= limit else text[:limit] + "…"
