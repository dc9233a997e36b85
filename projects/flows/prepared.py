"""Flows ready to run: compiled once for each version, looked up again only when the catalogue has changed."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from projects.components.registry import ComponentRegistry
from projects.custom_code.policy import CustomCodePolicy
from projects.engine.graph import Graph
from projects.errors import InvalidInput, NotFound
from projects.flows import document
from projects.flows.import_report import ImportReport
from projects.flows.library import Flow, FlowLibrary
from projects.unit_of_work import catalogue_version
from storage.database import Database

logger = logging.getLogger(__name__)

COMPILED_LIMIT = 2_000
RESOLVED_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class PreparedFlow:
    """A flow (without its document's text) and the graph compiled from it."""

    flow: Flow
    graph: Graph
    report: ImportReport


class FlowCache:
    """Bounded by number of flows; the oldest go first.

    A change is seen by the next call: every look-up asks for the catalogue's version.
    """

    def __init__(self, database: Database, library: FlowLibrary, registry: ComponentRegistry) -> None:
        self._database = database
        self._library = library
        self._registry = registry
        self._version = -1
        self._resolved: OrderedDict[tuple[str, str], PreparedFlow] = OrderedDict()
        self._found: OrderedDict[tuple[str, str], PreparedFlow | None] = OrderedDict()  # by display name, or by what there is not
        self._compiled: OrderedDict[tuple[str, int], tuple[Graph, ImportReport]] = OrderedDict()

    async def resolve(self, owner_id: str, flow_id_or_name: str) -> PreparedFlow:
        """The owner's flow by id or endpoint name. Raises NotFound."""
        version = await catalogue_version(self._database)
        if version != self._version:
            await self._registry.custom_code.refresh()
            self._resolved.clear()
            self._found.clear()
            self._version = version
        key = (owner_id, flow_id_or_name)
        found = self._resolved.get(key)
        if found is None:
            flow = await self._library.resolve_owned(owner_id, flow_id_or_name, with_document=False)
            found = await self.prepare(flow)
            if version == self._version:
                self._resolved[key] = found
                if len(self._resolved) > RESOLVED_LIMIT:
                    self._resolved.popitem(last=False)
        return found

    async def find(self, owner_id: str, flow_id_or_name: str) -> PreparedFlow | None:
        """The owner's flow by id, endpoint name or display name; None if there is none. Kept too: flows ask for each other by name."""
        key = (owner_id, flow_id_or_name)
        if await catalogue_version(self._database) == self._version and key in self._found:
            return self._found[key]
        try:
            found: PreparedFlow | None = await self.resolve(owner_id, flow_id_or_name)
        except NotFound:
            version = self._version
            flow = await self._library.find_owned_by_name(owner_id, flow_id_or_name)
            found = None if flow is None else await self.prepare(flow)
            if version == self._version:
                self._found[key] = found
                if len(self._found) > RESOLVED_LIMIT:
                    self._found.popitem(last=False)
        return found

    async def list_headers(self, owner_id: str) -> list[Flow]:
        """The owner's flows without their documents."""
        return await self._library.list_owned(owner_id)

    async def prepare(self, flow: Flow) -> PreparedFlow:
        """The flow with its graph, compiled now if this version never was, or if its code is allowed or refused since."""
        await self._registry.custom_code.refresh()
        compiled = self._compiled.get((flow.id, flow.version))
        if compiled is None or not decided_alike(compiled[1], self._registry.custom_code):
            compiled = await self._compile(flow)
        return PreparedFlow(flow, *compiled)

    async def prepare_all(self, flows: Sequence[Flow]) -> list[PreparedFlow]:
        """Those of the flows whose documents can be read; a document that cannot be read is logged and left out."""
        prepared = []
        for flow in flows:
            try:
                prepared.append(await self.prepare(flow))
            except InvalidInput as error:
                logger.warning("Flow %s cannot be read: %s", flow.id, error.message)
        return prepared

    async def _compile(self, flow: Flow) -> tuple[Graph, ImportReport]:
        text = flow.document if flow.document is not None else await self._library.read_document(flow.owner_id, flow.id)
        compiled = await document.read_and_compile(text if text is not None else '{"nodes": [], "edges": []}', self._registry)
        made = (compiled.graph, compiled.report)
        self._compiled[flow.id, flow.version] = made
        if len(self._compiled) > COMPILED_LIMIT:
            self._compiled.popitem(last=False)
        return made


def decided_alike(report: ImportReport, policy: CustomCodePolicy) -> bool:
    """Whether each author's code of a compiled flow still may run, or still may not."""
    return all(policy.allows(hash) is allowed for hash, allowed in report.code_allowed.items())
