"""Variables that fill empty fields by display name."""

from typing import Any

from projects.components.registry import load_registry
from projects.engine.graph import Graph
from projects.flows.document import compile_document
from projects.flows.variable_defaults import bind_defaults
from tests import flow_documents as flows
from tests.services import to_text

REGISTRY = load_registry()
DEFAULTS = {"Name": ("WHO", False), "Key": ("SECRET", True)}


def graph_of(fields: dict[str, Any], *edges: dict[str, Any]) -> Graph:
    nodes = [flows.chat_input(), flows.node("Unknown", "U-1", fields)]
    return compile_document(to_text(flows.document(nodes, list(edges))), REGISTRY).graph


def text(display_name: str, **keys: Any) -> dict[str, Any]:
    return {"value": "", "load_from_db": False, "display_name": display_name, **keys}


def bound(graph: Graph, filled: dict[str, set[str]] | None = None) -> dict[str, Any]:
    vertex = bind_defaults(graph, DEFAULTS, filled=filled or {}).vertices["U-1"]
    return {name: field.value for name, field in vertex.fields.items() if field.load_from_db}


def test_an_empty_text_field_takes_the_variable_of_its_display_name() -> None:
    graph = graph_of({"a": text("Name"), "b": text("Other"), "c": text("Name", value="kept"), "d": text("Key", password=True)})
    assert bound(graph) == {"a": "WHO", "d": "SECRET"}


def test_a_field_that_could_name_no_variable_is_left_alone() -> None:
    plain = {"value": "", "display_name": "Name"}
    fields = {"a": plain, "b": text("Name", type="prompt"), "c": text("Name", type="int", value=None), "d": text("Name", list=True)}
    assert bound(graph_of(fields)) == {}


def test_a_credential_goes_into_password_fields_only() -> None:
    assert bound(graph_of({"a": text("Key")})) == {}


def test_what_the_run_or_an_edge_fills_is_left_alone() -> None:
    graph = graph_of({"a": text("Name"), "b": text("Name")}, flows.edge("ChatInput-in", "U-1", "b"))
    assert bound(graph, {"U-1": {"a"}}) == {}
