"""The variables of a prompt's template, and the node that has a field for each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from projects import catalogue
from projects.catalogue import Node
from projects.components import placeholders
from projects.errors import FieldProblem, InvalidInput

MAX_VARIABLES = 500


def variables_of(template: str, *, double: bool = False) -> list[str]:
    """Each name once, in order. Raises InvalidInput for a brace that is opened and not closed, or the other way round."""
    found: dict[str, None] = {}

    def note(name: str) -> str:
        found[name] = None
        return ""

    fill: Callable[[str, placeholders.Lookup], str] = placeholders.fill_double if double else placeholders.fill
    fill(template, note)
    if (place := _lone_double(template) if double else _lone_single(template)) is not None:
        line, column = template.count("\n", 0, place) + 1, place - (template.rfind("\n", 0, place) + 1) + 1
        raise _refused(f"The brace at line {line}, column {column} has no partner: write {{name}} whole, or double the brace.", "template")
    if len(found) > MAX_VARIABLES:
        raise _refused(f"The template has {len(found)} variables; at most {MAX_VARIABLES} become fields.", "template")
    return list(found)


def node_with_variables(node: Mapping[str, Any], field: str, variables: list[str]) -> Node:
    """The node with a text field for each variable and none for those that are gone. Raises InvalidInput for a name that is taken."""
    made: Node = deepcopy(dict(node))
    template = made.get("template")
    template = dict(template) if isinstance(template, Mapping) else {}
    custom = made.get("custom_fields")
    custom = dict(custom) if isinstance(custom, Mapping) else {}
    before = custom.get(field)
    before = [name for name in before if isinstance(name, str)] if isinstance(before, list) else []
    elsewhere = {name for other, names in custom.items() if other != field and isinstance(names, list) for name in names}
    for name in variables:
        if name in template and name not in before and name not in elsewhere:
            raise _refused(f"The variable {name!r} is called like a field of the node; give it another name.", "template")
    for name in before:
        if name not in variables and name not in elsewhere:
            template.pop(name, None)
    for name in variables:
        template.setdefault(name, _field_of(name))
    made["template"] = template
    made["custom_fields"] = {**custom, field: variables}
    return made


def _field_of(variable: str) -> Node:
    """Langflow gives these fields keys of their own, fewer than a catalogue's."""
    field = catalogue.template_field(variable, "", "str", display_name=variable, multiline=True, input_types=["Message"])
    for key in ("_input_type", "list_add_label", "tool_mode"):
        del field[key]
    return {**field, "field_type": "str", "fileTypes": [], "file_path": ""}


def _lone_single(template: str) -> int | None:
    """The place of a brace without a partner. Doubled braces may be text of their own or two levels of JSON; both readings count."""
    return None if _unbalanced(template, is_doubled=False) is None else _unbalanced(template, is_doubled=True)


def _unbalanced(template: str, *, is_doubled: bool) -> int | None:
    opened: list[int] = []
    place = 0
    while place < len(template):
        character = template[place]
        if is_doubled and template[place : place + 2] in ("{{", "}}"):
            place += 2
            continue
        if character == "{":
            opened.append(place)
        elif character == "}":
            if not opened:
                return place
            opened.pop()
        place += 1
    return opened[0] if opened else None


def _lone_double(template: str) -> int | None:
    opened: int | None = None
    place = 0
    while place < len(template):
        pair = template[place : place + 2]
        if pair == "{{":
            if opened is not None:
                return opened
            opened, place = place, place + 2
        elif pair == "}}" and opened is not None:
            opened, place = None, place + 2
        else:
            place += 1
    return opened


def _refused(message: str, field: str) -> InvalidInput:
    return InvalidInput(message, problems=[FieldProblem((field,), message, "value_error")])
