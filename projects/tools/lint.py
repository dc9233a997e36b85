"""What clients may stumble over in a project's tools: names, texts, schemas, numbers, and flows that are no tools."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from projects.engine import schedule
from projects.flows.flow import Flow
from projects.tools.names import CHOSEN_NAME_LENGTH, has_hidden_characters, server_name
from projects.tools.tool import DESCRIPTION_LENGTH, Tool, own_description, wanted_name

FULL_NAME_LENGTH = 64  # model APIs stop here; clients put `mcp__<server>__` before a tool's name
MODEL_DESCRIPTION_LENGTH = 1_024
CURSOR_TOOLS = 40
MOST_TOOLS = 100  # Devin and Windsurf
MOST_PROPERTIES = 100
DEPTH = 5

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_UNPORTABLE = ("$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "not", "if", "patternProperties", "const")
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean"})


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """`flow_id` and `tool` are None for what is about the project. `advice` is the next step."""

    rule: str
    severity: Severity
    message: str
    advice: str
    flow_id: str | None = None
    flow_name: str | None = None
    tool: str | None = None


def findings_of(project_name: str, tools: Sequence[Tool], excluded: Mapping[str, str], flows: Mapping[str, Flow]) -> list[Finding]:
    """Errors first, then in the order of the tools."""
    found = [
        *_excluded(excluded, flows),
        *_count(tools),
        *(finding for tool in tools for finding in _tool(tool, server_name(project_name))),
        *_titles(tools),
    ]
    return sorted(found, key=lambda finding: finding.severity is not Severity.ERROR)


def schema_problems(schema: Mapping[str, Any], *, is_input: bool) -> Iterator[tuple[str, Severity, str]]:
    """(rule, severity, what and where) for what not every client's dialect of JSON Schema knows."""
    if schema.get("type") != "object":
        yield "schema-root", Severity.ERROR, "the root must be an object"
    if is_input and schema.get("additionalProperties") is not False:
        yield "schema-open", Severity.ERROR, "additionalProperties must be false"
    properties = schema.get("properties", {})
    if len(properties) > MOST_PROPERTIES:
        yield "schema-size", Severity.WARNING, f"there are {len(properties)} arguments; model APIs stop at {MOST_PROPERTIES}"
    for name in schema.get("required", ()):
        if name not in properties:
            yield "schema-required", Severity.ERROR, f"{name!r} is required and not described"
    for name, described in properties.items():
        if not _PROPERTY.fullmatch(name):
            yield "schema-property-name", Severity.ERROR, f"{name!r} has characters that model APIs refuse, or more than 64"
        if is_input and isinstance(described, Mapping) and not described.get("description"):
            yield "schema-description", Severity.WARNING, f"{name!r} has no description"
    yield from _nested(schema, "", 0)


def _nested(schema: Any, path: str, depth: int) -> Iterator[tuple[str, Severity, str]]:
    if depth > DEPTH:
        yield "schema-depth", Severity.WARNING, f"{path} is nested more than {DEPTH} deep"
        return
    if not isinstance(schema, Mapping):
        yield "schema-boolean", Severity.ERROR, f"{path} is no schema object"
        return
    where = path or "the root"
    for word in _UNPORTABLE:
        if word in schema:
            yield "schema-keyword", Severity.ERROR, f"{where} uses {word}"
    kind = schema.get("type")
    if isinstance(kind, list):
        yield "schema-type-union", Severity.WARNING, f"{where} has several types"
    elif kind not in _TYPES:
        yield "schema-untyped", Severity.ERROR, f"{where} has no type"
    if "items" in schema:
        yield from _nested(schema["items"], f"{path}[]", depth + 1)
    for name, described in schema.get("properties", {}).items():
        yield from _nested(described, f"{path}.{name}".lstrip("."), depth + 1)


def _excluded(excluded: Mapping[str, str], flows: Mapping[str, Flow]) -> Iterator[Finding]:
    for flow_id, reason in excluded.items():
        flow = flows.get(flow_id)
        yield Finding(
            "flow-excluded",
            Severity.ERROR,
            f"It is not a tool: {reason}",
            "Mend the flow, or switch it off as a tool.",
            flow_id,
            None if flow is None else flow.name,
        )


def _count(tools: Sequence[Tool]) -> Iterator[Finding]:
    advice = "Split the project, or switch off the tools that are not needed."
    if len(tools) > MOST_TOOLS:
        yield Finding("tool-count", Severity.ERROR, f"{len(tools)} tools: Devin and Windsurf take {MOST_TOOLS} of all servers.", advice)
    elif len(tools) > CURSOR_TOOLS:
        yield Finding("tool-count", Severity.WARNING, f"{len(tools)} tools: Cursor takes {CURSOR_TOOLS} of all servers.", advice)


def _titles(tools: Sequence[Tool]) -> Iterator[Finding]:
    count = Counter(tool.title.casefold() for tool in tools)
    for tool in tools:
        if count[tool.title.casefold()] > 1:
            yield _finding(
                tool,
                "title-twice",
                Severity.WARNING,
                f"Another tool has the title {tool.title!r} too.",
                "Give the flows names that differ.",
            )


def _tool(tool: Tool, server: str) -> Iterator[Finding]:
    yield from _name(tool, server)
    yield from _texts(tool)
    yield from _graph(tool)
    for schema, word in ((tool.input_schema, "input"), (tool.output_schema, "output")):
        for rule, severity, what in schema_problems(schema, is_input=word == "input"):
            yield _finding(tool, rule, severity, f"Its {word} schema: {what}.", "Change the type or the name of that field in the flow.")


def _name(tool: Tool, server: str) -> Iterator[Finding]:
    if len(tool.name) > CHOSEN_NAME_LENGTH or not _NAME.fullmatch(tool.name):
        message = f"The name {tool.name!r} is none that every client takes: a-z, 0-9 and _, at most {CHOSEN_NAME_LENGTH}."
        yield _finding(tool, "name-characters", Severity.ERROR, message, "Give the tool a shorter, plainer name.")
    full = f"mcp__{server}__{tool.name}"
    if len(full) > FULL_NAME_LENGTH:
        message = f"With the server's name it is {full!r}, {len(full)} long; model APIs stop at {FULL_NAME_LENGTH}."
        yield _finding(tool, "name-length", Severity.ERROR, message, "Shorten the project's name or the tool's.")
    wanted = wanted_name(tool.prepared.flow, is_global=False)
    if tool.name != wanted:
        message = f"It is called {tool.name!r}, because {wanted!r} is taken or the server's own."
        yield _finding(tool, "name-taken", Severity.WARNING, message, "Give the flow or its tool a name that no other has.")


def _texts(tool: Tool) -> Iterator[Finding]:
    flow = tool.prepared.flow
    own = own_description(flow, is_global=False)
    if not own.strip():
        message = "It has no description; models choose tools by theirs."
        yield _finding(tool, "description-missing", Severity.WARNING, message, "Say what the flow does and when to use it.")
    if len(own) > MODEL_DESCRIPTION_LENGTH:
        cut = f", and it is cut after {DESCRIPTION_LENGTH}" if len(own) > DESCRIPTION_LENGTH else ""
        message = f"The description has {len(own):,} characters; some model APIs stop at {MODEL_DESCRIPTION_LENGTH:,}{cut}."
        yield _finding(tool, "description-length", Severity.WARNING, message, "Say it shorter.")
    if any(has_hidden_characters(text) for text in (flow.name, flow.tool_name or "", own)):
        message = "Its name or description has characters that nobody sees; clients are told them without."
        yield _finding(tool, "hidden-characters", Severity.WARNING, message, "Type the text anew.")


def _graph(tool: Tool) -> Iterator[Finding]:
    graph = tool.prepared.graph
    planned = schedule.run_set(graph, schedule.default_start(graph), None)
    for vertex in graph.vertices.values():
        if vertex.component is None and vertex.id in planned:
            message = f"It cannot run: {vertex.display_name} ({vertex.id}): {vertex.problem or 'nothing stands behind it here'}."
            yield _finding(
                tool, "cannot-run", Severity.ERROR, message, vertex.hint or "Replace the node, or switch the flow off as a tool."
            )
    if not tool.results.ends:
        message = "It answers nothing: no node of it gives a text, a record or a table at the end."
        yield _finding(tool, "no-answer", Severity.WARNING, message, "End the flow in a Chat Output.")


def _finding(tool: Tool, rule: str, severity: Severity, message: str, advice: str) -> Finding:
    return Finding(rule, severity, message, advice, tool.flow_id, tool.prepared.flow.name, tool.name)
