"""Group nodes are expanded: fields, edges and the report."""

import json
from typing import Any

import pytest

from projects.components.registry import load_registry
from projects.engine.graph import Edge
from projects.engine.runner import run_graph
from projects.errors import InvalidInput
from projects.flows.document import CompiledFlow, compile_document
from projects.flows.import_report import EdgeStatus, NodeStatus
from tests import flow_documents as flows
from tests.fakes import FakeRunContext


def group(
    id: str, inner: dict[str, Any], fields: dict[str, tuple[str, str, Any]], outputs: list[dict[str, Any]] | None = None, **keys: Any
) -> dict[str, Any]:
    """A group node; `fields` maps its own field → (inner id, inner field, value)."""
    template = {
        name: {**flows.template_field(name, {"value": value}), "proxy": {"id": inner_id, "field": field}}
        for name, (inner_id, field, value) in fields.items()
    }
    return {
        "id": id,
        "type": "genericNode",
        "data": {
            "id": id,
            "type": "GroupNode",
            "node": {"display_name": "My Group", "template": template, "outputs": outputs or [], "flow": {"data": inner}, **keys},
        },
    }


def prompts() -> dict[str, Any]:
    """Two prompts in a row."""
    first = flows.prompt("Prompt-one", "<{name}>", "name")
    second = flows.prompt("Prompt-two", "[{text}]", "text")
    return flows.document([first, second], [flows.edge("Prompt-one", "Prompt-two", "text", output="prompt")])


def edge_into(source: str, target: str, field: str, proxy: tuple[str, str] | None, **keys: Any) -> dict[str, Any]:
    made = flows.edge(source, target, field, **keys)
    if proxy is not None:
        made["data"]["targetHandle"]["proxy"] = {"id": proxy[0], "field": proxy[1]}
    return made


def compiled(nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> CompiledFlow:
    return compile_document(json.dumps(flows.document(nodes, edges)), load_registry(plugins=False))


def grouped(**keys: Any) -> CompiledFlow:
    return compiled(
        [
            flows.chat_input(),
            group(
                "groupComponent-g",
                prompts(),
                {"Prompt-one_name": ("Prompt-one", "name", ""), "template": ("Prompt-two", "template", "({text})")},
                **keys,
            ),
            flows.chat_output(),
        ],
        [
            edge_into("ChatInput-in", "groupComponent-g", "Prompt-one_name", ("Prompt-one", "name")),
            flows.edge("groupComponent-g", "ChatOutput-out", "input_value", output="Prompt-two_prompt"),
        ],
    )


def test_what_is_inside_a_group_runs_with_the_group_s_values() -> None:
    flow = grouped()
    assert list(flow.graph.vertices) == ["ChatInput-in", "ChatOutput-out", "Prompt-one", "Prompt-two"]
    assert set(flow.graph.edges) == {
        Edge("ChatInput-in", "message", "Prompt-one", "name"),
        Edge("Prompt-two", "prompt", "ChatOutput-out", "input_value"),
        Edge("Prompt-one", "prompt", "Prompt-two", "text"),
    }
    assert flow.graph.vertices["Prompt-two"].fields["template"].value == "({text})"
    assert flow.graph.vertices["Prompt-two"].parent_id == "groupComponent-g"


async def test_a_flow_with_a_group_answers_as_one_without() -> None:
    result = await run_graph(grouped().graph, context=FakeRunContext(), values={"ChatInput-in": {"input_value": "ann"}})
    assert result.results["ChatOutput-out"].outputs["message"].text == "(<ann>)"


def test_the_report_has_the_group_and_what_is_inside_and_every_edge() -> None:
    report = grouped().report
    assert [(node.id, node.status) for node in report.nodes] == [
        ("ChatInput-in", NodeStatus.NATIVE),
        ("groupComponent-g", NodeStatus.GROUP),
        ("ChatOutput-out", NodeStatus.NATIVE),
        ("Prompt-one", NodeStatus.NATIVE),
        ("Prompt-two", NodeStatus.NATIVE),
    ]
    assert [entry.status for entry in report.edges] == [EdgeStatus.KEPT] * 3
    assert report.missing == ()


def test_the_group_s_fields_stand_for_those_inside() -> None:
    (found,) = grouped().graph.groups.values()
    assert (found.id, found.display_name) == ("groupComponent-g", "My Group")
    assert found.fields == {"Prompt-one_name": ("Prompt-one", "name"), "template": ("Prompt-two", "template")}


def test_a_frozen_group_freezes_what_is_inside() -> None:
    assert [vertex.frozen for vertex in grouped(frozen=True).graph.vertices.values()] == [False, False, True, True]


def test_the_field_inside_keeps_how_it_is_shown() -> None:
    inner = prompts()
    inner["nodes"][0]["data"]["node"]["template"]["name"] |= {"show": False, "advanced": True, "display_name": "Inside"}
    flow = compiled([group("groupComponent-g", inner, {"outer": ("Prompt-one", "name", "v")})], [])
    found = flow.graph.vertices["Prompt-one"].fields["name"]
    assert (found.value, found.show, found.advanced, found.display_name) == ("v", False, True, "Inside")


@pytest.mark.parametrize(
    ("output", "outputs"),
    [
        ("anything", [{"name": "anything", "proxy": {"id": "Prompt-one", "name": "prompt"}}]),
        ("Prompt-one_prompt", []),
    ],
)
def test_a_group_s_output_is_found_by_its_proxy_or_by_its_name(output: str, outputs: list[dict[str, Any]]) -> None:
    flow = compiled(
        [group("groupComponent-g", prompts(), {}, outputs), flows.chat_output()],
        [flows.edge("groupComponent-g", "ChatOutput-out", "input_value", output=output)],
    )
    assert Edge("Prompt-one", "prompt", "ChatOutput-out", "input_value") in flow.graph.edges


def test_an_output_nobody_knows_means_the_node_that_ends_the_inner_flow() -> None:
    flow = compiled(
        [group("groupComponent-g", prompts(), {}), flows.chat_output()],
        [flows.edge("groupComponent-g", "ChatOutput-out", "input_value", output="output")],
    )
    assert Edge("Prompt-two", "prompt", "ChatOutput-out", "input_value") in flow.graph.edges


def test_groups_nest() -> None:
    middle = flows.document([group("groupComponent-in", prompts(), {"deep": ("Prompt-one", "name", "")})], [])
    flow = compiled(
        [
            flows.chat_input(),
            group("groupComponent-out", middle, {"outer": ("groupComponent-in", "deep", "set")}),
            flows.chat_output(),
        ],
        [
            edge_into("ChatInput-in", "groupComponent-out", "outer", ("groupComponent-in", "deep")),
            flows.edge("groupComponent-out", "ChatOutput-out", "input_value", output="groupComponent-in_Prompt-two_prompt"),
        ],
    )
    assert flow.graph.vertices["Prompt-one"].fields["name"].value == "set"
    assert set(flow.graph.edges) >= {
        Edge("ChatInput-in", "message", "Prompt-one", "name"),
        Edge("Prompt-two", "prompt", "ChatOutput-out", "input_value"),
    }
    assert flow.graph.groups["groupComponent-out"].fields == {"outer": ("Prompt-one", "name")}


def test_an_edge_into_a_group_that_leads_nowhere_is_dropped_and_told() -> None:
    flow = compiled(
        [flows.chat_input(), group("groupComponent-g", prompts(), {})],
        [flows.edge("ChatInput-in", "groupComponent-g", "unheard")],
    )
    assert [(entry.status, entry.target) for entry in flow.report.edges if entry.status is EdgeStatus.DROPPED] == [
        (EdgeStatus.DROPPED, "groupComponent-g")
    ]


def test_ids_inside_a_group_must_be_unique_too() -> None:
    with pytest.raises(InvalidInput, match="Prompt-one"):
        compiled([flows.prompt("Prompt-one", ""), group("groupComponent-g", prompts(), {})], [])


def test_a_group_whose_proxies_lead_in_a_circle_does_not_hang() -> None:
    inner = flows.document([], [])
    made = group("groupComponent-g", inner, {"field": ("groupComponent-g", "field", "")})
    flow = compiled([flows.chat_input(), made], [flows.edge("ChatInput-in", "groupComponent-g", "field")])
    assert flow.report.edges[-1].status is EdgeStatus.DROPPED
