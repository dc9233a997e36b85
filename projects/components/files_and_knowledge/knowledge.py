"""Knowledge: fills a named base with rows, or finds the rows that fit a query."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from projects.components.conversion import plain_text, read_json, records_of
from projects.components.processing.transformations import chunks
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Row, Table
from projects.errors import InvalidInput, ModelMissing, PackageMissing
from projects.models.chat import EmbeddingModel, ModelChoice

EMBEDDED_AT_ONCE = 128

T = TypeVar("T")
INGEST, RETRIEVE = "Ingest", "Retrieve"

_INPUTS = (
    Input("mode", InputKind.STRING, "Mode", "Fill the base, or search it.", default=INGEST, options=(INGEST, RETRIEVE), field_type="tab"),
    Input("knowledge_base", InputKind.STRING, "Knowledge", "The base's name; empty: the only one there is."),
    Input(
        "input_df",
        InputKind.HANDLE,
        "Input",
        "The rows to add.",
        types=("Data", "JSON", "DataFrame", "Table", "Message"),
        is_list=True,
        field_type="other",
    ),
    Input(
        "column_config",
        InputKind.ROWS,
        "Column Configuration",
        "Which columns are searched (vectorize); the others are kept beside them.",
        default=[{"column_name": "text", "vectorize": True, "identifier": True}],
        is_list=True,
        advanced=True,
        field_type="table",
    ),
    Input("chunk_size", InputKind.INTEGER, "Chunk Size", "Longer texts are split.", default=1000, advanced=True, field_type="int"),
    Input("allow_duplicates", InputKind.BOOLEAN, "Allow Duplicates", default=False, advanced=True, field_type="bool"),
    Input("metadata_json", InputKind.STRING, "Metadata", "A JSON object that each row gets.", advanced=True),
    Input("api_key", InputKind.STRING, "Embedding Provider API Key", "Empty: the server's.", advanced=True, password=True),
    Input("search_query", display_name="Search Query", info="What to look for.", tool_mode=True),
    Input("top_k", InputKind.INTEGER, "Top K Results", "How many rows to give.", default=5, advanced=True, field_type="int"),
    Input("metadata_filter", display_name="Metadata Filter", info="A JSON object; only rows with these values.", advanced=True),
    Input("include_metadata", InputKind.BOOLEAN, "Include Metadata", default=True, advanced=True, field_type="bool"),
    Input("include_embeddings", InputKind.BOOLEAN, "Include Embeddings", default=False, advanced=True, field_type="bool"),
)
_INFO = Output("dataframe_output", "build_kb_info", ("Data", "JSON"), "Results", tool_mode=False)
_RESULTS = Output("retrieve_data", "retrieve_data", ("DataFrame", "Table"), "Results")


class Knowledge(Component):
    """With an embedding model (the node's key or the server's) a base gets vectors and is searched by them; without one, by words.

    Vectors of two models are never mixed: a base stays with the model that filled it.
    """

    type = "Knowledge"
    display_name = "Knowledge"
    description = "Fills a knowledge base, or finds what fits a query."
    category = "files_and_knowledge"
    icon = "library"
    aliases: ClassVar[tuple[str, ...]] = ("KnowledgeComponent",)
    reads_world = True
    writes_world = True
    only_adds = True
    declared_inputs = _INPUTS
    declared_outputs: ClassVar[tuple[Output, ...]] = (_INFO, _RESULTS)

    async def build_kb_info(self) -> Data:
        """Add the rows; how many there were, were added and are there now."""
        return await self._named(self._ingest())

    async def retrieve_data(self) -> Table:
        """The best rows: `content`, their metadata, and `_score`."""
        return await self._named(self._retrieve())

    async def _named(self, work: Awaitable[T]) -> T:
        """A refusal of what the fields name says which node has them."""
        try:
            return await work
        except InvalidInput as error:
            if type(error) is not InvalidInput:
                raise
            raise InvalidInput(f"{self.vertex.display_name or self.display_name} ({self.vertex.id}): {error.message}") from error

    async def _ingest(self) -> Data:
        name = await self._base(must_exist=False)
        rows = self._rows()
        known = await self.context.knowledge.describe(name)
        model = None if known is not None and known.row_count and known.embedding is None else await self._embedding_model()
        vectors = None if model is None else await self._vectors(model, [row["text"] for row in rows])
        added = await self.context.knowledge.add(
            name,
            rows,
            vectors=vectors,
            embedding=None if model is None else model.name,
            allow_duplicates=bool(self.inputs.get("allow_duplicates")),
        )
        info = await self.context.knowledge.describe(name)
        total = added if info is None else info.row_count
        return Data(
            data={"kb_name": name, "rows": len(rows), "added": added, "total": total, "embedding": None if model is None else model.name}
        )

    async def _retrieve(self) -> Table:
        name = await self._base(must_exist=True)
        query = plain_text(self.inputs.get("search_query")).strip()
        if not query:
            raise ComponentError("There is nothing to search for: the search query is empty.")
        wanted = _json_object(self.inputs.get("metadata_filter"), "The metadata filter")
        found = await self.context.knowledge.search(
            name,
            query,
            vector=await self._query_vector(name, query),
            limit=_whole(self.inputs.get("top_k"), 5),
            metadata_filter=wanted or None,
            with_vectors=bool(self.inputs.get("include_embeddings")),
        )
        with_metadata = bool(self.inputs.get("include_metadata", True))
        rows = [_shown(row, with_metadata=with_metadata) for row in found]
        return Table(rows=rows, columns=[] if rows else ["content"])

    async def _query_vector(self, name: str, query: str) -> Sequence[float] | None:
        """None where the base is searched by words: it has no vectors, or there is no such model now."""
        info = await self.context.knowledge.describe(name)
        if info is None or info.embedding is None:
            return None
        model = await self._embedding_model()
        if model is None or model.name != info.embedding:
            have = "there is none" if model is None else f"this is {model.name}"
            self.log(f"Searched by words: the base was filled with the embedding model {info.embedding}, and {have}.")
            return None
        (vector,) = await model.embed([query])
        return vector

    async def _embedding_model(self) -> EmbeddingModel | None:
        choice = ModelChoice(
            api_key=plain_text(self.inputs.get("api_key")).strip(),
            node=f"{self.vertex.display_name or self.display_name} ({self.vertex.id})",
        )
        try:
            return await self.context.models.embedding_model(choice)
        except (ModelMissing, PackageMissing) as error:
            if choice.api_key:
                raise
            self.log(f"Without an embedding model, so by words: {error}")
            return None

    async def _vectors(self, model: EmbeddingModel, texts: Sequence[str]) -> list[list[float]]:
        vectors: list[list[float]] = []
        for start in range(0, len(texts), EMBEDDED_AT_ONCE):
            vectors.extend(await model.embed(texts[start : start + EMBEDDED_AT_ONCE]))
        return vectors

    async def _base(self, *, must_exist: bool) -> str:
        name = plain_text(self.inputs.get("knowledge_base"))
        if name or not must_exist:
            if not name:
                raise ComponentError("Name the knowledge base to fill.")
            return name
        bases = await self.context.knowledge.list_bases()
        if len(bases) == 1:
            return bases[0]
        if not bases:
            raise ComponentError("There is no knowledge base yet: run a flow with a Knowledge node in mode Ingest first.")
        raise ComponentError(f"Choose the knowledge base to search: {', '.join(bases[:20])}.")

    def _rows(self) -> list[Row]:
        """Rows with the searched columns as their text, split where it is long."""
        value = self.inputs.get("input_df")
        records = records_of(value if isinstance(value, list) else [value] if value is not None and value != "" else [])
        if not records:
            raise ComponentError("There is nothing to add: connect a table, records or a message.")
        config = [row for row in self.inputs.get("column_config") or () if isinstance(row, Mapping) and row.get("column_name")]
        searched = [str(row["column_name"]) for row in config if row.get("vectorize") in (True, "true", "True")] or ["text"]
        further = _json_object(self.inputs.get("metadata_json"), "The metadata")
        size = _whole(self.inputs.get("chunk_size"), 1000)
        rows: list[Row] = []
        for record in records:
            used = [name for name in searched if record.get(name) not in (None, "")]
            if not used and "text" in record:
                used = ["text"]
            text = "\n".join(plain_text(record[name]) for name in used)
            details = {name: item for name, item in record.items() if name not in used} | further
            rows.extend({**details, "text": chunk} for chunk in _split(text, size))
        if not rows:
            raise ComponentError(f"The rows have nothing in the columns to search: {', '.join(searched)}.")
        return rows


class KnowledgeIngestion(Knowledge):
    """The filling half alone."""

    type = "KnowledgeIngestion"
    display_name = "Knowledge Ingestion"
    description = "Fills a knowledge base."
    aliases = ("KBIngestion", "KnowledgeIngestionComponent")
    legacy = True
    reads_world = False
    declared_outputs = (_INFO,)


class KnowledgeBase(Knowledge):
    """The searching half alone."""

    type = "KnowledgeBase"
    display_name = "Knowledge Base"
    description = "Finds what fits a query."
    aliases = ("KnowledgeRetrieval", "KBRetrieval", "KnowledgeBaseComponent", "KnowledgeRetrievalComponent")
    legacy = True
    writes_world = False
    declared_outputs = (_RESULTS,)


def _split(text: str, size: int) -> list[str]:
    """At line breaks, then at blanks, and where there is neither in the middle."""
    if len(text) <= size:
        return [text] if text.strip() else []
    found: list[str] = []
    for chunk in chunks.split(text, separator="\n", chunk_size=size, overlap=0):
        pieces = [chunk] if len(chunk) <= size else chunks.split(chunk, separator=" ", chunk_size=size, overlap=0)
        for piece in pieces:
            found.extend(piece[start : start + size] for start in range(0, len(piece), size))
    return [chunk for chunk in found if chunk.strip()]


def _shown(row: Row, *, with_metadata: bool) -> Row:
    shown: Row = {"content": row["text"]}
    if with_metadata:
        shown |= {name: value for name, value in row.items() if name not in ("text", "score", "content", "_embeddings")}
    if "_embeddings" in row:
        shown["_embeddings"] = row["_embeddings"]
    return shown | {"_score": row["score"]}


def _json_object(value: Any, shown: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    text = plain_text(value).strip()
    if not text:
        return {}
    try:
        read = read_json(text)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise ComponentError(f'{shown} must be a JSON object such as {{"source": "manual"}}.')
    return read


def _whole(value: Any, default: int) -> int:
    number = default if value is None or value == "" else int(value)
    if number < 1:
        raise ComponentError(f"A number of at least 1 is expected, got {number}.")
    return number
