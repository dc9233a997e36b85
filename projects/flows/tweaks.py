"""Tweaks: a caller's changes to stored values, for one run. All of them are decided before any is applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pydantic_core import from_json

from projects.engine import coercion
from projects.engine.graph import Field, Graph, Vertex
from projects.errors import FieldProblem, InvalidInput, TweaksRefused


class TweaksPolicy(StrEnum):
    PERMISSIVE = "permissive"
    DECLARED = "declared"  # once an author marked fields `api_editable`, only those
    OFF = "off"


# Langflow's clients add this to every run; that nothing has such a field is no news.
_IMPLICIT = frozenset(("stream",))
CODE = "code"
_REPLACED_WHOLE = frozenset(("dict", "mcp"))
# Arrives as the body of a request and is read as it came.
_VERBATIM_TYPES = frozenset(("Webhook",))


@dataclass(frozen=True, slots=True)
class _Change:
    """One field that a tweak reaches."""

    vertex_id: str
    field: str
    value: Any


def apply_tweaks(graph: Graph, tweaks: Mapping[str, Any], *, policy: TweaksPolicy = TweaksPolicy.PERMISSIVE) -> tuple[Graph, list[str]]:
    """The graph with the tweaks in it, and a warning for each tweak that reached nothing.

    A key with an object names a node (by id, else by display name); any other key is a field of every node that has it.
    Raises TweaksRefused, naming all refused fields, when one of them is protected; then nothing is applied.
    """
    warnings: list[str] = []
    changes = list(_changes(graph, tweaks, warnings))
    _check(graph, changes, tweaks, policy)
    fields: dict[str, dict[str, Field]] = {}
    for change in changes:
        vertex = graph.vertices[change.vertex_id]
        current = fields.setdefault(vertex.id, {}).get(change.field) or vertex.fields[change.field]
        fields[vertex.id][change.field] = _changed(vertex, current, change.value)
    return graph.with_vertices({id: graph.vertices[id].with_fields(changed) for id, changed in fields.items()}), warnings


def _changes(graph: Graph, tweaks: Mapping[str, Any], warnings: list[str]) -> Iterator[_Change]:
    """In the order of the tweaks, so that a later one wins."""
    by_name: dict[str, list[Vertex]] = {}
    for vertex in graph.vertices.values():
        if vertex.id not in tweaks:
            by_name.setdefault(vertex.display_name, []).append(vertex)
    for key, value in tweaks.items():
        if isinstance(value, Mapping):
            yield from _node_changes(graph, by_name, key, value, warnings)
            continue
        reached = [vertex for vertex in graph.vertices.values() if key in vertex.fields]
        if not reached and key not in _IMPLICIT:
            warnings.append(f"The tweak {_short(key)} reached nothing: no node has such a field.")
        for vertex in reached:
            yield _Change(vertex.id, key, value)


def _node_changes(
    graph: Graph, by_name: Mapping[str, list[Vertex]], key: str, values: Mapping[str, Any], warnings: list[str]
) -> Iterator[_Change]:
    reached = [graph.vertices[key]] if key in graph.vertices else by_name.get(key, [])
    groups = [group for group in graph.groups.values() if key in (group.id, group.display_name)]
    if not reached and not groups:
        warnings.append(f"The tweak for {_short(key)} reached nothing: no node has this id or display name.")
    for name, value in values.items():
        found = False
        for vertex in reached:
            if name in vertex.fields:
                found = True
                yield _Change(vertex.id, name, value)
        for group in groups:
            if name in group.fields and group.fields[name][0] in graph.vertices:
                found = True
                id, inside = group.fields[name]
                if inside in graph.vertices[id].fields:
                    yield _Change(id, inside, value)
        if not found and (reached or groups):
            warnings.append(f"The tweak of {_short(name)} in {_short(key)} reached nothing: the node has no such field.")


def _check(graph: Graph, changes: list[_Change], tweaks: Mapping[str, Any], policy: TweaksPolicy) -> None:
    if policy is TweaksPolicy.OFF and set(tweaks) - _IMPLICIT:
        raise TweaksRefused("This server takes no tweaks.", fields=[_short(key) for key in tweaks if key not in _IMPLICIT])
    protected = {
        f"{change.vertex_id}.{change.field}" for change in changes if is_protected(graph.vertices[change.vertex_id].fields[change.field])
    }
    # The name alone is refused too: a node without a code field is no reason to take code.
    reached = {change.vertex_id for change in changes if change.field == CODE}
    protected |= {f"{key}.{CODE}" for key, value in tweaks.items() if isinstance(value, Mapping) and CODE in value and not reached}
    protected |= {key for key, value in tweaks.items() if key == CODE and not isinstance(value, Mapping) and not reached}
    if protected:
        named = ", ".join(sorted(protected))
        raise TweaksRefused(
            f"Tweaks may not set code, file paths, SQL or base addresses: {named}. The author can allow one by marking it api_editable.",
            fields=sorted(protected),
        )
    if policy is not TweaksPolicy.DECLARED or not any(
        item.api_editable for vertex in graph.vertices.values() for item in vertex.fields.values()
    ):
        return
    undeclared = {
        f"{change.vertex_id}.{change.field}"
        for change in changes
        if not graph.vertices[change.vertex_id].fields[change.field].api_editable and change.field not in _IMPLICIT
    }
    if undeclared:
        raise TweaksRefused(
            f"Only fields that the flow's author marked api_editable take tweaks; not: {', '.join(sorted(undeclared))}.",
            fields=sorted(undeclared),
        )


def is_protected(field: Field) -> bool:
    """Whether no caller may set it: code, file paths, SQL or a base address that its author did not mark `api_editable`."""
    return field.protected and not field.api_editable


def _changed(vertex: Vertex, field: Field, value: Any) -> Field:
    """The field with the tweak's value; a plain value is no longer a variable's name."""
    if isinstance(value, Mapping) and field.type == "NestedDict":
        return replace(field, value=dict(value), load_from_db=False)
    if isinstance(value, Mapping) and field.type in _REPLACED_WHOLE:
        only = value.get("value", value) if set(value) == {"value"} else value
        return replace(field, value=_read(vertex, field, only), load_from_db=False)
    if not isinstance(value, Mapping):
        if field.type == "NestedDict" and isinstance(value, str):
            value = _parsed(vertex, field, value)
        return replace(field, value=_read(vertex, field, value), load_from_db=False)
    from_variable = value.get("load_from_db") is True
    key = "file_path" if field.type == "file" else "value"
    if key not in value:
        return replace(field, load_from_db=from_variable)
    stored = value[key]
    return replace(field, value=stored if from_variable else _read(vertex, field, stored), load_from_db=from_variable)


def _read(vertex: Vertex, field: Field, value: Any) -> Any:
    return value if vertex.type in _VERBATIM_TYPES else coercion.read_stored(field.type, value, is_list=field.is_list)


def _parsed(vertex: Vertex, field: Field, text: str) -> Any:
    try:
        return from_json(text) if text.strip() else {}
    except ValueError as error:
        message = f"The tweak of {field.name} in {vertex.id} must be an object or JSON text; this is neither: {error}."
        raise InvalidInput(message, problems=[FieldProblem(("tweaks", vertex.id, field.name), message)]) from None


def _short(key: str) -> str:
    return repr(key if len(key) <= 100 else key[:100] + "…")
