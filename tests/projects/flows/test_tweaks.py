"""What tweaks reach, what they turn into, and what they may never set."""

import json
from typing import Any

import pytest

from projects.components.registry import load_registry
from projects.engine.graph import Graph
from projects.errors import InvalidInput, TweaksRefused
from projects.flows.document import compile_document
from projects.flows.tweaks import TweaksPolicy, apply_tweaks
from tests import flow_documents as flows
from tests.projects.flows.test_groups import grouped


def made(*nodes: dict[str, Any]) -> Graph:
    return compile_document(json.dumps(flows.document(list(nodes), [])), load_registry(plugins=False)).graph


def two() -> Graph:
    return made(flows.text_input("TextInput-a", text="one", name="First"), flows.text_input("TextInput-b", text="two", name="Second"))


def stored(graph: Graph, field: str = "input_value") -> dict[str, Any]:
    return {id: vertex.fields[field].value for id, vertex in graph.vertices.items() if field in vertex.fields}


@pytest.mark.parametrize(
    ("tweaks", "values"),
    [
        ({"TextInput-a": {"input_value": "x"}}, {"TextInput-a": "x", "TextInput-b": "two"}),
        ({"Second": {"input_value": "x"}}, {"TextInput-a": "one", "TextInput-b": "x"}),
        ({"input_value": "x"}, {"TextInput-a": "x", "TextInput-b": "x"}),
        ({"input_value": "x", "TextInput-b": {"input_value": "y"}}, {"TextInput-a": "x", "TextInput-b": "y"}),
        ({"TextInput-a": {"input_value": {"value": "x"}}}, {"TextInput-a": "x", "TextInput-b": "two"}),
        ({"TextInput-a": {"input_value": None}}, {"TextInput-a": None, "TextInput-b": "two"}),
        ({"TextInput-a": {"input_value": "a\\nb"}}, {"TextInput-a": "a\nb", "TextInput-b": "two"}),
    ],
)
def test_a_tweak_reaches_a_node_by_id_or_display_name_and_a_bare_one_every_node_that_has_the_field(
    tweaks: dict[str, Any], values: dict[str, Any]
) -> None:
    graph, warnings = apply_tweaks(two(), tweaks)
    assert stored(graph) == values
    assert warnings == []


def test_the_graph_that_was_given_stays_as_it_is() -> None:
    before = two()
    apply_tweaks(before, {"input_value": "x"})
    assert stored(before) == {"TextInput-a": "one", "TextInput-b": "two"}


def test_a_node_named_by_its_id_is_not_reached_by_its_display_name_as_well() -> None:
    graph, _ = apply_tweaks(two(), {"TextInput-a": {"input_value": "by id"}, "First": {"input_value": "by name"}})
    assert stored(graph)["TextInput-a"] == "by id"


def test_a_type_is_no_name_and_what_reached_nothing_is_told() -> None:
    graph, warnings = apply_tweaks(
        two(), {"TextInput": {"input_value": "x"}, "nothing_has_this": 1, "TextInput-a": {"unheard": 1}, "stream": False}
    )
    assert stored(graph) == {"TextInput-a": "one", "TextInput-b": "two"}
    assert len(warnings) == 3
    assert all(any(name in warning for warning in warnings) for name in ("'TextInput'", "'nothing_has_this'", "'unheard'"))


def test_a_plain_value_is_no_longer_the_name_of_a_variable_and_an_object_may_make_it_one() -> None:
    graph = made(flows.text_input("TextInput-a", input_value={"value": "MY_VARIABLE", "load_from_db": True}))
    plain, _ = apply_tweaks(graph, {"TextInput-a": {"input_value": "text"}})
    assert not plain.vertices["TextInput-a"].fields["input_value"].load_from_db
    named, _ = apply_tweaks(graph, {"TextInput-a": {"input_value": {"value": "OTHER", "load_from_db": True}}})
    field = named.vertices["TextInput-a"].fields["input_value"]
    assert (field.value, field.load_from_db) == ("OTHER", True)


def test_an_object_cannot_turn_a_field_into_another_kind_of_field() -> None:
    graph, _ = apply_tweaks(two(), {"TextInput-a": {"input_value": {"value": "x", "type": "code", "api_editable": True, "password": True}}})
    field = graph.vertices["TextInput-a"].fields["input_value"]
    assert (field.value, field.type, field.api_editable, field.password) == ("x", "str", False, False)


@pytest.mark.parametrize(
    ("type", "tweak", "value"),
    [
        ("dict", {"a": 1}, {"a": 1}),
        ("dict", {"value": {"a": 1}}, {"a": 1}),
        ("NestedDict", {"value": 1}, {"value": 1}),
        ("NestedDict", '{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("int", "3", 3),
        ("bool", False, False),
        ("str", ["a", "b"], ["a", "b"]),
    ],
)
def test_a_tweak_is_read_by_the_type_of_its_field(type: str, tweak: Any, value: Any) -> None:
    spec = {"value": [] if type == "str" else "", "type": type, "list": type == "str"}
    graph, _ = apply_tweaks(made(flows.text_input("TextInput-a", extra=spec)), {"TextInput-a": {"extra": tweak}})
    assert stored(graph, "extra") == {"TextInput-a": value}


def test_text_that_is_no_json_is_refused_for_an_object() -> None:
    with pytest.raises(InvalidInput, match="extra in TextInput-a"):
        apply_tweaks(made(flows.text_input("TextInput-a", extra={"value": "", "type": "NestedDict"})), {"TextInput-a": {"extra": "{"}})


def test_the_body_of_a_webhook_is_kept_to_the_letter() -> None:
    graph = made(flows.node("Webhook", "Webhook-a", {"data": ""}, outputs=("output_data",)))
    tweaked, _ = apply_tweaks(graph, {"Webhook-a": {"data": '{"text": "a\\nb"}'}})
    assert stored(tweaked, "data") == {"Webhook-a": '{"text": "a\\nb"}'}


PROTECTED: dict[str, Any] = {
    "path": {"value": "", "type": "file"},
    "base_url": "https://example.org",
    "database_url": "sqlite://",
    "python_code": "1 + 1",
}


@pytest.mark.parametrize("field", [*PROTECTED, "code"])
@pytest.mark.parametrize("bare", [True, False])
def test_code_paths_sql_and_addresses_are_refused_by_name(field: str, bare: bool) -> None:
    graph = made(flows.text_input("TextInput-a", **PROTECTED))
    with pytest.raises(TweaksRefused) as caught:
        apply_tweaks(graph, {field: "x"} if bare else {"TextInput-a": {"input_value": "fine", field: {"value": "x"}}})
    assert caught.value.fields == (f"TextInput-a.{field}",)
    assert f"TextInput-a.{field}" in caught.value.message


def test_all_refused_fields_are_named_at_once_and_nothing_is_applied() -> None:
    graph = made(flows.text_input("TextInput-a", **PROTECTED))
    with pytest.raises(TweaksRefused) as caught:
        apply_tweaks(graph, {"TextInput-a": {"input_value": "x", "path": "/etc/passwd", "code": "1"}})
    assert caught.value.fields == ("TextInput-a.code", "TextInput-a.path")
    assert stored(graph) == {"TextInput-a": ""}


@pytest.mark.parametrize("tweaks", [{"code": "x"}, {"TextInput-a": {"code": "x"}}])
def test_code_is_refused_even_where_no_node_has_any(tweaks: dict[str, Any]) -> None:
    node = flows.text_input("TextInput-a")
    del node["data"]["node"]["template"]["code"]
    with pytest.raises(TweaksRefused):
        apply_tweaks(made(node), tweaks)


def test_a_protected_field_that_the_author_marked_may_be_set() -> None:
    graph = made(flows.text_input("TextInput-a", base_url={"value": "", "api_editable": True}))
    tweaked, _ = apply_tweaks(graph, {"base_url": "https://example.org"})
    assert stored(tweaked, "base_url") == {"TextInput-a": "https://example.org"}


def test_a_group_is_tweaked_by_its_own_fields() -> None:
    for key in ("groupComponent-g", "My Group"):
        graph, warnings = apply_tweaks(grouped().graph, {key: {"template": "<{text}>"}})
        assert graph.vertices["Prompt-two"].fields["template"].value == "<{text}>"
        assert graph.groups
        assert warnings == []


def test_a_policy_may_allow_only_marked_fields_or_none() -> None:
    graph = made(flows.text_input("TextInput-a", input_value={"value": "", "api_editable": True}, other=""))
    assert stored(apply_tweaks(graph, {"input_value": "x"}, policy=TweaksPolicy.DECLARED)[0]) == {"TextInput-a": "x"}
    with pytest.raises(TweaksRefused, match=r"TextInput-a\.other"):
        apply_tweaks(graph, {"other": "x", "stream": True}, policy=TweaksPolicy.DECLARED)
    with pytest.raises(TweaksRefused):
        apply_tweaks(graph, {"input_value": "x"}, policy=TweaksPolicy.OFF)
    apply_tweaks(graph, {"stream": True}, policy=TweaksPolicy.OFF)
