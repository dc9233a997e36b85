"""Which flows people without a credential may run: those that need no code of their author, no secret, and nothing else of the owner's.

What is decided here keeps a flow out of a guest's tools and tells the owner why. The run itself is built so that it could not reach
these things either (`run_context.py`), whatever a flow asks for while it runs.
"""

from __future__ import annotations

from collections.abc import Mapping

from projects.engine.graph import Field, Graph, Vertex
from projects.errors import ModelMissing, PackageMissing, Unavailable
from projects.flows import readiness
from projects.flows.import_report import STOPS_A_RUN, NodeStatus, ProblemKind
from projects.flows.prepared import PreparedFlow
from projects.flows.secret_values import without_secrets
from projects.flows.variable_defaults import bind_defaults
from projects.run_resources import ModelSource, ResolveSecret
from projects.variables import VariableService

# By the class of the component or one that it is made from: what reaches further than the flow and the web.
_BEYOND_THE_FLOW: Mapping[str, str] = {
    "RunFlow": "runs other flows",
    "SubFlow": "runs other flows",
    "FlowTool": "runs other flows",
    "Knowledge": "uses a knowledge base",
    "MemoryBase": "searches the messages of other people",
    "MCPTools": "uses another MCP server",
    "FileSystem": "writes files",
    "SqlDatabase": "reads a database",
    "SaveToFile": "writes files",
    "CustomCodeComponent": "carries its author's code",
}


class GuestRules:
    """Asked once for each version of the catalogue and flow; the tool map keeps the answer."""

    def __init__(self, variables: VariableService, models: ModelSource | None) -> None:
        self._variables = variables
        self._models = models

    async def refusal(self, owner_id: str, prepared: PreparedFlow) -> str | None:
        """Why guests may not run this flow, for its owner; None when they may."""
        for node in prepared.report.nodes:
            if node.status in STOPS_A_RUN:
                what = "carries its author's code" if node.status is NodeStatus.CODE else "cannot run here"
                return f"Guests may not run it: {node.display_name or node.type} ({node.id}) {what}."
        secret_names = await self._variables.list_credential_names(owner_id)
        graph = bind_defaults(prepared.graph, await self._variables.list_defaults(owner_id), filled={})
        open_values = {name: value for name, value in (await self._variables.resolve_values(owner_id)).items() if name not in secret_names}
        for vertex in graph.vertices.values():
            if (reason := _beyond(vertex) or _secret(vertex, graph, open_values)) is not None:
                return f"Guests may not run it: {vertex.display_name} ({vertex.id}) {reason}."
        return await self._lacking(graph, open_values)

    async def _lacking(self, graph: Graph, open_values: Mapping[str, str]) -> str | None:
        """What the flow has not got as soon as its owner's and the operator's secrets are away."""

        async def resolve(name: str) -> str | None:
            return open_values.get(name)

        variables = frozenset(open_values)
        problems = readiness.shortcomings(graph, readiness.Surroundings(variables=variables, chat_model="", embedding_model=""))
        if any(problem.kind is ProblemKind.MISSING_MODEL for problem in problems):  # only now it matters which models there are
            chat, embedding = await self._first_way(resolve, embeddings=False), await self._first_way(resolve, embeddings=True)
            around = readiness.Surroundings(variables=variables, chat_model=chat, embedding_model=embedding)
            problems = readiness.shortcomings(graph, around)
        for problem in problems:
            if problem.kind is ProblemKind.MISSING_VARIABLE:
                return (
                    f"Guests may not run it: {problem.node} needs the variable {problem.variable!r}, which is no plain variable of yours."
                )
            if problem.kind is ProblemKind.MISSING_MODEL:
                return f"Guests may not run it: {problem.node} needs a model, and there is none that can be asked without your key."
        return None

    async def _first_way(self, resolve: ResolveSecret, *, embeddings: bool) -> str | None:
        if self._models is None:
            return None
        try:
            ways = await self._models.ways(resolve, embeddings=embeddings)
        except (ModelMissing, PackageMissing, Unavailable):
            return ""
        return f"{ways[0].provider}:{ways[0].model}" if ways else ""


def _beyond(vertex: Vertex) -> str | None:
    if vertex.component is None:
        return None
    names = (base.__name__ for base in vertex.component.__mro__)
    return next((_BEYOND_THE_FLOW[name] for name in names if name in _BEYOND_THE_FLOW), None)


def _secret(vertex: Vertex, graph: Graph, open_values: Mapping[str, str]) -> str | None:
    """Which field of the vertex holds a secret, or names one."""
    if vertex.component is None:
        return None
    fed = {edge.field for edge in graph.incoming.get(vertex.id, ()) if not edge.is_loop}
    declared = {item.name for item in vertex.component.declared_inputs if item.password}
    for name, item in vertex.fields.items():
        if item.value in (None, "", [], {}) or name in fed or not (item.show or item.override_skip):
            continue
        shown = item.display_name or name
        if item.load_from_db:
            if item.value not in open_values and not _falls_back(vertex, item):
                return f"takes {shown} from {item.value!r}, which is a credential or no variable of yours"
            continue
        if item.password or name in declared or _holds_secret(name, item):
            return f"holds a secret in {shown}"
    return None


def _falls_back(vertex: Vertex, item: Field) -> bool:
    return vertex.component is not None and any(each.falls_back and each.name == item.name for each in vertex.component.declared_inputs)


def _holds_secret(name: str, item: Field) -> bool:
    """By the rule for exports: what a downloaded flow would lose, a guest's run may not use."""
    template = {name: {"value": item.value, "type": item.type, "password": item.password}}
    cleaned = without_secrets({"nodes": [{"data": {"node": {"template": template}}}]})
    return bool(cleaned["nodes"][0]["data"]["node"]["template"][name]["value"] != item.value)
