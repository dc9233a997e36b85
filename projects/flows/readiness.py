"""What a flow lacks that its document alone does not show: stored variables, files, a model for the nodes that name none.

`projects/flow_reports.py` knows the surroundings of the flow's owner; here is only what follows from them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from projects.components.models_and_agents import model_fields
from projects.engine.graph import Field, Graph, Vertex
from projects.flows.import_report import Problem, ProblemKind
from projects.models.chat import ModelChoice
from projects.models.providers import find_provider

_FILE_FIELDS = ("path", "file_path", "file_path_str")  # of Read File; any of them will do


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the flow's owner has. None: not known, so nothing is said about it.

    A model is told as "provider:name"; empty text means that there is none, and `no_…` then names the ways to get one.
    """

    variables: Collection[str] | None = None  # stored, or in the environment that flows may read
    files: Collection[str] | None = None  # storage paths and ids
    chat_model: str | None = None
    embedding_model: str | None = None
    no_chat_model: str = ""
    no_embedding_model: str = ""


def shortcomings(graph: Graph, around: Surroundings) -> list[Problem]:
    """Vertex by vertex, in file order; only for those that can run."""
    problems: list[Problem] = []
    for vertex in graph.vertices.values():
        if vertex.component is not None:
            fed = {edge.field for edge in graph.incoming[vertex.id]}
            problems += _variables(vertex, fed, around)
            problems += _files(vertex, fed, around)
            problems += _model(vertex, fed, around)
    return problems


def named_provider(vertex: Vertex) -> str:
    """The provider that a node which asks a model names itself; empty when it leaves that to the server."""
    if not (_asks_model(vertex) or _embeds(vertex)):
        return ""
    return model_fields.model_choice(_values(vertex), provider=_own_provider(vertex)).provider


def _variables(vertex: Vertex, fed: set[str], around: Surroundings) -> Iterator[Problem]:
    if around.variables is None:
        return
    declared = () if vertex.component is None else vertex.component.declared_inputs
    falling_back = {item.name for item in declared if item.falls_back}
    for item in vertex.fields.values():
        name = str(item.value)
        if not (item.load_from_db and item.value and _is_read(item)) or item.name in fed or name in around.variables:
            continue
        if item.name in falling_back:
            continue  # a missing key is told with the model it is for
        message = (
            f"{_shown(vertex)} needs the variable {name!r} for {item.display_name or item.name}, and there is none of that name. "
            f"Store it, or send it with a run as header X-LANGFLOW-GLOBAL-VAR-{name.upper()}."
        )
        yield Problem(ProblemKind.MISSING_VARIABLE, message, vertex.id, variable=name)


def _files(vertex: Vertex, fed: set[str], around: Surroundings) -> Iterator[Problem]:
    if around.files is None:
        return
    if vertex.type == "File" and not vertex.tool_mode and fed.isdisjoint(_FILE_FIELDS):
        values = _values(vertex)
        if not any(values.get(name) for name in _FILE_FIELDS):
            yield Problem(ProblemKind.MISSING_FILE, f"{_shown(vertex)} has no file yet. Upload one, and choose it in the node.", vertex.id)
    for item in vertex.fields.values():
        if item.type != "file" or item.name in fed or not _is_read(item):
            continue
        paths = item.value if isinstance(item.value, list) else [item.value]
        for path in paths:
            if isinstance(path, str) and path and path not in around.files:
                message = f"{_shown(vertex)} reads the file {path!r}, which is not there. Upload it, and choose it in the node."
                yield Problem(ProblemKind.MISSING_FILE, message, vertex.id)


def _model(vertex: Vertex, fed: set[str], around: Surroundings) -> Iterator[Problem]:
    embeds = _embeds(vertex)
    if not (_asks_model(vertex) or embeds) or not fed.isdisjoint(model_fields.HANDLES):
        return
    default, kind = (around.embedding_model, "embedding model") if embeds else (around.chat_model, "model")
    values, shown = _values(vertex), _shown(vertex)
    choice = model_fields.model_choice(values, provider=_own_provider(vertex))
    if model_fields.waits_for_connection(values):
        message = f"{shown} waits for a connected model, and none is connected. Connect or choose one."
        yield Problem(ProblemKind.MISSING_MODEL, message, vertex.id)
    elif choice.provider:
        if (key := _missing_key(vertex, choice, around, default or "")) is not None:
            message = f"{shown} asks a model of {choice.provider}, and there is no key. Fill in its API key, or store the variable {key}."
            yield Problem(ProblemKind.MISSING_MODEL, message, vertex.id)
    elif choice.model or choice.base_url:
        return
    elif default:
        yield Problem(ProblemKind.MODEL, f"{shown} names no {kind}; it uses {default}.", vertex.id)
    elif default is not None:
        ways = around.no_embedding_model if embeds else around.no_chat_model
        yield Problem(ProblemKind.MISSING_MODEL, f"{shown} names no {kind}, and there is none to take. {ways}".rstrip(), vertex.id)


def _missing_key(vertex: Vertex, choice: ModelChoice, around: Surroundings, default: str) -> str | None:
    """The variable that would hold the key of the provider a node names, when there is none anywhere."""
    provider = find_provider(choice.provider)
    if provider is None or not provider.needs_key or choice.api_key or choice.base_url or around.variables is None:
        return None
    own = {str(item.value) for item in vertex.fields.values() if item.password and item.load_from_db and item.value}
    is_default = default.startswith(f"{provider.name}:")  # the operator's address may need no key
    if is_default or any(key in around.variables for key in (*own, *provider.keys)):
        return None
    return next(iter(own), provider.keys[0])


def _asks_model(vertex: Vertex) -> bool:
    """Whether its component takes a chat model: from an edge, from its own fields, or by its type."""
    if vertex.component is None or _embeds(vertex):
        return False
    named = any(item.name in model_fields.HANDLES and "LanguageModel" in item.types for item in vertex.component.declared_inputs)
    return named or bool(_own_provider(vertex))


def _embeds(vertex: Vertex) -> bool:
    return vertex.component is not None and any("Embeddings" in item.types for item in vertex.component.declared_outputs)


def _own_provider(vertex: Vertex) -> str:
    """What the type says of an older node that is made for one provider."""
    provider = getattr(vertex.component, "own_provider", "")
    return provider if isinstance(provider, str) else ""


def _values(vertex: Vertex) -> dict[str, Any]:
    return {name: item.value for name, item in vertex.fields.items() if _is_read(item) and not item.load_from_db}


def _is_read(item: Field) -> bool:
    """Hidden fields keep the component's own default."""
    return item.show or item.override_skip


def _shown(vertex: Vertex) -> str:
    return f"{vertex.display_name} ({vertex.id})"
