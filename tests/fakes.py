"""Stand-ins for what components ask of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from projects.engine.component import Component, ComponentError, SourceInfo, VertexInfo
from projects.engine.context import ChildFlow, ChildResult, KnowledgeBaseInfo
from projects.engine.questions import Answer
from projects.engine.values import Message, Row, Table
from projects.errors import InvalidInput, ModelMissing
from projects.models.chat import ChatMessage, ChatOptions, EmbeddingModel, ModelChoice, Reply, TextChunk, ToolSpec
from projects.outgoing.guard import Guard
from projects.outgoing.tool_servers import ToolServers

_NO_OPTIONS = ChatOptions()


@dataclass
class FakeChatModel:
    """Answers from a script, one item a call: a text, a `Reply`, or an exception to raise. `asked` is what it was asked."""

    script: list[str | Reply | Exception] = field(default_factory=list)
    name: str = "fake-model"
    provider: str = "Fake"
    asked: list[list[ChatMessage]] = field(default_factory=list)
    offered: list[list[ToolSpec]] = field(default_factory=list)
    options: list[ChatOptions] = field(default_factory=list)

    async def reply(self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NO_OPTIONS) -> Reply:
        self.asked.append(list(messages))
        self.offered.append(list(tools))
        self.options.append(options)
        if not self.script:
            raise AssertionError("The fake model was asked more often than its script knows.")
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Reply(answer, model=self.name) if isinstance(answer, str) else answer

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NO_OPTIONS
    ) -> AsyncIterator[TextChunk | Reply]:
        """The answer word by word, then whole."""
        answer = await self.reply(messages, tools=tools, options=options)
        for piece in answer.text.split(" ") if answer.text else ():
            yield TextChunk(piece if answer.text.startswith(piece) else " " + piece)
        yield answer


@dataclass
class FakeEmbeddingModel:
    """Counts letters: equal texts are near, and it needs no network."""

    name: str = "fake-embedding"
    length: int = 8
    asked: list[list[str]] = field(default_factory=list)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked.append(list(texts))
        return [[float(sum(ord(letter) % self.length == place for letter in text)) for place in range(self.length)] for text in texts]


@dataclass
class FakeModels:
    """A run's way to models. `chat` None: there is none."""

    chat: FakeChatModel | None = None
    embedding: FakeEmbeddingModel = field(default_factory=FakeEmbeddingModel)
    choices: list[ModelChoice] = field(default_factory=list)

    async def chat_model(self, choice: ModelChoice) -> FakeChatModel:
        self.choices.append(choice)
        if self.chat is None:
            raise ModelMissing("No model is set.")
        return self.chat

    async def embedding_model(self, choice: ModelChoice) -> FakeEmbeddingModel:
        self.choices.append(choice)
        return self.embedding


@dataclass
class FakeFlows:
    """Other flows of the owner: what they are, and what a run of each answers."""

    flows: list[ChildFlow] = field(default_factory=list)
    results: dict[str, ChildResult] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)

    async def find_flow(self, flow_id_or_name: str) -> ChildFlow | None:
        return next((flow for flow in self.flows if flow_id_or_name in (flow.id, flow.name)), None)

    async def list_flows(self) -> list[ChildFlow]:
        return list(self.flows)

    async def run_flow(
        self, flow_id: str, *, input_value: str | None, values: Mapping[tuple[str, str], Any], session_id: str
    ) -> ChildResult:
        self.runs.append({"flow_id": flow_id, "input_value": input_value, "values": dict(values), "session_id": session_id})
        return self.results.get(flow_id, ChildResult())


@dataclass
class FakeFiles:
    """Files in a dictionary, path → content."""

    contents: dict[str, bytes] = field(default_factory=dict)

    async def read(self, path: str, *, limit_bytes: int | None = None) -> bytes:
        if path not in self.contents:
            raise ComponentError(f"There is no file {path!r}.")
        content = self.contents[path]
        return content if limit_bytes is None else content[:limit_bytes]

    async def list_paths(self) -> list[str]:
        return list(self.contents)

    async def save(self, name: str, content: bytes) -> str:
        self.contents[name] = content
        return name


@dataclass
class FakeKnowledge:
    """Knowledge bases in a dictionary; a search finds rows that share a word with the query, in order."""

    bases: dict[str, list[Row]] = field(default_factory=dict)

    async def list_bases(self) -> list[str]:
        return list(self.bases)

    async def describe(self, base: str) -> KnowledgeBaseInfo | None:
        return KnowledgeBaseInfo(base, len(self.bases[base]), self.embeddings.get(base)) if base in self.bases else None

    async def add(
        self,
        base: str,
        rows: Sequence[Row],
        *,
        vectors: Sequence[Sequence[float]] | None,
        embedding: str | None = None,
        allow_duplicates: bool = False,
    ) -> int:
        if "/" in base or ".." in base:
            raise InvalidInput(f"{base!r} is no name for a knowledge base.")
        known = self.bases.setdefault(base, [])
        if vectors is not None:
            self.embeddings[base] = embedding
        texts = set() if allow_duplicates else {row["text"] for row in known}
        new = [dict(row) for row in rows if row["text"] not in texts]
        known.extend(new)
        return len(new)

    embeddings: dict[str, str | None] = field(default_factory=dict)  # base → the model that made its vectors
    vectors_asked: list[Sequence[float] | None] = field(default_factory=list)
    embeddings_asked: list[EmbeddingModel | None] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)  # what `search_messages` finds, for any words

    async def search_messages(
        self, query: str, *, session_id: str | None, limit: int, embedding: EmbeddingModel | None = None
    ) -> list[Row]:
        self.embeddings_asked.append(embedding)
        return [row for row in self.messages if session_id in (None, row.get("session_id"))][:limit]

    async def search(
        self,
        base: str,
        query: str,
        *,
        vector: Sequence[float] | None,
        limit: int,
        metadata_filter: Mapping[str, Any] | None = None,
        with_vectors: bool = False,
    ) -> list[Row]:
        self.vectors_asked.append(vector)
        words = set(query.lower().split())
        scored = [(len(words & set(str(row["text"]).lower().split())), row) for row in self.bases.get(base, ())]
        return [
            {**row, "score": float(score)}
            for score, row in sorted(scored, key=lambda pair: -pair[0])
            if (score or not words) and all(row.get(key) == value for key, value in (metadata_filter or {}).items())
        ][:limit]


@dataclass
class FakeRunContext:
    """A run that lives in memory and remembers what it was told: messages kept and announced, tokens.

    `transport` is what `http_client` speaks to, an `httpx.MockTransport` for example; without one a call fails.
    """

    run_id: str = "00000000-0000-7000-8000-000000000001"
    flow_id: str = "00000000-0000-7000-8000-000000000002"
    flow_name: str = "A flow"
    owner_id: str = "00000000-0000-7000-8000-000000000003"
    session_id: str = "the-run-session"
    state: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    memories: dict[str, Any] = field(default_factory=dict)
    kept: list[Message] = field(default_factory=list)
    history: list[Message] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    announced: list[Message] = field(default_factory=list)  # as they were when they were announced
    tokens: list[tuple[str, str]] = field(default_factory=list)  # message id, chunk
    is_followed_live: bool = False
    depth: int = 1
    models: FakeModels = field(default_factory=FakeModels)
    flows: FakeFlows = field(default_factory=FakeFlows)
    files: FakeFiles = field(default_factory=FakeFiles)
    knowledge: FakeKnowledge = field(default_factory=FakeKnowledge)
    databases: dict[str, Table] = field(default_factory=dict)  # address → what any query there gives
    queries: list[tuple[str, str]] = field(default_factory=list)
    transport: httpx.AsyncBaseTransport | None = None
    tool_servers: ToolServers = field(default_factory=lambda: ToolServers(Guard()))

    async def keep_message(self, message: Message) -> Message:
        message.id = message.id or f"message-{len(self.kept) + 1}"
        message.flow_id = self.flow_id
        message.run_id = self.run_id
        self.kept.append(message)
        return message

    async def announce_message(self, message: Message) -> Message:
        message.id = message.id or f"announced-{len(self.announced) + 1}"
        message.flow_id = self.flow_id
        message.run_id = self.run_id
        self.announced.append(message.copy())
        return message

    async def stream_token(self, message_id: str, chunk: str) -> None:
        self.tokens.append((message_id, chunk))

    async def query_database(self, url: str, query: str) -> Table:
        self.queries.append((url, query))
        if url not in self.databases:
            raise InvalidInput("This database is not among those that the operator allowed.")
        return self.databases[url]

    @asynccontextmanager
    async def http_client(self, *, timeout_seconds: float = 30, follow_redirects: bool = True) -> AsyncIterator[httpx.AsyncClient]:
        if self.transport is None:
            raise AssertionError("This run has nothing to speak to: give it a transport.")
        async with httpx.AsyncClient(transport=self.transport, timeout=timeout_seconds, follow_redirects=follow_redirects) as client:
            yield client

    async def read_messages(self, *, session_id: str, limit: int, context_id: str = "", newest_first: bool = False) -> list[Message]:
        found = [message for message in self.history if message.session_id == session_id and message.context_id == context_id]
        chosen = found[-limit:] if limit else []
        return chosen[::-1] if newest_first else chosen

    async def resolve_variable(self, name: str, *, is_secret: bool) -> str | None:
        return self.variables.get(name)

    async def list_variable_names(self) -> list[str]:
        return sorted(self.variables)


def build(
    component: type[Component],
    *,
    context: FakeRunContext | None = None,
    fed_by: Mapping[str, tuple[SourceInfo, ...]] | None = None,
    vertex_id: str = "",
    **inputs: Any,
) -> Component:
    """An instance as the runner makes it: declared defaults below the given inputs."""
    values = {declared.name: declared.default for declared in component.declared_inputs} | inputs
    vertex = VertexInfo(
        id=vertex_id or f"{component.type}-test1", type=component.type, display_name=component.display_name, fed_by=fed_by or {}
    )
    return component(vertex=vertex, inputs=values, context=context or FakeRunContext())


async def output_of(instance: Component, name: str | None = None) -> Any:
    """The value of one output (the first when no name is given), computed as the runner does."""
    await instance.before_outputs()
    declared = instance.declared_outputs[0] if name is None else next(out for out in instance.declared_outputs if out.name == name)
    return await getattr(instance, declared.method)()
