"""Types we know of and do not run: why, and what to use instead. The import report and refused runs quote these."""

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


_THIS_VERSION = "this version of Headwater"

_MODEL_HINT = (
    "Put the fixed part of the instructions into a Prompt Template and return its text: "
    "the assistant that calls the tool can do the model's work."
)


_KINDS: tuple[_Kind, ...] = (
    _Kind(
        f"It calls a language model, which {_THIS_VERSION} does not support.",
        _MODEL_HINT,
        (
            "LanguageModelComponent",
            "BatchRunComponent",
            "StructuredOutput",
            "StructuredOutputComponent",
            "Smart Transform",
            "LLMSelectorComponent",
            "GuardrailValidator",
            "GuardrailValidatorV2",
            "FileDescriptionGeneratorComponent",
            "AMapComponent",
            "AgenerateComponent",
            "AreduceComponent",
            "OpenAIModel",
            "OpenAIModelComponent",
            "AnthropicModel",
            "AnthropicModelComponent",
            "GroqModel",
            "OllamaModel",
            "AzureOpenAIModel",
            "GoogleGenerativeAIModel",
            "MistralModel",
            "LMStudioModel",
            "NVIDIAModelComponent",
            "xAIModel",
            "DeepSeekModel",
            "DeepSeekModelComponent",
            "OpenRouterComponent",
            "CohereModel",
            "PerplexityModel",
            "HuggingFaceModel",
            "AmazonBedrockModel",
            "VertexAiModel",
            "WatsonxAI",
            "SambaNovaModel",
            "NovitaModel",
            "MaritalkModel",
            "QianfanChatModel",
            "AIMLModel",
            "LiteLLMProxyModel",
        ),
    ),
    _Kind(
        f"It routes by asking a language model, which {_THIS_VERSION} does not support.",
        "Use If-Else with `contains` or `regex` where the words decide.",
        ("SmartRouter", "LLMRouterComponent"),
    ),
    _Kind(
        f"It is an agent: it calls a language model and tools, which {_THIS_VERSION} does not support.",
        "Offer the agent's tools as flows of their own; an assistant that speaks MCP can then play the agent.",
        ("Agent", "A2AAgent", "MCPAgent", "SimpleAgent"),
    ),
    _Kind(
        f"It computes embeddings, which {_THIS_VERSION} does not support.",
        "Keep this flow where its embedding model runs, and leave the node out here.",
        (
            "EmbeddingModel",
            "EmbeddingModelComponent",
            "TextEmbedderComponent",
            "EmbeddingSimilarityComponent",
            "OpenAIEmbeddings",
            "OllamaEmbeddings",
            "HuggingFaceEmbeddings",
            "AzureOpenAIEmbeddings",
        ),
    ),
    _Kind(
        f"It repeats a part of the flow for each row, which {_THIS_VERSION} does not support.",
        "Where the body only formats rows, a Parser on the table does the same in one step.",
        ("LoopComponent", "Loop", "ForEach"),
    ),
    _Kind(
        f"It runs another flow, which {_THIS_VERSION} does not support.",
        "Publish both flows as tools, or copy the other flow's nodes into this one as a group.",
        ("RunFlow", "SubFlow", "FlowTool"),
    ),
    _Kind(
        f"It passes values between unconnected nodes, which {_THIS_VERSION} does not support.",
        "Connect the two nodes with an edge.",
        ("Listen", "Notify"),
    ),
    _Kind(
        f"It pauses the run for a person's decision, which {_THIS_VERSION} does not support.",
        "Split the flow in two tools at this point, and let the caller decide between them.",
        ("HumanInput",),
    ),
    _Kind(
        f"It waits for several branches and then goes on, which {_THIS_VERSION} does not support.",
        "Connect the branches to one Prompt Template or Combine Text: it waits for all of them.",
        ("MergeFlows",),
    ),
    _Kind(
        f"It reads or writes the chat history, which {_THIS_VERSION} does not support.",
        "Chat Input and Chat Output store their messages by themselves; pass further history in as an input.",
        ("Memory", "StoreMessage", "MessageHistory"),
    ),
    _Kind(
        f"It reaches out to the network, which {_THIS_VERSION} does not support.",
        "Let the caller fetch the content and pass it to the flow as an input.",
        (
            "APIRequest",
            "URLComponent",
            "URL",
            "UnifiedWebSearch",
            "WebSearchNoAPI",
            "NewsSearch",
            "RSSReaderSimple",
            "GoogleSearchAPI",
            "GoogleSerperAPI",
            "SearXNGTool",
            "SearchAPI",
            "SerpAPI",
            "WikidataAPI",
            "WikipediaAPI",
            "YahooFinanceTool",
            "ArXivComponent",
            "WebScraper",
        ),
    ),
    _Kind(
        f"It calls the tools of an MCP server, which {_THIS_VERSION} does not support.",
        "Connect that MCP server to the assistant beside this one.",
        ("MCPTools", "MCPStdio", "MCPSse", "MCPSseTools"),
    ),
    _Kind(
        f"It reads or writes files, which {_THIS_VERSION} does not support.",
        "Pass the file's text in through Chat Input, Text Input or Webhook; Type Convert reads JSON and CSV text.",
        (
            "File",
            "FileComponent",
            "Directory",
            "SaveToFile",
            "FileSystemTool",
            "FileContentRetriever",
            "CSVtoData",
            "JSONtoData",
            "VideoFile",
        ),
    ),
    _Kind(
        f"It searches a knowledge base, which {_THIS_VERSION} does not support.",
        "Pass the passages in as an input, or keep this flow where its knowledge base is.",
        ("Knowledge", "KnowledgeBase", "KnowledgeIngestion", "KnowledgeRetrieval", "MemoryBase"),
    ),
    _Kind(
        f"It queries a database, which {_THIS_VERSION} does not support.",
        "Pass the rows in as JSON or CSV text; Type Convert makes a table of it.",
        ("SQLComponent", "SQLExecutor"),
    ),
    _Kind(
        f"It contains code, which {_THIS_VERSION} never runs.",
        "Replace it by Calculator, Data Operations, Parser or Regex Extractor, or install it as a plugin package.",
        ("CustomComponent", "PythonREPLComponent", "PythonREPLTool", "PythonFunction", "PythonCodeStructuredTool", "LambdaFilterComponent"),
    ),
    _Kind(
        f"It starts a flow by a schedule or an event service, which {_THIS_VERSION} does not support.",
        "Use Webhook and let the scheduler call its address.",
        ("InboundWebhookTrigger", "ScheduleTrigger"),
    ),
    _Kind(
        "It only makes format instructions for a framework's parser, which nothing here can use.",
        "Write the instructions into the Prompt Template.",
        ("OutputParser",),
    ),
    _Kind(
        f"It wraps a component of an agent framework, which {_THIS_VERSION} does not include.",
        "Build the step from components of our own; Split Text replaces the text splitters.",
        (
            "CSVAgent",
            "CharacterTextSplitter",
            "ConversationChain",
            "HtmlLinkExtractor",
            "JsonAgent",
            "LLMCheckerChain",
            "LLMMathChain",
            "LangChain Hub Prompt",
            "LangChainFakeEmbeddings",
            "LanguageRecursiveTextSplitter",
            "NaturalLanguageTextSplitter",
            "OpenAIToolsAgent",
            "OpenAPIAgent",
            "RecursiveCharacterTextSplitter",
            "RetrievalQA",
            "RunnableExecutor",
            "SQLAgent",
            "SQLDatabase",
            "SQLGenerator",
            "SelfQueryRetriever",
            "SemanticTextSplitter",
            "ToolCallingAgent",
            "VectorStoreInfo",
            "VectorStoreRouterAgent",
            "XMLAgent",
            "CrewAIAgentComponent",
            "HierarchicalCrewComponent",
            "HierarchicalTaskComponent",
            "SequentialCrewComponent",
            "SequentialTaskComponent",
            "SequentialTaskAgentComponent",
        ),
    ),
)

# Names of vendor bundles, as they begin the types of their components.
_BUNDLE_NAMES = """
agentql aiml altk amazon anthropic apify arxiv assemblyai astradb azure baidu bing cassandra chroma cleanlab clickhouse cloudflare
codeagents cohere cometapi composio confluence couchbase cuga datastax deepseek docling duckduckgo elastic elasticsearch
empiriolabs exa faiss figranium firecrawl funasr git github gitlab glean gmail google groq homeassistant huggingface ibm
icosacomputing jigsawstack langsmith langwatch litellm lmstudio maritalk mem0 microsoft milvus mistral mongodb mrscraper needle
nextplaid notdiamond notion novita nvidia ollama olivya openai opensearch openrouter oracle orcarouter outlook paddle perplexity
pgvector pinecone plivo qdrant redis s3bucket sambanova scrapegraph searchapi serpapi serpingapi serply slack spider supabase
tavily teams twelvelabs unstructured upstash valkey vectara vertexai vllm vlmrun watsonx weaviate wikipedia wolframalpha xai
yahoosearch youtube zep
"""
_BUNDLES = tuple(sorted(_BUNDLE_NAMES.split(), key=len, reverse=True))

_SHORT_BUNDLES = frozenset(
    ("exa", "git", "ibm", "xai", "zep", "bing", "altk", "aiml", "cuga", "mem0", "groq", "teams", "needle", "spider", "notion")
)

_BY_TYPE: dict[str, _Kind] = {name: kind for kind in _KINDS for name in kind.types}


def describe_unsupported(document_type: str) -> tuple[str, str] | None:
    """Reason and hint for a known type without a native component; None for a type nobody has heard of."""
    extension = _EXTENSION.fullmatch(document_type)
    name = extension["name"] if extension else document_type
    kind = _BY_TYPE.get(name) or _BY_TYPE.get(name.removesuffix("Component"))
    if kind is not None:
        return kind.reason, kind.hint
    bundle = extension["bundle"] if extension else _bundle_of(name)
    if bundle is None:
        return None
    return (
        f"It needs the component {name!r} of the {bundle!r} bundle, which {_THIS_VERSION} does not include.",
        "Let the caller reach that service and pass the result in as an input, or install a plugin package that provides this type.",
    )


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
