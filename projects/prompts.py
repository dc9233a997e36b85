"""Prompts of a project: the Prompt Template components that its author shows, and what plugins bring. Filled in, never run.

Above: the MCP face and the project's settings. Below: the graphs of the project's tools.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from projects.access.caller import Caller
from projects.components import placeholders
from projects.engine.graph import Field, Vertex
from projects.engine.questions import Question
from projects.errors import FieldProblem, HeadwaterError, InvalidInput, NotFound, PluginFailed
from projects.flows.library import FlowLibrary
from projects.kept_text import find_uuid
from projects.lifecycle import ProjectService
from projects.messages import MessageService
from projects.plugin_content import PluginContent, PluginPrompt, PromptArgument, PromptMessage, TextPart, result_of
from projects.tools import Tool, ToolService, clean_name, unique_name

logger = logging.getLogger(__name__)

COMPONENT = "Prompt Template"
SHOW_ALL = "expose_prompts"
SHOWN = "prompts"
MAX_ARGUMENT_LENGTH = 100_000
SUGGESTED_SESSIONS = 100
NAME_LENGTH = 60

_OWN_FIELDS = frozenset(("template", "use_double_brackets", "tool_placeholder", "code", "_type"))
_UNNAMEABLE = re.compile(r"[\r\n{}]")


@dataclass(frozen=True, slots=True)
class Argument:
    """`options` is empty when any text will do."""

    name: str
    description: str
    is_required: bool
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowPrompt:
    """A Prompt Template component. `key` is `<flow id>:<vertex id>`, by which its author shows it."""

    key: str
    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    vertex: Vertex
    flow_id: str

    def fill(self, given: Mapping[str, str]) -> str:
        """The template with these values; a variable without one has the author's, or is empty."""
        fill = placeholders.fill_double if _plain(self.vertex, "use_double_brackets") is True else placeholders.fill
        known = {argument.name for argument in self.arguments}

        def value(name: str) -> str:
            if name in given:
                return given[name]
            return _stored_text(self.vertex, name) if name in known else ""

        return fill(_stored_text(self.vertex, "template"), value)


@dataclass(frozen=True, slots=True)
class PromptChoice:
    """A component that could be shown, and whether it is."""

    prompt: FlowPrompt
    is_shown: bool


class PromptService:
    def __init__(
        self, *, projects: ProjectService, library: FlowLibrary, tools: ToolService, messages: MessageService, content: PluginContent
    ) -> None:
        self._library = library
        self._projects = projects
        self._tools = tools
        self._messages = messages
        self._content = content

    async def list_prompts(self, caller: Caller, project_id: str | None) -> list[FlowPrompt | PluginPrompt]:
        """Those that are shown, flows in listing order and then the plugins'. With project None: of all the caller's projects.

        Raises NotFound for a project that is not the caller's.
        """
        if project_id is not None:
            shown = [choice.prompt for choice in await self.list_choices(caller, project_id) if choice.is_shown]
        else:
            settings = {project.id: project.mcp_settings for project in await self._projects.list_projects(caller)}
            tools = [tool for tool in await self._tools.list_tools(caller, None) if tool.prepared.flow.is_tool]
            every = [tool for tool in tools if settings.get(tool.prepared.flow.project_id)]
            shown = [prompt for prompt, tool in _prompts_of(every) if _is_shown(prompt, settings[tool.prepared.flow.project_id])]
        taken = {prompt.name for prompt in shown}
        return [*shown, *(prompt for prompt in self._content.prompts if prompt.name not in taken)]

    async def list_choices(self, caller: Caller, project_id: str) -> list[PromptChoice]:
        """Every Prompt Template of the project's tools. Raises NotFound."""
        kept = await self._tools.tool_map(caller, project_id)
        settings = kept.project.mcp_settings if kept.project is not None else None
        return [PromptChoice(prompt, _is_shown(prompt, settings)) for prompt, _ in _prompts_of(list(kept.tools.values()))]

    async def check_choice(self, caller: Caller, project_id: str, *, show_all: bool | None, shown: Sequence[str] | None) -> dict[str, Any]:
        """What to set of a project's `mcp_settings`. Naming prompts one by one ends showing all of them; None leaves as it is.

        Raises NotFound, and InvalidInput for a key of a flow that is not the project's.
        """
        change: dict[str, Any] = {}
        if shown is not None:
            flows = {flow.id for flow in await self._library.list_flows(caller, project_id=project_id, with_documents=False)}
            for index, key in enumerate(shown):
                if find_uuid(key.partition(":")[0]) not in flows or not key.partition(":")[2]:
                    message = f"{key[:100]!r} names no prompt of this project: write the flow's id, a colon and the component's id."
                    raise InvalidInput(message, problems=[FieldProblem(("prompts", index), message)])
            change |= {SHOWN: sorted(set(shown)), SHOW_ALL: False}
        if show_all is not None:
            change[SHOW_ALL] = show_all
        return change

    async def render(
        self,
        caller: Caller,
        project_id: str | None,
        name: str,
        given: Mapping[str, str],
        *,
        ask: Callable[[Sequence[Question]], Awaitable[Mapping[str, str]]],
    ) -> tuple[str, list[PromptMessage]]:
        """A shown prompt's description and its messages; `ask` puts what a plugin's prompt asks to the caller's person.

        Raises NotFound("prompt", …), InvalidInput naming each argument, LimitReached, PluginFailed, and what `ask` raises.
        """
        prompt = await self._get(caller, project_id, name)
        _check_arguments(prompt, given)
        if isinstance(prompt, PluginPrompt) and prompt.asks:
            given = {**given, **await ask(prompt.asks)}
        if isinstance(prompt, FlowPrompt):
            return prompt.description, [PromptMessage(TextPart(prompt.fill(given)))]
        try:
            return prompt.description, list(await result_of(prompt.render(dict(given))))
        except Exception as error:
            # A boundary: code that is not ours.
            logger.exception("The plugin prompt %r failed.", prompt.name)
            raise PluginFailed(f"{prompt.name} failed: {type(error).__name__}. The server's log has the reason.") from error

    async def suggest(self, caller: Caller, project_id: str | None, name: str, argument: str, typed: str) -> Sequence[str]:
        """Values of one argument that go on from what was typed. Raises NotFound("prompt", …), InvalidInput for an unknown argument."""
        prompt = await self._get(caller, project_id, name)
        known = {each.name: each for each in prompt.arguments}
        if (found := known.get(argument)) is None:
            raise _wrong(argument, f"{name} has no such argument; it takes {', '.join(known) or 'none'}")
        if isinstance(found, PromptArgument):
            try:
                return [] if found.suggest is None else list(await result_of(found.suggest(typed)))
            except Exception as error:
                # A boundary: code that is not ours.
                logger.exception("The plugin prompt %r failed.", prompt.name)
                raise PluginFailed(f"{prompt.name} failed: {type(error).__name__}. The server's log has the reason.") from error
        if found.options:
            return [option for option in found.options if option.casefold().startswith(typed.casefold())]
        if found.name == "session_id" and isinstance(prompt, FlowPrompt) and not caller.is_confined:  # the sessions are the owner's
            sessions = await self._messages.list_sessions(caller, flow_id=prompt.flow_id, limit=SUGGESTED_SESSIONS)
            return [id for id in sessions if id.casefold().startswith(typed.casefold())]
        return []

    async def _get(self, caller: Caller, project_id: str | None, name: str) -> FlowPrompt | PluginPrompt:
        for prompt in await self.list_prompts(caller, project_id):
            if prompt.name == name:
                return prompt
        raise NotFound("prompt", name)


def _is_shown(prompt: FlowPrompt, settings: Mapping[str, Any] | None) -> bool:
    return settings is not None and (settings.get(SHOW_ALL) is True or prompt.key in settings.get(SHOWN, ()))


def _prompts_of(tools: Sequence[Tool]) -> list[tuple[FlowPrompt, Tool]]:
    """In the order of the tools and then of each file, with names that are not alike."""
    found: dict[str, tuple[FlowPrompt, Tool]] = {}
    for tool in tools:
        vertices = [vertex for vertex in tool.prepared.graph.vertices.values() if _is_prompt(vertex)]
        for vertex in vertices:
            own = clean_name(vertex.display_name)
            is_only = len(vertices) == 1 and own in ("prompt", "prompt_template")
            wanted = tool.name if is_only else clean_name(f"{tool.name} {own}", length=NAME_LENGTH)
            name = unique_name(wanted, found, length=NAME_LENGTH)
            fed = {edge.field for edge in tool.prepared.graph.incoming.get(vertex.id, ())}
            title = tool.title if vertex.display_name in ("Prompt", COMPONENT) else vertex.display_name
            prompt = FlowPrompt(
                key=f"{tool.flow_id}:{vertex.id}",
                name=name,
                title=title[:200],
                description=(vertex.description or f"The prompt {vertex.display_name} of the flow {tool.title}.")[:2_000],
                arguments=tuple(_arguments(vertex, fed)),
                vertex=vertex,
                flow_id=tool.flow_id,
            )
            found[name] = (prompt, tool)
    return list(found.values())


def _is_prompt(vertex: Vertex) -> bool:
    return vertex.component is not None and vertex.component.type == COMPONENT and bool(_stored_text(vertex, "template"))


def _arguments(vertex: Vertex, fed: set[str]) -> list[Argument]:
    """The template's variables in the order in which they stand in it. One that the flow feeds, or that has a value, may be left out."""
    fill = placeholders.fill_double if _plain(vertex, "use_double_brackets") is True else placeholders.fill
    names: dict[str, None] = {}

    def note(name: str) -> str:
        names.setdefault(name)
        return ""

    fill(_stored_text(vertex, "template"), note)
    made = []
    for name in names:
        if name in _OWN_FIELDS or _UNNAMEABLE.search(name):
            continue
        field = vertex.fields.get(name)
        made.append(
            Argument(
                name,
                ((field.info or "") if field is not None else "")[:1_000],
                is_required=name not in fed and not _stored_text(vertex, name),
                options=tuple(str(option) for option in field.options) if field is not None and field.options else (),
            )
        )
    return made


def _plain(vertex: Vertex, name: str) -> Any:
    field: Field | None = vertex.fields.get(name)
    return None if field is None else field.value


def _stored_text(vertex: Vertex, name: str) -> str:
    """A stored text; a secret or a variable's name is no text to show."""
    field = vertex.fields.get(name)
    if field is None or field.password or field.load_from_db or not isinstance(field.value, str):
        return ""
    return field.value


def _check_arguments(prompt: FlowPrompt | PluginPrompt, given: Mapping[str, str]) -> None:
    known = {argument.name for argument in prompt.arguments}
    takes = ", ".join(argument.name for argument in prompt.arguments) or "none"
    for name, value in given.items():
        if name not in known:
            raise _wrong(name, f"{prompt.name} has no such argument; it takes {takes}")
        if len(value) > MAX_ARGUMENT_LENGTH:
            raise _wrong(name, f"it has {len(value):,} characters; at most {MAX_ARGUMENT_LENGTH:,} are taken")
    missing = [argument.name for argument in prompt.arguments if argument.is_required and argument.name not in given]
    if missing:
        raise _wrong(missing[0], f"{prompt.name} needs {', '.join(missing)}")


def _wrong(name: str, message: str) -> HeadwaterError:
    return InvalidInput(f"Argument {name[:100]!r}: {message}.", problems=[FieldProblem(("arguments", name[:100]), message)])
