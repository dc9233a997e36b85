"""The report on a flow for its owner: what its document says, and what it lacks among the owner's variables, files and models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from projects.access.caller import Caller
from projects.custom_code.policy import policy_of
from projects.errors import ModelMissing, PackageMissing, Unavailable
from projects.files import FileService
from projects.flows import document, readiness
from projects.flows.import_report import ImportReport, ProblemKind
from projects.flows.library import FlowLibrary
from projects.flows.readiness import Surroundings
from projects.models.choice import ways_to_get_one
from projects.run_resources import ModelSource, ResolveSecret
from projects.variables import VariableService

_EMPTY = '{"nodes": [], "edges": []}'


class ReportService:
    """`environment` is what flows may read of the process environment. `models` None: nothing is said about models."""

    def __init__(
        self,
        library: FlowLibrary,
        registry: document.ComponentSource,
        variables: VariableService,
        files: FileService,
        *,
        environment: Mapping[str, str],
        models: ModelSource | None = None,
    ) -> None:
        self._library = library
        self._registry = registry
        self._variables = variables
        self._files = files
        self._environment = environment
        self._models = models

    async def report(self, caller: Caller, flow_id: str) -> ImportReport:
        """What of the flow can run here, node by node, and what it still needs. Raises NotFound."""
        flow = await self._library.get(caller, flow_id)
        await policy_of(self._registry).refresh()
        compiled = await document.read_and_compile(flow.document or _EMPTY, self._registry)
        around = await self._surroundings(caller)
        report = compiled.report
        lacking = readiness.shortcomings(compiled.graph, around)
        # A variable that is missing is told once, as missing.
        missing = {(problem.node, problem.variable) for problem in lacking if problem.kind is ProblemKind.MISSING_VARIABLE}
        told = [
            problem
            for problem in report.problems
            if problem.kind is not ProblemKind.VARIABLE or (problem.node, problem.variable) not in missing
        ]
        return replace(report, problems=[*told, *lacking])

    async def _surroundings(self, caller: Caller) -> Surroundings:
        stored = await self._variables.resolve_values(caller.user_id)
        files = await self._files.list_files(caller)

        async def resolve(name: str) -> str | None:
            return stored.get(name) or self._environment.get(name)

        chat, no_chat = await self._first_way(resolve, embeddings=False)
        embedding, no_embedding = await self._first_way(resolve, embeddings=True)
        return Surroundings(
            variables={*stored, *self._environment},
            files={known for file in files for known in (file.path, file.id)},
            chat_model=chat,
            embedding_model=embedding,
            no_chat_model=no_chat,
            no_embedding_model=no_embedding,
        )

    async def _first_way(self, resolve: ResolveSecret, *, embeddings: bool) -> tuple[str | None, str]:
        """The default model, and what to say when there is none."""
        if self._models is None:
            return None, ""
        try:
            ways = await self._models.ways(resolve, embeddings=embeddings)
        except (ModelMissing, PackageMissing) as error:
            return "", error.message
        except Unavailable:
            return None, ""
        if ways:
            return f"{ways[0].provider}:{ways[0].model}", ""
        return "", f"Any one of these helps: {'; '.join(ways_to_get_one(embeddings=embeddings))}."
