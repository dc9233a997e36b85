"""Resources, resource templates and prompts that a plugin package brings by code; every MCP server of the process shows them.

A plugin names a `PluginContent` (or a list of them) in the entry-point group `headwater.mcp`, for example in its pyproject.toml
`[project.entry-points."headwater.mcp"]`, `handbook = "my_package:CONTENT"`, with `CONTENT = PluginContent(resources=(…), prompts=(…))`.
Functions given here may be plain or async. They see no caller: what they show is shown to everybody who may use any project.
"""

import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Literal, TypeVar
from urllib.parse import unquote

from projects.engine.questions import Question

logger = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "headwater.mcp"
OWN_SCHEME = "headwater://"
MAX_URI_LENGTH = 2_000

T = TypeVar("T")

Suggest = Callable[[str], Sequence[str] | Awaitable[Sequence[str]]]
"""What was typed so far → values that go on from it, best first."""


@dataclass(frozen=True, slots=True)
class PluginResource:
    """`read` gives text or bytes. `uri` may have any scheme but `headwater://`."""

    uri: str
    name: str
    read: Callable[[], str | bytes | Awaitable[str | bytes]]
    media_type: str = "text/plain"
    title: str = ""
    description: str = ""
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class PluginTemplate:
    """`uri_template` has `{name}` for each variable, which stands for one path segment; `read` gets them by name, unquoted.

    It may give None: there is no such resource.
    """

    uri_template: str
    name: str
    read: Callable[[Mapping[str, str]], str | bytes | Awaitable[str | bytes | None] | None]
    media_type: str = "text/plain"
    title: str = ""
    description: str = ""
    suggest: Mapping[str, Suggest] = field(default_factory=dict)

    def match(self, uri: str) -> dict[str, str] | None:
        """The variables of a URI of this template; None when it is none."""
        if len(uri) > MAX_URI_LENGTH or (found := _pattern(self.uri_template).fullmatch(uri)) is None:
            return None
        return {name: unquote(value) for name, value in zip(variables_of(self.uri_template), found.groups(), strict=True)}


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class MediaPart:
    """An image or a sound; which of them says the media type."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class EmbeddedPart:
    """A resource's content inside a prompt."""

    uri: str
    content: str | bytes
    media_type: str = "text/plain"


PromptPart = TextPart | MediaPart | EmbeddedPart


@dataclass(frozen=True, slots=True)
class PromptMessage:
    part: PromptPart
    role: Literal["user", "assistant"] = "user"


@dataclass(frozen=True, slots=True)
class PromptArgument:
    """`suggest` completes what was typed."""

    name: str
    description: str = ""
    is_required: bool = False
    suggest: Suggest | None = None


@dataclass(frozen=True, slots=True)
class PluginPrompt:
    """`render` gets the arguments that were given, by name, all the required ones among them.

    `asks` are questions to the person at the client, each with a flat schema; what was accepted is among the arguments, as text.
    """

    name: str
    render: Callable[[Mapping[str, str]], Sequence[PromptMessage] | Awaitable[Sequence[PromptMessage]]]
    arguments: tuple[PromptArgument, ...] = ()
    asks: tuple[Question, ...] = ()
    title: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class PluginContent:
    """What one plugin brings, or all of them together."""

    resources: tuple[PluginResource, ...] = ()
    templates: tuple[PluginTemplate, ...] = ()
    prompts: tuple[PluginPrompt, ...] = ()


async def result_of(value: T | Awaitable[T]) -> T:
    """What a plugin's function gave, waited for when it is async."""
    return await value if inspect.isawaitable(value) else value


def variables_of(uri_template: str) -> list[str]:
    """The names between braces, in order."""
    return re.findall(r"\{([^{}]*)\}", uri_template)


def load_plugin_content() -> PluginContent:
    """Of all installed plugins, by name and URI in a fixed order. What is wrong or taken already is logged and left out."""
    resources: dict[str, PluginResource] = {}
    templates: dict[str, PluginTemplate] = {}
    prompts: dict[str, PluginPrompt] = {}
    for content in _installed():
        _add(resources, "resource", ((resource.uri, resource) for resource in content.resources))
        _add(templates, "template", ((template.uri_template, template) for template in content.templates))
        _add(prompts, "prompt", ((prompt.name, prompt) for prompt in content.prompts))
    return PluginContent(
        tuple(resources[uri] for uri in sorted(resources)),
        tuple(templates[uri] for uri in sorted(templates)),
        tuple(prompts[name] for name in sorted(prompts)),
    )


def _installed() -> Iterator[PluginContent]:
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda each: (each.name, each.value)):
        try:
            loaded: Any = entry_point.load()
            found = list(loaded) if isinstance(loaded, list | tuple) else [loaded]
            if wrong := [each for each in found if not isinstance(each, PluginContent)]:
                raise TypeError(f"{wrong[0]!r} is no projects.plugin_content.PluginContent.")
        except Exception:  # A broken plugin must not stop the server.
            logger.exception("The plugin %r (%s) could not be loaded.", entry_point.name, entry_point.value)
            continue
        yield from found


def _add(known: dict[str, T], kind: str, found: Iterator[tuple[str, T]]) -> None:
    for key, each in found:
        if key in known or key.startswith(OWN_SCHEME) or not 0 < len(key) <= MAX_URI_LENGTH:
            logger.error("The plugin %s %r is left out: it is taken, ours, empty or too long.", kind, key)
        else:
            known[key] = each


def _pattern(uri_template: str) -> re.Pattern[str]:
    """One bounded, possessive run of characters a variable, so that no URI takes long to compare."""
    parts = re.split(r"\{[^{}]*\}", uri_template)
    return re.compile("([^/?#]++)".join(re.escape(part) for part in parts)) if len(parts) > 1 else re.compile(re.escape(uri_template))
