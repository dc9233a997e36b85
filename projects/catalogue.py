"""The library as an editor shows it: category → type → a node that can be put into a document as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from projects.components.registry import ComponentRegistry
from projects.engine.component import Component, Input, InputKind, Output

Node = dict[str, Any]

# What the outputs and fields of a document call "nothing computed yet".
UNDEFINED = "__UNDEFINED__"

_CLASSES: Mapping[InputKind, str] = {
    InputKind.TEXT: "MessageTextInput",
    InputKind.MESSAGE: "MessageInput",
    InputKind.STRING: "StrInput",
    InputKind.INTEGER: "IntInput",
    InputKind.NUMBER: "FloatInput",
    InputKind.BOOLEAN: "BoolInput",
    InputKind.DATA: "DataInput",
    InputKind.TABLE: "DataFrameInput",
    InputKind.ROWS: "TableInput",
    InputKind.MAPPING: "DictInput",
    InputKind.HANDLE: "HandleInput",
    InputKind.FILE: "FileInput",
    InputKind.PROMPT: "PromptInput",
    InputKind.CODE: "CodeInput",
}
_CLASSES_BY_TYPE: Mapping[str, str] = {
    "tab": "TabInput",
    "sortableList": "SortableListInput",
    "slider": "SliderInput",
    "NestedDict": "NestedDictInput",
    "model": "ModelInput",
    "mcp": "McpInput",
}
_TYPES: Mapping[InputKind, str] = {
    InputKind.INTEGER: "int",
    InputKind.NUMBER: "float",
    InputKind.BOOLEAN: "bool",
    InputKind.DATA: "other",
    InputKind.TABLE: "other",
    InputKind.ROWS: "table",
    InputKind.MAPPING: "dict",
    InputKind.HANDLE: "other",
    InputKind.FILE: "file",
    InputKind.PROMPT: "prompt",
    InputKind.CODE: "code",
}
_EDGE_TYPES: Mapping[InputKind, tuple[str, ...]] = {
    InputKind.TEXT: ("Message",),
    InputKind.MESSAGE: ("Message",),
    InputKind.DATA: ("Data", "JSON"),
    InputKind.TABLE: ("DataFrame", "Table"),
}


def list_nodes(registry: ComponentRegistry) -> dict[str, dict[str, Node]]:
    """Every component that runs here, by category and type, in order of registration."""
    return {
        category: {component.type: component_node(component) for component in components}
        for category, components in registry.by_category().items()
    }


@lru_cache(maxsize=2)  # the registry of the process; made when somebody first asks, because most processes never are
def catalogue_of(registry: ComponentRegistry) -> Mapping[str, Mapping[str, Node]]:
    """`list_nodes`, kept. Nobody may change what is in it."""
    return list_nodes(registry)


def component_node(component: type[Component]) -> Node:
    """A component as a node of a document: every declared field with its default, every declared output."""
    fields = {item.name: _field_of(item) for item in component.declared_inputs}
    return node(
        template=fields,
        outputs=[_output_of(item, takes_a_loop=item.name == component.repeats) for item in component.declared_outputs],
        display_name=component.display_name or component.type,
        description=component.description,
        icon=component.icon,
        legacy=component.legacy,
        metadata={"module": component.__module__, "component_class_name": component.__name__},
    )


def node(*, template: Mapping[str, Node], outputs: Sequence[Node], display_name: str, **given: Any) -> Node:
    """All keys of a node; `given` replaces those that are usually the same (description, icon, legacy, metadata …)."""
    made: Node = {
        "template": {"_type": "Component", **template},
        "description": "",
        "icon": "",
        "base_classes": _distinct(kind for output in outputs for kind in output["types"]),
        "display_name": display_name,
        "documentation": "",
        "minimized": False,
        "custom_fields": {},
        "output_types": [],
        "pinned": False,
        "conditional_paths": [],
        "frozen": False,
        "outputs": list(outputs),
        "field_order": [name for name in template if name != "code"],
        "beta": False,
        "legacy": False,
        "edited": False,
        "metadata": {},
        "tool_mode": False,
    }
    return {**made, **given}


def template_field(name: str, input_class: str, type: str, /, **given: Any) -> Node:
    """All keys of a template field; `given` replaces what is usually the same, and `type` is the word for its values."""
    made: Node = {
        "_input_type": input_class,
        "advanced": False,
        "api_editable": False,
        "display_name": name.replace("_", " ").title(),
        "dynamic": False,
        "info": "",
        "list": False,
        "list_add_label": "Add More",
        "name": name,
        "placeholder": "",
        "required": False,
        "show": True,
        "title_case": False,
        "tool_mode": False,
        "type": type,
        "value": "",
    }
    if type == "file":
        made |= {"fileTypes": [], "file_path": ""}
    elif type == "str":
        made["load_from_db"] = False
    return {**made, **given}


def output_field(name: str, *, method: str, types: Sequence[str], display_name: str = "", tool_mode: bool = True) -> Node:
    """All keys of an output."""
    return {
        "name": name,
        "display_name": display_name or name.replace("_", " ").title(),
        "method": method,
        "types": list(types),
        "selected": types[0] if types else None,
        "value": UNDEFINED,
        "cache": True,
        "hidden": None,
        "required_inputs": None,
        "options": None,
        "allows_loop": False,
        "loop_types": None,
        "group_outputs": False,
        "tool_mode": tool_mode,
    }


def _field_of(item: Input) -> Node:
    type = _TYPES.get(item.kind, item.field_type) if item.field_type == "str" else item.field_type
    given: Node = {
        "display_name": item.display_name or item.name.replace("_", " ").title(),
        "info": item.info,
        "value": item.default,
        "required": item.required,
        "advanced": item.advanced,
        "show": item.show,
        "list": item.is_list,
        "tool_mode": item.tool_mode,
    }
    if types := item.types or _EDGE_TYPES.get(item.kind):
        given["input_types"] = list(types)
    if item.options:
        given["options"] = list(item.options)
    if item.multiline:
        given["multiline"] = True
    if item.password:
        given["password"] = True
    return template_field(item.name, _class_of(item), type, **given)


def _class_of(item: Input) -> str:
    if item.field_type in _CLASSES_BY_TYPE:
        return _CLASSES_BY_TYPE[item.field_type]
    if item.kind in (InputKind.STRING, InputKind.TEXT) and item.password:
        return "SecretStrInput"
    if item.kind is InputKind.STRING and item.options:
        return "DropdownInput"
    if item.kind is InputKind.TEXT and item.multiline:
        return "MultilineInput"
    return _CLASSES.get(item.kind, "")


def _output_of(output: Output, *, takes_a_loop: bool) -> Node:
    made = output_field(output.name, method=output.method, types=output.types, display_name=output.display_name, tool_mode=output.tool_mode)
    return {**made, "allows_loop": True, "loop_types": ["Message"]} if takes_a_loop else made


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
