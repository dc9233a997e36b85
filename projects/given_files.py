"""Files that a caller gives a run, by tweak or as a value: each is an upload of the owner for whom it runs, before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from projects.engine.component import InputKind
from projects.engine.graph import Field, Graph
from projects.errors import FieldProblem, InvalidInput
from projects.run_resources import FileSource

_ATTACHMENTS = ("ChatInput", "files")


async def check_given_files(
    files: FileSource, owner_id: str, stored: Graph, graph: Graph, values: Mapping[str, Mapping[str, Any]], *, only_of: str | None = None
) -> None:
    """`graph` is the stored one with the tweaks in it, `values` is vertex id → field → value. `only_of` is the flow whose files may be
    given by who is not the owner.

    Raises InvalidInput, naming each place, for paths and ids of no upload of the owner's; another's answers as a missing one.
    """
    seen: dict[str, str | None] = {}
    problems = []
    for location, path in _given(stored, graph, values):
        key = path if isinstance(path, str) else repr(path)
        if key not in seen:
            is_out_of_reach = only_of is not None and not key.startswith(f"{only_of}/")
            seen[key] = (
                f"Only files of the flow can be given here: {only_of}/<name>." if is_out_of_reach else await files.refusal(owner_id, path)
            )
        if (refusal := seen[key]) is not None:
            problems.append(FieldProblem(location, refusal))
    if problems:
        raise InvalidInput(problems[0].message, problems=problems)


def _given(stored: Graph, graph: Graph, values: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Place → path, of every file field that holds what the caller gave."""
    if graph is not stored:
        for vertex in graph.vertices.values():
            before = stored.vertices[vertex.id].fields
            for name, field in vertex.fields.items():
                if field is not before.get(name) and _is_file(field) and not field.load_from_db:
                    yield from ((("tweaks", vertex.id, name), path) for path in _paths(field.value))
    for vertex_id, given in values.items():
        if (target := graph.vertices.get(vertex_id)) is None:
            continue
        for name, value in given.items():
            found = target.fields.get(name)
            # An older node has no such field, and takes the value all the same.
            if (target.type, name) == _ATTACHMENTS or (found is not None and _is_file(found)):
                yield from (((name,), path) for path in _paths(value))


def _is_file(field: Field) -> bool:
    return field.type == "file" or field.kind is InputKind.FILE


def _paths(value: Any) -> Iterator[object]:
    """A path, a list of paths, or objects with a `path`: clients send all three."""
    for item in value if isinstance(value, list | tuple) else (value,):
        path = item.get("path") if isinstance(item, Mapping) else item
        if path is not None and path != "":
            yield path
