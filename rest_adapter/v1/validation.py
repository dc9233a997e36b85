"""Code and prompts of editors, checked by reading them: nothing that is sent here is ever run."""

from typing import Any

from pydantic import Field

from projects.access.caller import Caller
from projects.code_reading import prompt_template, syntax
from projects.code_reading.syntax import CodeUnreadable
from projects.custom_code import reading
from rest_adapter.errors import BadRequest
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.v1.models import Detail, Wire

_TAG = "Components"


class CodeToCheck(Wire):
    code: str


class Errors(Wire):
    errors: list[str]


class CodeChecked(Wire):
    """`imports` tells modules that this server does not have, `function` where the code is no Python; each with its line."""

    imports: Errors
    function: Errors


@endpoint("POST", "/api/v1/validate/code", Answer(200, CodeChecked), owner=OwnerRule.CALLER, tag=_TAG)
async def check_code(body: CodeToCheck, caller: Caller) -> dict[str, dict[str, list[str]]]:
    """Whether a text is Python and what it imports is there. It is parsed, and never run, imported or compiled."""
    await reading.read_ahead([body.code])
    try:
        imports = reading.read(body.code).imports
    except CodeUnreadable as error:
        return {"imports": {"errors": []}, "function": {"errors": [str(error.problem)]}}
    return {"imports": {"errors": [str(problem) for problem in syntax.missing_imports(imports)]}, "function": {"errors": []}}


class PromptToCheck(Wire):
    name: str
    template: str = Field(max_length=1_000_000)
    custom_fields: dict[str, list[str]] | None = None
    frontend_node: dict[str, Any] | None = None
    mustache: bool = False


# What a client may read of every node that comes back, whether it sent it or not.
_ALWAYS_THERE = dict.fromkeys(
    ("is_input", "is_output", "is_composition", "priority", "full_path", "replacement", "error", "add_tool_output")
) | {"name": ""}
_IN_OUTPUTS = dict.fromkeys(("required_inputs", "hidden", "options", "loop_types"))


class PromptChecked(Wire):
    """Without a node in the request there is nothing to answer: no names and no node."""

    input_variables: list[str]
    frontend_node: dict[str, Any] | None


@endpoint(
    "POST",
    "/api/v1/validate/prompt",
    Answer(200, PromptChecked),
    Answer(400, Detail, "A node came along, and `name` is empty."),
    owner=OwnerRule.CALLER,
    tag=_TAG,
)
async def check_prompt(body: PromptToCheck, caller: Caller) -> dict[str, Any]:
    """The variables of a template, and the node with a field for each of them."""
    variables = prompt_template.variables_of(body.template, double=body.mustache)
    if body.frontend_node is None:
        return {"input_variables": [], "frontend_node": None}
    if not body.name:
        raise BadRequest("`name` says which field of the node holds the template; it is empty.")
    node = {**_ALWAYS_THERE, **body.frontend_node}
    if isinstance(outputs := node.get("outputs"), list):
        node["outputs"] = [{**_IN_OUTPUTS, **output} if isinstance(output, dict) else output for output in outputs]
    if body.custom_fields is not None and not node.get("custom_fields"):
        node = {**node, "custom_fields": body.custom_fields}
    return {"input_variables": variables, "frontend_node": prompt_template.node_with_variables(node, body.name, variables)}


ENDPOINTS = (check_code, check_prompt)
