"""Code and prompts that editors send: answered from the syntax tree, with nothing of them ever run."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.application import Application, open_application


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with open_application(tmp_path) as opened:
        yield opened


PROBES = {
    "default": "def f(a=open({path!r}, 'w')):\n    return a\n",
    "decorator": "@open({path!r}, 'w')\ndef f(a): ...\n",
    "annotation": "def f(a: open({path!r}, 'w')) -> open({path!r}, 'w'): ...\n",
    "class body": "class A(Component):\n    open({path!r}, 'w')\n    inputs = [StrInput(name=open({path!r}, 'w').name)]\n",
    "module": "open({path!r}, 'w')\n",
    "initialiser": "class A(Component):\n    def __init__(self):\n        open({path!r}, 'w')\n",
    "base": "class A(Component, metaclass=open({path!r}, 'w')): ...\n",
    "quoted annotation": "class A(CustomComponent):\n    def build(self, a: \"open({path!r}, 'w')\") -> \"open({path!r}, 'w')\": ...\n",
}


@pytest.mark.parametrize("probe", PROBES)
async def test_no_part_of_the_code_runs_on_any_of_the_addresses(application: Application, tmp_path: Path, probe: str) -> None:
    marker = tmp_path / "marker"
    code = PROBES[probe].format(path=str(marker)) + "class B(Component):\n    pass\n"
    checked = await application.http.post("/api/v1/validate/code", json={"code": code})
    assert (checked.status_code, checked.json()) == (200, {"imports": {"errors": []}, "function": {"errors": []}})
    read = await application.http.post("/api/v1/custom_component", json={"code": code})
    assert (read.status_code, set(read.json())) == (200, {"data", "type"})
    body = {"code": code, "template": {"a": {"value": 1}}, "field": "a", "field_value": 2}
    updated = await application.http.post("/api/v1/custom_component/update", json=body)
    assert (updated.status_code, updated.json()["template"]["a"]) == (200, {"value": 2})
    assert not marker.exists()


async def test_a_module_on_the_path_is_looked_for_and_not_imported(
    application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    package = tmp_path / "modules" / "probe_of_imports"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"open({str(marker)!r}, 'w')")
    (package / "inner.py").write_text("")
    monkeypatch.syspath_prepend(str(package.parent))
    code = "import probe_of_imports.inner, probe_of_imports as p\nimport json\nimport no_such_module.x as y\nfrom nowhere import z\n"
    answer = (await application.http.post("/api/v1/validate/code", json={"code": code})).json()
    assert answer == {"imports": {"errors": ["line 3: No module named 'no_such_module'"]}, "function": {"errors": []}}
    assert not marker.exists()


async def test_a_syntax_error_is_told_with_its_line(application: Application) -> None:
    answer = (await application.http.post("/api/v1/validate/code", json={"code": "x = 1\ndef f(:\n    pass"})).json()
    (error,) = answer["function"]["errors"]
    assert error.startswith("line 2: ")
    assert answer["imports"] == {"errors": []}


async def test_a_component_that_cannot_be_read_is_400_with_its_line(application: Application) -> None:
    for code in ("x = 1", "class A(Component):\n  inputs = [", ""):
        answer = await application.http.post("/api/v1/custom_component", json={"code": code})
        assert answer.status_code == 400
        assert set(answer.json()["detail"]) == {"error", "traceback"}
        assert "line" in answer.json()["detail"]["error"]
        body: dict[str, Any] = {"code": code, "template": {}, "field": "a"}
        updated = await application.http.post("/api/v1/custom_component/update", json=body)
        assert (updated.status_code, type(updated.json()["detail"])) == (400, str)


async def test_a_node_that_becomes_a_tool_has_the_one_output_for_agents(application: Application) -> None:
    code = "class A(Component):\n    outputs = [Output(name='o', method='m', types=['Data'])]\n"
    body: dict[str, Any] = {"code": code, "template": {"_type": "Component"}, "field": "tool_mode", "field_value": True}
    node = (await application.http.post("/api/v1/custom_component/update", json=body)).json()
    assert node["tool_mode"] is True
    assert [(each["name"], each["types"]) for each in node["outputs"]] == [("component_as_tool", ["Tool"])]
    back = (await application.http.post("/api/v1/custom_component/update", json={**body, "field_value": False})).json()
    assert (back["tool_mode"], [each["name"] for each in back["outputs"]]) == (False, ["o"])


async def test_what_a_change_of_a_field_would_do_to_others_is_not_done_and_said_so(application: Application) -> None:
    code = (
        "class A(Component):\n"
        "    inputs = [DropdownInput(name='mode', options=['a', 'b'], value='a', real_time_refresh=True), StrInput(name='b', show=False)]\n"
        "    def update_build_config(self, build_config, field_value, field_name=None):\n"
        "        build_config['b']['show'] = field_value == 'b'\n"
        "        return build_config\n"
        "    async def update_outputs(self, frontend_node, field_name, field_value):\n"
        "        return frontend_node\n"
    )
    read = (await application.http.post("/api/v1/custom_component", json={"code": code})).json()["data"]
    body = {"code": code, "template": read["template"], "field": "mode", "field_value": "b"}
    node = (await application.http.post("/api/v1/custom_component/update", json=body)).json()
    assert (node["template"]["mode"]["value"], node["template"]["mode"]["real_time_refresh"]) == ("b", True)
    assert node["template"]["b"]["show"] is False
    for shown in (read, node):
        assert [line.partition(" is not run")[0] for line in shown["metadata"]["unread"]] == [
            "line 3: update_build_config",
            "line 6: update_outputs",
        ]


async def test_a_catalogue_node_without_code_is_updated_as_it_is(application: Application) -> None:
    node = (await application.http.get("/api/v1/all")).json()["input_output"]["ChatInput"]
    body = {"code": "", "template": node["template"], "field": "sender_name", "field_value": "Ada", "frontend_node": node}
    updated = (await application.http.post("/api/v1/custom_component/update", json=body)).json()
    assert updated["template"]["sender_name"]["value"] == "Ada"
    assert updated["outputs"] == node["outputs"]


def prompt_node(**custom_fields: list[str]) -> dict[str, Any]:
    template = {"_type": "Component", "template": {"type": "prompt", "value": ""}}
    template |= {name: {"type": "str", "value": "kept"} for names in custom_fields.values() for name in names}
    return {"template": template, "custom_fields": custom_fields, "outputs": []}


async def check(application: Application, template: str, **further: Any) -> Any:
    return await application.http.post("/api/v1/validate/prompt", json={"name": "template", "template": template, **further})


async def test_a_prompt_gives_its_node_a_field_for_each_variable_and_drops_those_that_are_gone(application: Application) -> None:
    answer = (await check(application, "{a} and {b} and {a}", frontend_node=prompt_node(template=["a", "old"]))).json()
    assert answer["input_variables"] == ["a", "b"]
    node = answer["frontend_node"]
    assert list(node["template"]) == ["_type", "template", "a", "b"]
    assert node["custom_fields"] == {"template": ["a", "b"]}
    assert node["template"]["a"]["value"] == "kept"
    assert (node["template"]["b"]["type"], node["template"]["b"]["input_types"]) == ("str", ["Message"])
    assert " ".join(sorted(node["template"]["b"])) == (
        "advanced api_editable display_name dynamic field_type fileTypes file_path info input_types list load_from_db multiline name "
        "placeholder required show title_case type value"
    )


async def test_a_node_comes_back_with_every_key_that_clients_read(application: Application) -> None:
    node = (await check(application, "{a}", frontend_node={**prompt_node(), "name": "mine"})).json()["frontend_node"]
    empty = {"is_input", "is_output", "is_composition", "priority", "full_path", "replacement", "error", "add_tool_output"}
    assert {key for key, value in node.items() if value is None} == empty
    assert node["name"] == "mine"
    outputs: list[dict[str, Any]] = [{"name": "prompt", "types": ["Message"], "hidden": True}, {"name": "other"}]
    shown = (await check(application, "{a}", frontend_node={**prompt_node(), "outputs": outputs})).json()["frontend_node"]["outputs"]
    known = dict.fromkeys(("required_inputs", "hidden", "options", "loop_types"))
    assert shown == [{**known, **output} for output in outputs]


async def test_doubled_braces_are_variables_only_where_that_is_chosen(application: Application) -> None:
    node = prompt_node()
    assert (await check(application, "Hi {{a}} {b}", frontend_node=node)).json()["input_variables"] == ["b"]
    assert (await check(application, "Hi {{a}} {b}", frontend_node=node, mustache=True)).json()["input_variables"] == ["a"]


async def test_json_in_a_prompt_is_text(application: Application) -> None:
    template = 'Answer as {"city": {"name": "{name}"}} or {{}}.'
    assert (await check(application, template, frontend_node=prompt_node())).json()["input_variables"] == ["name"]


@pytest.mark.parametrize(
    ("template", "mustache", "place"),
    [("Hi\n {name", False, "line 2, column 2"), ("a}", False, "line 1, column 2"), ("{{a", True, "line 1, column 1")],
)
async def test_a_brace_without_its_partner_is_named(application: Application, template: str, mustache: bool, place: str) -> None:
    answer = await check(application, template, frontend_node=prompt_node(), mustache=mustache)
    assert answer.status_code == 422
    assert place in str(answer.json())


async def test_a_variable_called_like_a_field_is_refused(application: Application) -> None:
    for name in ("template", "_type"):
        answer = await check(application, f"{{{name}}}", frontend_node=prompt_node())
        assert (answer.status_code, repr(name) in str(answer.json())) == (422, True)
