"""Variables that fill fields by their display name, where a flow leaves the field empty."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from projects.engine.graph import Field, Graph

_NOT_TEXT = frozenset(
    ("file", "code", "prompt", "mustache", "bool", "int", "float", "slider", "dict", "NestedDict", "table", "tools", "model")
)


def bind_defaults(graph: Graph, defaults: Mapping[str, tuple[str, bool]], *, filled: Mapping[str, Collection[str]]) -> Graph:
    """The graph with eligible fields bound to variables.

    `defaults` maps a display name to a variable and whether that is a credential; `filled` names the fields of each vertex that the
    run itself gives. Eligible is an empty text field that could name a variable and that neither an edge nor the run fills. What a
    person types into an input is never replaced, and a credential goes into password fields only.
    """
    changes = {}
    for vertex in graph.vertices.values():
        bound: dict[str, Field] = {}
        for name, field in vertex.fields.items():
            found = defaults.get(field.display_name)
            if found is None or not _is_eligible(field) or name in filled.get(vertex.id, ()) or (vertex.is_input and name == "input_value"):
                continue
            variable, is_credential = found
            if is_credential and not field.password:
                continue
            if any(edge.field == name for edge in graph.incoming.get(vertex.id, ())):
                continue
            bound[name] = replace(field, value=variable, load_from_db=True)
        if bound:
            changes[vertex.id] = vertex.with_fields(bound)
    return graph.with_vertices(changes)


def _is_eligible(field: Field) -> bool:
    is_text = field.may_name_variable and field.type not in _NOT_TEXT and not field.is_list
    return is_text and field.value in (None, "") and not field.load_from_db
