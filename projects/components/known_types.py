"""Types we know of and do not run: why, and what to use instead. The import report and refused runs quote these.

The registry is asked first: a type that gains a component, ours or a plugin's, needs no entry here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_EXTENSION = re.compile(r"ext:(?P<bundle>[^:]+):(?P<name>[^@]+)(@.*)?")


@dataclass(frozen=True, slots=True)
class _Kind:
    """Types that share one answer."""

    reason: str
    hint: str
    types: tuple[str, ...]


# What is said of stock components that run what is typed into them, or what a model writes.
CODE_REASON = "Its code is not run: this version runs no code that is typed into a stock component, and no setting allows it."
CODE_HINT = (
    "Replace it by Calculator, Data Operations, Parser or Regex Extractor; or let the operator install what it does as a plugin component "
    "(entry-point group headwater.components)."
)

_FRAMEWORK = "Framework component, not supported: it wraps {}, which Headwater does not include."
_LANGCHAIN = _FRAMEWORK.format("a part of LangChain")

_CODE_TYPES = frozenset(
    (
        "CustomComponent",
        "LambdaFilterComponent",
        "PythonCodeStructuredTool",
        "PythonFunction",
        "PythonREPLComponent",
        "PythonREPLTool",
        "Smart Transform",
        "SmartFunction",
        "SmartTransform",
        "CodeAgent",
    )
)

_KINDS: tuple[_Kind, ...] = (
    # --- frameworks
    _Kind(
        _FRAMEWORK.format("CrewAI"),
        "Use Agent: give each agent its task as instructions, and connect one to the next, or one as a tool of another.",
        (
            "CrewAIAgentComponent",
            "HierarchicalCrewComponent",
            "HierarchicalTaskComponent",
            "SequentialCrewComponent",
            "SequentialTaskAgentComponent",
            "SequentialTaskComponent",
        ),
    ),
    _Kind(
        _LANGCHAIN,
        "Use Agent, with the same instructions and the same tools connected to it.",
        ("MCPAgent", "RunnableExecutor", "SimpleAgent", "VectorStoreRouterAgent", "XMLAgent"),
    ),
    _Kind(_LANGCHAIN, "Use Agent with Read File or Type Convert in front of it, which read CSV and JSON.", ("CSVAgent", "JsonAgent")),
    _Kind(_LANGCHAIN, "Use Agent with API Request as its tool.", ("OpenAPIAgent",)),
    _Kind(_LANGCHAIN, "Use Agent with SQL Database as its tool.", ("SQLAgent", "SQLDatabase", "SQLGenerator")),
    _Kind(_LANGCHAIN, "Use Agent: it keeps the conversation; or Language Model with Message History.", ("ConversationChain",)),
    _Kind(_LANGCHAIN, "Use Language Model twice: the second one checks what the first one says.", ("LLMCheckerChain",)),
    _Kind(_LANGCHAIN, "Use Agent with Calculator as its tool.", ("LLMMathChain",)),
    _Kind(_LANGCHAIN, "Use Knowledge for the passages, Prompt Template and Language Model for the answer.", ("RetrievalQA",)),
    _Kind(_LANGCHAIN, "Use Knowledge, whose search takes a metadata filter.", ("SelfQueryRetriever", "VectorStoreInfo")),
    _Kind(_LANGCHAIN, "Copy the prompt's text into Prompt Template.", ("LangChain Hub Prompt",)),
    _Kind(_LANGCHAIN, "Use URL, which follows the links of a page.", ("HtmlLinkExtractor",)),
    _Kind(_LANGCHAIN, "Use Embedding Model with a real model.", ("LangChainFakeEmbeddings",)),
    _Kind(_LANGCHAIN, "Use Split Text.", ("LanguageRecursiveTextSplitter", "NaturalLanguageTextSplitter", "SemanticTextSplitter")),
    _Kind(
        _FRAMEWORK.format("the parser of an agent framework"),
        "Use Structured Output for records, or write the format into the Prompt Template.",
        ("OutputParser",),
    ),
    _Kind(
        _FRAMEWORK.format("Agentics"),
        "Use Batch Run to ask a model for each row, and Structured Output to get rows of a schema.",
        ("AMapComponent", "AgenerateComponent", "AreduceComponent"),
    ),
    # --- accounts
    _Kind(
        "Vendor account needed: it keeps its vectors in Astra DB, whose component is not included.",
        "Use Knowledge, which ingests and searches on this server, or reach Astra DB with MCP Tools or API Request.",
        ("AstraDB", "AstraDBVectorStoreComponent", "AstraDBGraph", "AstraDBToolComponent", "AstraDBCQLToolComponent", "AstraDBChatMemory"),
    ),
    _Kind(
        "Vendor account needed: it transcribes audio at AssemblyAI, whose component is not included.",
        "Send the transcript in as text, or call AssemblyAI's HTTP API with API Request.",
        (
            "AssemblyAITranscriber",
            "AssemblyAITranscriptionJobCreator",
            "AssemblyAITranscriptionJobPoller",
            "AssemblyAIGetSubtitles",
            "AssemblyAIListTranscripts",
            "AssemblyAILeMUR",
        ),
    ),
    _Kind(
        "Vendor account needed: it searches with a paid search service, whose component is not included.",
        "Use Web Search, which needs no key, or call the service with API Request.",
        ("GoogleSearchAPI", "GoogleSearchAPICore", "GoogleSerperAPI", "SearchAPI", "SearchComponent", "SerpAPI"),
    ),
    # --- of Langflow's own library
    _Kind(
        "It starts a flow by a schedule or an event service, which this version of Headwater does not include.",
        "Use Webhook and let the scheduler or the service call its address.",
        ("InboundWebhookTrigger", "ScheduleTrigger"),
    ),
    _Kind(
        "It speaks to another agent by the Agent-to-Agent protocol, which this version of Headwater does not support.",
        "Use MCP Tools or API Request when that agent offers one of them, or Agent for an agent of your own.",
        ("A2AAgent",),
    ),
    _Kind(
        "It describes files with a model and keeps the descriptions, which this version of Headwater does not support.",
        "Use Read File and Language Model, or Batch Run for several files.",
        ("FileDescriptionGeneratorComponent",),
    ),
    _Kind(
        "It reads video, which this version of Headwater does not support.",
        "Send a transcript in as text.",
        ("VideoFile",),
    ),
    _Kind(
        "It looks up one service of the web, whose component is not included.",
        "Use API Request with that service's address, or Web Search.",
        ("SearXNGTool", "WikidataAPI", "WebScraper", "YahooFinance", "YahooFinanceTool", "YfinanceComponent"),
    ),
    _Kind(
        "It searches a vector store of LangChain's, which Headwater does not include.",
        "Use Knowledge, whose search an agent can call as a tool.",
        ("LocalDB", "RetrieverTool", "VectorStoreRetriever"),
    ),
    _Kind(
        "It orders passages by a model of its own kind, which this version of Headwater does not ask.",
        "Use the order in which Knowledge finds them, or call the provider's rerank address with API Request.",
        ("CohereRerank", "NVIDIARerank"),
    ),
    _Kind(
        "It works on documents of Docling, which Headwater does not include.",
        "Use Read File for the text and Split Text for the chunks.",
        ("ChunkDoclingDocument", "ExportDoclingDocument"),
    ),
    _Kind(
        "It asks a model by a client of its provider, which Headwater does not include.",
        "Use Language Model: it reaches the provider where it lists it, or a proxy such as LiteLLM at a base URL.",
        ("AmazonBedrockConverseModel", "AmazonBedrockModel", "ChatLiteLLMModel", "ChatVertexAI", "IBMwatsonxModel"),
    ),
)

# Names of vendor bundles, as they begin the types of their components, by what takes their place.
_MODEL_BUNDLES = """
aiml altk anthropic cohere cometapi deepseek groq huggingface ibm litellm lmstudio maritalk mistral notdiamond novita nvidia ollama
openai openrouter orcarouter paddle perplexity qianfan sambanova vertexai vllm vlmrun watsonx xai bedrock baidu empiriolabs
"""
_STORE_BUNDLES = """
astradb cassandra chroma clickhouse couchbase datastax elastic elasticsearch faiss hcd milvus mongodb nextplaid opensearch oracle
pgvector pinecone qdrant redis supabase upstash valkey vectara weaviate
"""
_SEARCH_BUNDLES = """
arxiv bing duckduckgo exa glean searchapi serpapi serpingapi serply tavily wikipedia wolframalpha yahoosearch youtube
"""
_PAGE_BUNDLES = "agentql apify figranium firecrawl mrscraper scrapegraph spider unstructured docling needle"
_MEMORY_BUNDLES = "mem0 zep"
_OTHER_BUNDLES = """
amazon assemblyai azure cleanlab cloudflare codeagents composio confluence cuga funasr git github gitlab gmail google homeassistant
icosacomputing jigsawstack langsmith langwatch microsoft notion olivya outlook plivo s3bucket slack teams twelvelabs
"""

_BUNDLE_HINTS: dict[str, str] = {
    **dict.fromkeys(_MODEL_BUNDLES.split(), "Use Language Model, Agent or Embedding Model: they reach that provider where they list it."),
    **dict.fromkeys(_STORE_BUNDLES.split(), "Use Knowledge, which ingests and searches on this server, or reach the store with MCP Tools."),
    **dict.fromkeys(_SEARCH_BUNDLES.split(), "Use Web Search, or reach the service with MCP Tools or API Request."),
    **dict.fromkeys(_PAGE_BUNDLES.split(), "Use URL for pages and Read File for documents, or reach the service with MCP Tools."),
    **dict.fromkeys(_MEMORY_BUNDLES.split(), "Use Message History or Memory Base, or reach the service with MCP Tools."),
    **dict.fromkeys(_OTHER_BUNDLES.split(), "Reach that service with MCP Tools or API Request, or install a plugin that brings this type."),
}
_ANY_BUNDLE_HINT = "Reach that service with MCP Tools or API Request, or install a plugin that brings this type."
_BUNDLES = tuple(sorted(_BUNDLE_HINTS, key=len, reverse=True))

# So short that a word of the author's may begin with them; they count only up to a capital letter.
_SHORT_BUNDLES = frozenset(
    (
        "exa",
        "git",
        "hcd",
        "ibm",
        "xai",
        "zep",
        "bing",
        "altk",
        "aiml",
        "cuga",
        "mem0",
        "groq",
        "teams",
        "needle",
        "paddle",
        "spider",
        "notion",
    )
)

_BY_TYPE: dict[str, _Kind] = {name: kind for kind in _KINDS for name in kind.types}


def describe_unsupported(document_type: str) -> tuple[str, str] | None:
    """Reason and hint for a known type without a component; None for a type nobody has heard of."""
    extension = _EXTENSION.fullmatch(document_type)
    name = extension["name"] if extension else document_type
    if contains_code(name):
        return CODE_REASON, CODE_HINT
    kind = _BY_TYPE.get(name) or _BY_TYPE.get(name.removesuffix("Component"))
    if kind is not None:
        return kind.reason, kind.hint
    bundle = extension["bundle"] if extension else _bundle_of(name)
    if bundle is None:
        return None
    return f"It needs the component {name!r} of the {bundle!r} bundle, which is not included.", _BUNDLE_HINTS.get(bundle, _ANY_BUNDLE_HINT)


def contains_code(document_type: str) -> bool:
    """Whether nodes of the type run code: their author's, or what a model writes."""
    return document_type in _CODE_TYPES or document_type.removesuffix("Component") in _CODE_TYPES


def known_types() -> tuple[str, ...]:
    """Every type with an entry of its own."""
    return (*sorted(_CODE_TYPES), *_BY_TYPE)


def _bundle_of(name: str) -> str | None:
    """The bundle whose name begins the type; short names count only up to a capital letter, so that `Example` is not taken for `exa`."""
    lowered = name.lower()
    for bundle in _BUNDLES:
        if not lowered.startswith(bundle):
            continue
        following = name[len(bundle) : len(bundle) + 1]
        if bundle not in _SHORT_BUNDLES or not following.islower():
            return bundle
    return None
