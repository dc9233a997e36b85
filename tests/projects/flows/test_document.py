"""Documents of every age become graphs, and the report accounts for every node and edge."""

import hashlib
import json
from typing import Any, ClassVar

import pytest

from projects.engine import coercion
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.graph import Edge
from projects.engine.values import Message
from projects.errors import InvalidInput
from projects.flows.document import NODE_LIMIT, CompiledFlow, compile_document, parse_document
from projects.flows.import_report import EdgeStatus, NodeStatus, ProblemKind
from tests import flow_documents as flows


class Known(Component):
    """Stands for any native component."""

    type = "Known"
    aliases = ("OldKnown",)
    declared_inputs = (
        Input("input_value"),
        Input("count", InputKind.INTEGER, default=1, field_type="int"),
        Input("texts", is_list=True),
        Input("base", protected=True),
    )
    declared_outputs: ClassVar[tuple[Output, ...]] = (Output("message", "give"), Output("rows", "give_rows", types=("Table", "DataFrame")))

    async def give(self) -> Message:
        return Message(text="given")

    async def give_rows(self) -> Message:
        return Message(text="rows")


class ChatInput(Known):
    type = "ChatInput"
    declared_outputs = (Output("message", "give"),)
    is_input = True


class ChatOutput(ChatInput):
    type = "ChatOutput"
    is_input = False
    is_output = True


class Registry:
    def find(self, document_type: str) -> type[Component] | None:
        return {"Known": Known, "OldKnown": Known, "ChatInput": ChatInput, "ChatOutput": ChatOutput}.get(document_type)


def compiled(document: Any) -> CompiledFlow:
    return compile_document(json.dumps(document), Registry())


def known(id: str = "Known-a", fields: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    return flows.node("Known", id, fields or {"input_value": ""}, outputs=keys.pop("outputs", ("message", "rows")), **keys)


def statuses(flow: CompiledFlow) -> dict[str, NodeStatus]:
    return {node.id: node.status for node in flow.report.nodes}


def problems(flow: CompiledFlow, kind: ProblemKind) -> list[str]:
    return [problem.message for problem in flow.report.problems if problem.kind is kind]


def test_a_document_and_the_export_around_it_compile_to_the_same_graph() -> None:
    inner = flows.echo()
    assert compiled({"name": "Echo", "data": inner}).graph == compiled(inner).graph
    assert compiled(inner).graph.edges == (Edge("ChatInput-in", "message", "ChatOutput-out", "input_value"),)


@pytest.mark.parametrize(
    "document", [{}, {"nodes": []}, {"nodes": None, "edges": None}, {"data": {}}, {"nodes": [], "edges": None, "extra": 1}]
)
def test_a_document_without_nodes_is_an_empty_flow(document: dict[str, Any]) -> None:
    assert compiled(document).graph.vertices == {}


def test_every_node_is_reported_with_what_stands_behind_it() -> None:
    note = {"id": "note-1", "type": "noteNode", "data": {"node": {"description": "# Hi", "template": {"backgroundColor": "pink"}}}}
    untyped_note = {"id": "undefined-2", "type": "genericNode", "data": {"type": "undefined", "node": {"description": "x", "template": {}}}}
    bare = {"id": "Nowhere-3", "type": "genericNode", "data": {"id": "Nowhere-3", "node": {"template": {}}}}
    flow = compiled(
        flows.document(
            [
                known("Known-a"),
                known("Known-edited", edited=True),
                flows.node("CustomComponent", "CustomComponent-b"),
                flows.node("Homemade", "Homemade-c", display_name="My own"),
                flows.node("FancyStock", "FancyStock-d", metadata={"module": "lfx.components.fancy.FancyStock"}, replacement=["core.New"]),
                flows.node("OldKnown", "OldKnown-e"),
                note,
                untyped_note,
                bare,
            ],
            [],
        )
    )
    assert statuses(flow) == {
        "Known-a": NodeStatus.NATIVE,
        "Known-edited": NodeStatus.CODE,
        "CustomComponent-b": NodeStatus.CODE,
        "Homemade-c": NodeStatus.CODE,
        "FancyStock-d": NodeStatus.UNSUPPORTED,
        "OldKnown-e": NodeStatus.NATIVE,
        "note-1": NodeStatus.NOTE,
        "undefined-2": NodeStatus.NOTE,
        "Nowhere-3": NodeStatus.UNSUPPORTED,
    }
    shown = {node["id"]: node for node in flow.report.to_dict()["nodes"]}
    assert shown["OldKnown-e"] == {
        "id": "OldKnown-e", "type": "OldKnown", "status": "native", "component": "Known", "reason": None, "hint": None,
    }  # fmt: skip
    assert "core.New" in shown["FancyStock-d"]["hint"]
    assert "'Nowhere'" in shown["Nowhere-3"]["reason"]
    stopping = ["Known-edited", "CustomComponent-b", "Homemade-c", "FancyStock-d", "Nowhere-3"]
    assert [node.node_id for node in flow.report.missing] == stopping
    assert all(node.reason and node.hint for node in flow.report.missing)
    assert [vertex.id for vertex in flow.graph.vertices.values() if vertex.component is None] == stopping
    assert list(flow.graph.vertices) == [id for id in statuses(flow) if id not in ("note-1", "undefined-2")]


def test_a_vendor_s_type_is_named_with_what_to_do_before_its_code_is_looked_at() -> None:
    flow = compiled(flows.document([flows.node("AstraDB", "AstraDB-a")], []))
    (node,) = flow.report.missing
    assert statuses(flow) == {"AstraDB-a": NodeStatus.UNSUPPORTED}
    assert node.reason
    assert node.hint


def with_code(id: str, code: str | list[str], hash: str | None) -> dict[str, Any]:
    node = known(id, metadata={"code_hash": hash} if hash else {})
    node["data"]["node"]["template"]["code"]["value"] = code
    return node


def test_a_known_type_is_native_whatever_code_it_carries_and_a_wrong_hash_is_a_note() -> None:
    code = "class Known: ...\n# more"
    right = hashlib.sha256(code.encode()).hexdigest()[:12]
    flow = compiled(
        flows.document(
            [
                with_code("Known-same", code, right),
                with_code("Known-lines", code.split("\n"), right),
                with_code("Known-changed", code + "!", right),
                with_code("Known-unstamped", code, None),
            ],
            [],
        )
    )
    assert set(statuses(flow).values()) == {NodeStatus.NATIVE}
    assert [problem.node for problem in flow.report.problems if problem.kind is ProblemKind.CODE_HASH] == ["Known-changed"]


def test_a_node_without_a_type_is_what_its_id_says() -> None:
    node = known("ChatInput-x1")
    del node["data"]["type"]
    assert compiled(flows.document([node], [])).graph.vertices["ChatInput-x1"].component is ChatInput


def test_inputs_and_outputs_are_known_by_type_id_prefix_flag_or_component() -> None:
    flow = compiled(
        flows.document(
            [
                flows.chat_input(),
                flows.node("Renamed", "TextInput-a"),
                known("Known-flag", is_output=True),
                flows.chat_output(),
                known("Known-plain"),
            ],
            [],
        )
    )
    vertices = flow.graph.vertices
    assert [id for id in vertices if vertices[id].is_input] == ["ChatInput-in", "TextInput-a"]
    assert [id for id in vertices if vertices[id].is_output] == ["Known-flag", "ChatOutput-out"]


def test_fields_keep_what_the_author_stored_and_allowed() -> None:
    fields = {
        "input_value": {"value": "a\\nb", "info": "Say it", "api_editable": True, "options": ["x", 1]},
        "count": {"value": "3", "type": "int", "advanced": True},
        "base": {"value": "http://example.org"},
        "path": {"value": "", "type": "file", "file_path": ["f/a.txt"], "list": True, "show": False},
        "key": {"value": "MY_KEY\\n", "load_from_db": True, "password": True},
        "variable": {"value": "v", "input_types": ["Message"]},
        "database_url": "sqlite://",
    }
    flow = compiled(flows.document([known(fields=fields)], []))
    found = flow.graph.vertices["Known-a"].fields
    assert (found["input_value"].value, found["input_value"].info, found["input_value"].options) == ("a\nb", "Say it", ("x",))
    assert found["input_value"].api_editable
    assert (found["count"].value, found["count"].kind, found["count"].advanced) == (3, InputKind.INTEGER, True)
    assert (found["path"].value, found["path"].is_list, found["path"].show) == (["f/a.txt"], True, False)
    assert (found["key"].value, found["key"].load_from_db, found["key"].password) == ("MY_KEY\\n", True, True)
    assert (found["variable"].kind, found["variable"].declared) == (InputKind.TEXT, False)
    assert {name for name, item in found.items() if item.protected} == {"code", "base", "path", "database_url"}
    assert "_type" not in found


def test_fields_that_ask_for_a_variable_are_named_in_the_report() -> None:
    flow = compiled(flows.document([known(fields={"input_value": {"value": 'MY "KEY"', "load_from_db": True}})], []))
    assert flow.report.variables == ('MY "KEY"',)
    (message,) = problems(flow, ProblemKind.VARIABLE)
    assert "Input Value" in message
    assert "Known-a" in message


def test_values_that_our_component_does_not_use_are_named() -> None:
    fields = {"input_value": "used", "cache": True, "empty": "", "off": False, "hidden": {"value": "x", "show": False}, "mine": "x"}
    flow = compiled(flows.document([known(fields=fields, custom_fields={"template": ["mine"]}), flows.prompt("Prompt-a", "{x}", "x")], []))
    assert problems(flow, ProblemKind.FIELD) == ["Known (Known-a) does not use the field 'cache', which has a value."]


@pytest.mark.parametrize(("input_class", "kind"), [("MessageInput", InputKind.MESSAGE), (None, InputKind.TEXT)])
def test_what_a_component_did_not_declare_is_read_by_its_own_input_class(input_class: str | None, kind: InputKind) -> None:
    flow = compiled(flows.document([known(fields={"extra": {"value": "", "_input_type": input_class}})], []))
    assert flow.graph.vertices["Known-a"].fields["extra"].kind is kind
    assert coercion.kind_of(input_class, "str") is kind


# --- outputs


def test_the_file_s_outputs_replace_ours_and_find_their_method_by_name_or_method() -> None:
    listed = [
        {"name": "rows", "display_name": "Rows", "types": ["Table"], "method": "whatever"},
        {"name": "renamed", "types": ["Message"], "method": "give"},
        {"name": "component_as_tool", "types": ["Tool"], "method": "to_toolkit"},
    ]
    node = known()
    node["data"]["node"]["outputs"] = listed
    outputs = compiled(flows.document([node], [])).graph.vertices["Known-a"].outputs
    assert [(item.name, item.method) for item in outputs] == [("rows", "give_rows"), ("renamed", "give"), ("component_as_tool", "")]


def test_a_file_may_name_another_method_for_an_output_where_the_component_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Known, "documented_methods", ("give_other",))
    node = known()
    node["data"]["node"]["outputs"] = [
        {"name": "rows", "types": ["Table"], "method": "give_other"},
        {"name": "message", "types": ["Message"], "method": "unknown"},
    ]
    outputs = compiled(flows.document([node], [])).graph.vertices["Known-a"].outputs
    assert [(item.name, item.method) for item in outputs] == [("rows", "give_other"), ("message", "give")]


def test_a_node_without_outputs_has_the_component_s() -> None:
    node = known()
    del node["data"]["node"]["outputs"]
    assert [item.name for item in compiled(flows.document([node], [])).graph.vertices["Known-a"].outputs] == ["message", "rows"]


# --- edges


@pytest.mark.parametrize("outputs", [(), ("message", "rows"), ("component_as_tool",)])
@pytest.mark.parametrize("tool_mode", [True, False])
def test_a_node_that_is_only_connected_as_a_tool_is_one(outputs: tuple[str, ...], tool_mode: bool) -> None:
    node = known("Known-t", outputs=outputs, tool_mode=tool_mode)
    flow = joined(flows.edge("Known-t", "Known-a", "texts", output="component_as_tool"), nodes=[node, known("Known-a")])
    made = flow.graph.vertices["Known-t"]
    assert (made.tool_mode, [item.name for item in made.outputs]) == (True, ["component_as_tool"])
    assert [edge.output for edge in flow.graph.edges] == ["component_as_tool"]
    assert problems(flow, ProblemKind.OUTPUT) == []


def joined(*edges: dict[str, Any], nodes: list[dict[str, Any]] | None = None) -> CompiledFlow:
    return compiled(flows.document(nodes or [flows.chat_input(), known("Known-a"), flows.chat_output()], list(edges)))


def test_an_edge_without_objects_is_read_from_its_strings() -> None:
    edge = flows.edge("ChatInput-in", "Known-a", "input_value")
    del edge["data"]
    assert joined(edge).graph.edges == (Edge("ChatInput-in", "message", "Known-a", "input_value"),)


def test_strings_in_place_of_objects_are_read_too() -> None:
    edge = flows.edge("ChatInput-in", "Known-a", "input_value")
    edge["data"] = {"sourceHandle": edge["sourceHandle"], "targetHandle": edge["targetHandle"]}
    del edge["sourceHandle"], edge["targetHandle"], edge["source"], edge["target"]
    assert joined(edge).graph.edges == (Edge("ChatInput-in", "message", "Known-a", "input_value"),)


def test_an_edge_of_the_time_before_1_0_is_read_and_its_output_found_by_type() -> None:
    edge = {
        "id": "reactflow__edge-1",
        "source": "Known-a",
        "target": "ChatOutput-out",
        "sourceHandle": "Known|Known-a|DataFrame|object",
        "targetHandle": "Text;str|input_value|ChatOutput-out",
    }
    node = known("Known-a")
    for output, types in zip(node["data"]["node"]["outputs"], (["Message"], ["Table"]), strict=True):
        output["types"] = types
    edge["sourceHandle"] = "Known|Known-a|DataFrame"
    flow = joined(edge, nodes=[node, flows.chat_output()])
    assert flow.graph.edges == (Edge("Known-a", "rows", "ChatOutput-out", "input_value"),)


def test_a_source_handle_of_1_0_alpha_without_a_name_starts_at_the_only_output() -> None:
    edge = flows.edge("ChatInput-in", "ChatOutput-out", "input_value")
    edge["data"]["sourceHandle"] = {"baseClasses": ["Text", "object"], "dataType": "ChatInput", "id": "ChatInput-in"}
    assert joined(edge).graph.edges == (Edge("ChatInput-in", "message", "ChatOutput-out", "input_value"),)


def test_an_output_that_was_renamed_since_is_found_when_it_is_the_only_one() -> None:
    flow = joined(flows.edge("ChatInput-in", "ChatOutput-out", "input_value", output="record"))
    assert flow.graph.edges == (Edge("ChatInput-in", "message", "ChatOutput-out", "input_value"),)
    assert "'record'" in problems(flow, ProblemKind.OUTPUT)[0]


def test_an_edge_back_into_a_loop_s_output_is_kept_as_one() -> None:
    edge = flows.edge("Known-a", "Loop-b", "item")
    edge["data"]["targetHandle"] = {"dataType": "LoopComponent", "id": "Loop-b", "name": "item", "output_types": ["Data"]}
    flow = joined(edge, nodes=[known("Known-a"), flows.node("LoopComponent", "Loop-b", outputs=("item", "done"))])
    assert flow.graph.edges == (Edge("Known-a", "message", "Loop-b", "item", is_loop=True),)
    assert [entry.status for entry in flow.report.edges] == [EdgeStatus.LOOP]


def test_dangling_edges_are_dropped_and_told() -> None:
    note = {"id": "note-1", "type": "noteNode", "data": {"node": {"template": {}}}}
    blank = flows.edge("ChatInput-in", "Known-a", "input_value")
    blank["data"]["targetHandle"] = {"id": "Known-a"}
    blank["targetHandle"] = ""
    flow = joined(
        flows.edge("Gone-x", "Known-a", "input_value"),
        flows.edge("ChatInput-in", "note-1", "input_value"),
        blank,
        flows.edge("ChatInput-in", "Known-a", "input_value"),
        {"id": "empty"},
        nodes=[flows.chat_input(), known("Known-a"), note],
    )
    assert len(flow.graph.edges) == 1
    assert [(entry["status"], entry["reason"]) for entry in flow.report.to_dict()["edges"]] == [
        ("dropped", "There is no node 'Gone-x'."),
        ("dropped", "note-1 is a note."),
        ("dropped", "It does not say which field of Known (Known-a) it feeds."),
        ("kept", None),
        ("dropped", "It does not say which nodes it joins."),
    ]
    assert len(problems(flow, ProblemKind.EDGE)) == 4


def test_types_that_do_not_match_and_fields_nobody_knows_are_kept_with_a_word() -> None:
    wrong = flows.edge("ChatInput-in", "Known-a", "input_value")
    wrong["data"]["targetHandle"] |= {"inputTypes": ["Tool"], "type": "other"}
    flow = joined(wrong, flows.edge("ChatInput-in", "Known-a", "unheard"))
    assert [entry.status for entry in flow.report.edges] == [EdgeStatus.KEPT, EdgeStatus.KEPT]
    assert [entry.reason is not None for entry in flow.report.edges] == [True, True]
    old = flows.edge("ChatInput-in", "Known-a", "input_value")
    old["data"]["sourceHandle"]["output_types"] = ["Record"]
    old["data"]["targetHandle"] |= {"inputTypes": ["JSON"], "type": "other"}
    assert joined(old).report.edges[0].reason is None


def test_several_edges_into_one_value_are_told_and_into_a_list_they_are_not() -> None:
    doubled = joined(flows.edge("ChatInput-in", "Known-a", "input_value"), flows.edge("Known-b", "Known-a", "input_value"),
                     nodes=[flows.chat_input(), known("Known-a"), known("Known-b")])  # fmt: skip
    assert len(doubled.graph.edges) == 2
    assert "ChatInput-in, Known-b" in problems(doubled, ProblemKind.EDGE)[0]
    listed = joined(flows.edge("ChatInput-in", "Known-a", "texts"), flows.edge("Known-b", "Known-a", "texts"),
                    nodes=[flows.chat_input(), known("Known-a"), known("Known-b")])  # fmt: skip
    assert problems(listed, ProblemKind.EDGE) == []


def test_a_cycle_imports_and_is_told() -> None:
    flow = joined(
        flows.edge("Known-a", "Known-b", "input_value"),
        flows.edge("Known-b", "Known-a", "input_value"),
        nodes=[known("Known-a"), known("Known-b"), known("Known-c")],
    )
    (message,) = problems(flow, ProblemKind.CYCLE)
    assert "Known-a, Known-b" in message
    assert len(flow.graph.edges) == 2


# --- what is no flow


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("[1]", "a JSON object"),
        ('"flow"', "a JSON object"),
        ('{"nodes": {}}', "`nodes` must be a list"),
        ('{"nodes": [], "edges": 5}', "`edges` must be a list"),
        ('{"nodes": ["x"]}', "Entry 0 of `nodes`"),
        ('{"nodes": [{"data": {}}]}', "Node 0 has no id"),
        ('{"nodes": [], "edges": ' + "[" * 100_000, "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
    ],
)
def test_what_is_no_flow_is_refused_by_what_is_wrong_with_it(text: str | bytes, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_document(text)
    assert said in caught.value.message
    assert caught.value.problems[0].location[0] == "data"


def test_node_ids_that_are_there_twice_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="'Known-a'"):
        parse_document(json.dumps(flows.document([known("Known-a"), known("Known-b"), known("Known-a")], [])))


def test_ten_thousand_nodes_are_refused() -> None:
    with pytest.raises(InvalidInput, match=f"fewer than {NODE_LIMIT:,} are taken"):
        parse_document(json.dumps({"nodes": [{"id": f"Known-{index}"} for index in range(NODE_LIMIT)]}))


def test_just_under_ten_thousand_nodes_compile() -> None:
    nodes = [{"id": f"Known-{index}", "data": {"type": "Known", "node": {"template": {}}}} for index in range(NODE_LIMIT - 1)]
    assert len(compiled({"nodes": nodes}).graph.vertices) == NODE_LIMIT - 1


@pytest.mark.parametrize(
    "node", [known("Known-" + "x" * 1_000_000), known(display_name="x" * 1_000_000), flows.node("x" * 1_000_000, "Known-a")]
)
def test_a_name_of_a_megabyte_is_refused_without_being_repeated(node: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_document(json.dumps({"nodes": [node]}))
    assert len(caught.value.message) < 300


def test_the_document_may_be_as_odd_as_it_likes_where_nothing_depends_on_it() -> None:
    node: dict[str, Any] = {
        "id": "Known-a",
        "type": None,
        "position": "somewhere",
        "data": {
            "type": "Known",
            "node": {
                "template": {"_type": 5, "input_value": {"value": "x", "name": 7, "options": "none"}, "odd": [1]},
                "outputs": [1, {"name": None}],
                "metadata": [],
            },
        },
    }
    flow = compiled(
        {"nodes": [node, {"id": 7, "data": None}], "edges": [{"data": 5, "source": ["x"], "sourceHandle": 5}], "viewport": None}
    )
    assert flow.graph.vertices["Known-a"].fields["input_value"].value == "x"
    assert set(flow.graph.vertices) == {"Known-a", "7"}
