"""Prompts' variables and nodes' templates: what components do when an editor asks them, and the filter of tools' answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from projects.components import placeholders
from projects.custom_code.surface.fields import INPUT_CLASSES
from projects.custom_code.surface.records import Data

_STEP = re.compile(r"\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]|([^.\[\]]+)")


def extract_input_variables_from_prompt(prompt: str, is_mustache: bool = False) -> list[str]:
    """The variables of a prompt, each once, in their order."""
    found: dict[str, None] = {}

    def remember(name: str) -> str:
        found[name] = None
        return ""

    (placeholders.fill_double if is_mustache else placeholders.fill)(prompt, remember)
    return list(found)


def validate_prompt(prompt_template: str, *, silent_errors: bool = False, is_mustache: bool = False) -> list[str]:
    """Its variables. ValueError for one that cannot be a field's name."""
    names = extract_input_variables_from_prompt(prompt_template, is_mustache)
    wrong = [name for name in names if not name.isidentifier()]
    if wrong and not silent_errors:
        raise ValueError(f"Invalid input variables: {', '.join(wrong)}. Use letters, digits and underscores.")
    return names


def process_prompt_template(
    template: str, name: str, custom_fields: dict[str, list[str]] | None, frontend_node_template: dict[str, Any], is_mustache: bool = False
) -> list[str]:
    """Gives the node's template a field for each variable, and takes away those of variables that are gone. Returns the variables."""
    variables = validate_prompt(template, is_mustache=is_mustache)
    fields = custom_fields if custom_fields is not None else {}
    for gone in set(fields.get(name) or ()) - set(variables):
        frontend_node_template.pop(gone, None)
    for variable in variables:
        if variable not in frontend_node_template:
            made = INPUT_CLASSES["DefaultPromptField"](name=variable, display_name=variable, input_types=["Message"], multiline=True)
            frontend_node_template[variable] = made.to_dict()
    fields[name] = variables
    return variables


def raw_frontend_data_is_valid(raw_frontend_data: Any) -> bool:
    return isinstance(raw_frontend_data, Mapping) and "template" in raw_frontend_data and "display_name" in raw_frontend_data


def is_valid_data(frontend_node: Any, raw_frontend_data: Any) -> bool:
    return isinstance(frontend_node, Mapping) and "template" in frontend_node and raw_frontend_data_is_valid(raw_frontend_data)


def update_template_values(new_template: dict[str, Any], previous_template: Mapping[str, Any]) -> None:
    """Takes over what was typed into fields that both have."""
    for name, old in previous_template.items():
        new = new_template.get(name)
        if isinstance(old, Mapping) and isinstance(new, dict) and name != "code":
            new.update({key: old[key] for key in ("value", "file_path", "load_from_db") if key in old and key in {*new, "value"}})


def update_frontend_node_with_template_values(frontend_node: Any, raw_frontend_node: Any) -> Any:
    if is_valid_data(frontend_node, raw_frontend_node):
        update_template_values(frontend_node["template"], raw_frontend_node["template"])
    return frontend_node


def apply_json_filter(result: Any, filter_: str | None) -> Any:
    """The part of a value at a path such as `items[0].name`; the value itself for an empty path, None where there is no such part."""
    found = result.data if isinstance(result, Data) else result
    for index, *names in _STEP.findall(filter_ or ""):
        name = next((each for each in names if each), "")
        if isinstance(found, Data):
            found = found.data
        if index and isinstance(found, list) and int(index) < len(found):
            found = found[int(index)]
        elif name and isinstance(found, list):
            found = [item[name] for item in found if isinstance(item, Mapping) and name in item]
        elif name and isinstance(found, Mapping) and name in found:
            found = found[name]
        else:
            return None
    return found
