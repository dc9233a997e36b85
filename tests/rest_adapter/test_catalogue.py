"""The catalogue, used as an editor uses it: nodes are taken from it, connected, saved and run."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from projects.catalogue import catalogue_of
from projects.components.registry import load_registry
from tests import flow_documents as flows
from tests.application import Application, open_application


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with open_application(tmp_path) as opened:
        yield opened


async def components(application: Application) -> dict[str, tuple[str, dict[str, Any]]]:
    """Type → category and node."""
    answer = await application.http.get("/api/v1/all", params={"force_refresh": "true"})
    assert answer.status_code == 200
    listed = answer.json()
    names = listed.pop("component_display_names")
    found = {type: (category, node) for category, nodes in listed.items() for type, node in nodes.items()}
    assert names == {type: node["display_name"] for type, (_, node) in found.items()}
    return found


def placed(type: str, id: str, node: dict[str, Any]) -> dict[str, Any]:
    return {"id": id, "type": "genericNode", "position": {"x": 0, "y": 0}, "data": {"id": id, "type": type, "node": node}}


async def test_every_component_that_runs_here_is_listed_once_with_all_its_fields_and_outputs(application: Application) -> None:
    found = await components(application)
    assert set(found) == {component.type for component in application.services.registry}
    for component in application.services.registry:
        category, node = found[component.type]
        assert category == component.category
        fields = {name: field for name, field in node["template"].items() if name != "_type"}
        assert node["field_order"] == list(fields) == [item.name for item in component.declared_inputs]
        assert [(each["name"], each["method"]) for each in node["outputs"]] == [
            (output.name, output.method) for output in component.declared_outputs
        ]
        for output in node["outputs"]:
            assert output["types"] and output["selected"] in output["types"]
            assert set(output["types"]) <= set(node["base_classes"])
        for item in component.declared_inputs:
            field = fields[item.name]
            assert {"type", "name", "display_name", "value", "show", "required", "advanced", "list", "info"} <= set(field)
            assert (field["name"], field["value"], field["required"]) == (item.name, json_like(item.default), item.required)
            assert field["type"] and field["display_name"]


def json_like(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


async def test_a_flow_made_of_catalogue_nodes_runs(application: Application) -> None:
    found = await components(application)
    document = flows.document(
        [placed(type, f"{type}-1", found[type][1]) for type in ("ChatInput", "ChatOutput")],
        [flows.edge("ChatInput-1", "ChatOutput-1", "input_value")],
    )
    flow = (await application.http.post("/api/v1/flows/", json={"name": "made", "data": document})).json()
    answer = await application.http.post(f"/api/v1/run/{flow['id']}", json={"input_value": "made of nodes"})
    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"] == "made of nodes"


async def test_what_a_catalogue_node_stores_is_read_as_its_component_declares_it(application: Application) -> None:
    found = await components(application)
    document = flows.document([placed(type, f"{number}-n", node) for number, (type, (_, node)) in enumerate(found.items())], [])
    flow = (await application.http.post("/api/v1/flows/", json={"name": "all of them", "data": document})).json()
    prepared = await application.services.prepared_flows.resolve(application.caller.user_id, flow["id"])
    assert len(prepared.graph.vertices) == len(found)
    for vertex in prepared.graph.vertices.values():
        assert vertex.component is not None
        declared = {item.name: item for item in vertex.component.declared_inputs}
        for name, item in declared.items():
            assert vertex.fields[name].kind is item.kind, (vertex.component.type, name)
    report = await application.services.reports.report(application.caller, flow["id"])
    assert not [problem for problem in report.problems if "type" in str(problem).lower() and "unknown" in str(problem).lower()]


async def test_nothing_that_runs_authors_code_is_offered(application: Application) -> None:
    found = await components(application)
    assert not {"CustomComponent", "PythonFunction", "PythonREPLComponent"} & set(found)
    assert not [type for type, (_, node) in found.items() if "code" in node["template"]]


async def test_a_bad_key_and_no_key_get_no_catalogue(application: Application) -> None:
    for headers in ({}, {"x-api-key": "sk-bad"}):
        answer = await application.nobody.get("/api/v1/all", headers=headers)
        assert (answer.status_code, set(answer.json())) == (403, {"detail"})


def test_the_catalogue_is_made_once_for_a_registry() -> None:
    registry = load_registry(plugins=False)
    assert catalogue_of(registry) is catalogue_of(registry)
