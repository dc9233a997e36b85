"""Memory Base: what was said in earlier runs of this flow, found again by a query."""

from __future__ import annotations

from projects.components.conversion import plain_text
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Row, Table
from projects.errors import ModelMissing, PackageMissing
from projects.models.chat import EmbeddingModel, ModelChoice


class MemoryBase(Component):
    """Searches the flow's own messages: they are the memory, so nothing has to be filled.

    By meaning where the server has an embedding model, else by words. A `memory_base` that names a knowledge base of the owner's
    searches that one instead, by vectors if this model filled it.
    """

    type = "MemoryBase"
    display_name = "Memory Base"
    description = "Finds earlier messages of this flow by a query."
    category = "files_and_knowledge"
    icon = "brain"
    aliases = ("MemoryBaseComponent",)
    reads_world = True
    stays_home = True
    declared_inputs = (
        Input("memory_base", InputKind.STRING, "Memory Base", "Empty: the messages of this flow. Else a knowledge base's name."),
        Input("search_query", display_name="Search Query", info="What to look for.", tool_mode=True),
        Input("top_k", InputKind.INTEGER, "Top K Results", "How many to give.", default=5, advanced=True, field_type="int"),
        Input(
            "filter_by_session",
            InputKind.BOOLEAN,
            "Filter by Session",
            "Only what was said in this session.",
            default=True,
            advanced=True,
            field_type="bool",
        ),
        Input("include_metadata", InputKind.BOOLEAN, "Include Metadata", default=True, advanced=True, field_type="bool"),
    )
    declared_outputs = (Output("retrieve_data", "retrieve_memory", ("DataFrame", "Table"), "Results"),)

    async def retrieve_memory(self) -> Table:
        query = plain_text(self.inputs.get("search_query")).strip()
        if not query:
            raise ComponentError("There is nothing to search for: the search query is empty.")
        given = self.inputs.get("top_k")
        limit = 5 if given is None or given == "" else max(1, int(given))
        found = await self._found(query, limit)
        if self.inputs.get("include_metadata", True):
            rows = [
                {"content": row["text"], **{name: item for name, item in row.items() if name not in ("text", "score")}} for row in found
            ]
        else:
            rows = [{"content": row["text"]} for row in found]
        rows = [{**row, "_score": each["score"]} for row, each in zip(rows, found, strict=True)]
        return Table(rows=rows, columns=[] if rows else ["content"])

    async def retrieve_data(self) -> Table:
        return await self.retrieve_memory()

    async def _found(self, query: str, limit: int) -> list[Row]:
        name = plain_text(self.inputs.get("memory_base"))
        model = await self._embedding_model()
        if name and name in await self.context.knowledge.list_bases():
            info = await self.context.knowledge.describe(name)
            is_same = model is not None and info is not None and info.embedding == model.name
            vector = (await model.embed([query]))[0] if model is not None and is_same else None
            return await self.context.knowledge.search(name, query, vector=vector, limit=limit)
        session_id = self.context.session_id if self.inputs.get("filter_by_session", True) else None
        return await self.context.knowledge.search_messages(query, session_id=session_id, limit=limit, embedding=model)

    async def _embedding_model(self) -> EmbeddingModel | None:
        try:
            return await self.context.models.embedding_model(ModelChoice(node=f"{self.vertex.display_name} ({self.vertex.id})"))
        except (ModelMissing, PackageMissing) as error:
            self.log(f"Searched by words: {error}")
            return None
