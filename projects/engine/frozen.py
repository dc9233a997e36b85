"""Results of frozen vertices: kept with the graph, so they belong to one version of one flow, by vertex and inputs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from projects.engine.events import VertexResult
from projects.engine.values import Data, Message, Table

KEPT_PER_GRAPH = 64

_PLAIN = (str, int, float, bool, type(None), datetime)


def digest(inputs: Mapping[str, Any]) -> bytes:
    """A short name of these inputs. Messages count by what they say, not by who stored them when."""
    return blake2b(repr(_named(inputs)).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def keep(kept: dict[tuple[str, bytes], VertexResult], key: tuple[str, bytes], result: VertexResult) -> None:
    """Keep a result whose values outlive their run; a model or a tool belongs to the run that made it."""
    if not all(_is_plain(value) for value in result.outputs.values()):
        return
    if len(kept) >= KEPT_PER_GRAPH:
        del kept[next(iter(kept))]
    kept[key] = replace(result, outputs=deepcopy(result.outputs))


def revived(kept: VertexResult) -> VertexResult:
    return replace(kept, outputs=deepcopy(kept.outputs), started_at=datetime.now(UTC), duration_seconds=0.0, used_frozen_result=True)


def _named(value: Any) -> Any:
    match value:
        case Message():
            return ("message", value.text, tuple(value.files), _named(value.data), _named(value.content_blocks))
        case Data():
            return ("data", value.text_key, _named(value.data))
        case Table():
            return ("table", tuple(value.columns), _named(value.rows))
        case Mapping():
            return tuple((str(key), _named(item)) for key, item in value.items())
        case list() | tuple():
            return tuple(_named(item) for item in value)
        case _ if isinstance(value, _PLAIN):
            return value
        case _:
            return (type(value).__qualname__, str(getattr(value, "name", "")))


def _is_plain(value: Any) -> bool:
    match value:
        case Message() | Data() | Table():
            return True
        case Mapping():
            return all(_is_plain(item) for item in value.values())
        case list() | tuple():
            return all(_is_plain(item) for item in value)
        case _:
            return isinstance(value, _PLAIN)
