"""Which names may be imported from where: one table for `langflow.` and `lfx.`, and the way from a name to what stands behind it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from projects.custom_code.surface import fields, langchain

PREFIXES = ("lfx", "langflow")

_INPUTS = (*fields.INPUT_CLASSES, "Input", "Output")
_RECORDS = ("Data", "JSON", "Message", "DataFrame", "Table", "dotdict")
_TYPING_LANGCHAIN = {
    "LanguageModel": ("langchain_core.language_models.base", "BaseLanguageModel"),
    "BaseLanguageModel": ("langchain_core.language_models.base", "BaseLanguageModel"),
    "BaseLLM": ("langchain_core.language_models.llms", "BaseLLM"),
    "BaseChatModel": ("langchain_core.language_models.chat_models", "BaseChatModel"),
    "Embeddings": ("langchain_core.embeddings", "Embeddings"),
    "Tool": ("langchain_core.tools", "Tool"),
    "BaseTool": ("langchain_core.tools", "BaseTool"),
    "StructuredTool": ("langchain_core.tools", "StructuredTool"),
    "Document": ("langchain_core.documents", "Document"),
    "BaseRetriever": ("langchain_core.retrievers", "BaseRetriever"),
    "Retriever": ("langchain_core.retrievers", "BaseRetriever"),
    "VectorStore": ("langchain_core.vectorstores", "VectorStore"),
    "BaseChatMemory": ("langchain_classic.memory.chat_memory", "BaseChatMemory"),
    "BaseChatMessageHistory": ("langchain_core.chat_history", "BaseChatMessageHistory"),
    "BaseLoader": ("langchain_core.document_loaders", "BaseLoader"),
    "BaseOutputParser": ("langchain_core.output_parsers", "BaseOutputParser"),
    "BasePromptTemplate": ("langchain_core.prompts", "BasePromptTemplate"),
    "ChatPromptTemplate": ("langchain_core.prompts", "ChatPromptTemplate"),
    "PromptTemplate": ("langchain_core.prompts", "PromptTemplate"),
    "TextSplitter": ("langchain_text_splitters", "TextSplitter"),
    "AgentExecutor": ("langchain_classic.agents", "AgentExecutor"),
    "Chain": ("langchain_classic.chains.base", "Chain"),
}
_TYPING = ("Text", "NestedDict", "Code", "Object", "Data", "Callable", "CallableType", *_TYPING_LANGCHAIN)
_HELPERS_DATA = ("data_to_text", "data_to_text_list", "docs_to_data", "safe_convert", "messages_to_text", "clean_string")
_MEMORY = (
    "get_messages",
    "aget_messages",
    "store_message",
    "astore_message",
    "aadd_messages",
    "delete_message",
    "delete_messages",
    "adelete_messages",
    "aupdate_messages",
)
_SENDERS = ("MESSAGE_SENDER_AI", "MESSAGE_SENDER_USER", "MESSAGE_SENDER_NAME_AI", "MESSAGE_SENDER_NAME_USER")
_CONTENTS = ("TextContent", "CodeContent", "ErrorContent", "JSONContent", "MediaContent", "ToolContent")
_SERVICES = (
    "get_settings_service",
    "get_storage_service",
    "get_variable_service",
    "session_scope",
    "get_cache_service",
    "get_shared_component_cache_service",
)
_MODELS = ("LCModelComponent",)
# The stock components whose classes are written out in `stock.py`; those of all others follow from our components.
WRITTEN_STOCK = frozenset(("ChatInput", "ChatOutput", "TextInputComponent", "TextOutputComponent"))
_TOOL_WORDS = ("TOOL_OUTPUT_NAME", "TOOL_OUTPUT_DISPLAY_NAME", "TOOLS_METADATA_INPUT_NAME")
_PROMPTS = ("process_prompt_template", "validate_prompt", "extract_input_variables_from_prompt")
_TEMPLATES = (
    "apply_json_filter",
    "is_valid_data",
    "raw_frontend_data_is_valid",
    "update_frontend_node_with_template_values",
    "update_template_values",
)
_UPLOADS = ("IMG_FILE_TYPES", "TEXT_FILE_TYPES", "parse_text_file_to_data", "read_text_file")

# Module (without its first part) → the names it has.
MODULES: Mapping[str, tuple[str, ...]] = {
    "": ("CustomComponent",),
    "custom": ("Component", "CustomComponent"),
    "custom.custom_component": ("Component", "CustomComponent"),
    "custom.custom_component.component": ("Component",),
    "custom.custom_component.custom_component": ("CustomComponent",),
    "custom.custom_component.component_with_cache": ("ComponentWithCache",),
    "interface.custom.custom_component": ("CustomComponent",),
    "io": _INPUTS,
    "io.schema": ("create_input_schema",),
    "inputs": _INPUTS,
    "inputs.inputs": (*_INPUTS, "FieldTypes"),
    "inputs.input_mixin": ("FieldTypes",),
    "schema": (*_RECORDS, "Record"),
    "schema.data": ("Data", "JSON"),
    "schema.message": ("Message", "ErrorMessage"),
    "schema.dataframe": ("DataFrame", "Table"),
    "schema.dotdict": ("dotdict",),
    "schema.schema": ("Data", "Record", "dotdict"),
    "schema.record": ("Record",),
    "schema.content_block": ("ContentBlock",),
    "schema.content_types": _CONTENTS,
    "schema.properties": ("Source", "Properties"),
    "schema.table": ("EditMode", "Column", "TableSchema"),
    "schema.log": ("Log", "LoggableType"),
    "schema.artifact": ("ArtifactType",),
    "schema.encoders": ("CUSTOM_ENCODERS",),
    "template": ("Input", "Output"),
    "template.field.base": ("Input", "Output", "UNDEFINED"),
    "template.utils": _TEMPLATES,
    "template.field": ("Input", "Output"),
    "field_typing": _TYPING,
    "field_typing.constants": _TYPING,
    "field_typing.range_spec": ("RangeSpec",),
    "utils.constants": _SENDERS,
    "utils.util": ("unescape_string",),
    "utils.async_helpers": ("run_until_complete",),
    "helpers": ("data_to_text", "docs_to_data", "messages_to_text"),
    "helpers.base_model": ("BaseModel", "build_model_from_schema"),
    "helpers.flow": ("list_flows", "run_flow"),
    "graph": ("Graph",),
    "graph.graph.base": ("Graph",),
    "graph.schema": ("RunOutputs",),
    "load": ("run_flow_from_json",),
    "base.tools.component_tool": ("ComponentToolkit",),
    "base.tools.constants": _TOOL_WORDS,
    "base.prompts.api_utils": _PROMPTS,
    "base.prompts.utils": ("data_to_string", "dict_values_to_string"),
    "helpers.data": _HELPERS_DATA,
    "memory": _MEMORY,
    "base.memory": _MEMORY,
    "log": ("logger",),
    "log.logger": ("logger", "configure"),
    "logging": ("logger",),
    "logging.logger": ("logger",),
    "services.deps": _SERVICES,
    "services.cache.utils": ("CacheMiss", "CACHE_MISS"),
    "base.io.chat": ("ChatComponent",),
    "base.io.text": ("TextComponent",),
    "base.models.model": _MODELS,
    "base.langchain_utilities.model": ("LCToolComponent",),
    "base.vectorstores.model": ("LCVectorStoreComponent", "check_cached_vector_store"),
    "base.textsplitters.model": ("LCTextSplitterComponent",),
    "base.embeddings.model": ("LCEmbeddingsModel",),
    "base.agents.agent": ("LCToolsAgentComponent",),
    "base.data": ("BaseFileComponent", *_UPLOADS),
    "base.data.base_file": ("BaseFileComponent",),
    "base.data.utils": _UPLOADS,
}

_HERE = "projects.custom_code.surface"
_HOMES: Mapping[str, tuple[str, ...]] = {
    "component": ("Component", "CustomComponent"),
    "caches": ("ComponentWithCache", "CACHE_MISS", "CacheMiss"),
    "fields": ("Input", "Output", "UNDEFINED", "RangeSpec", "FieldTypes"),
    "records": ("Data", "dotdict"),
    "messages": ("Message", "ErrorMessage"),
    "message_parts": ("ContentBlock", "Source", "Properties", "EditMode", "Column", "TableSchema", "Log", *_CONTENTS),
    "tables": ("DataFrame",),
    "calls": ("run_until_complete",),
    "bases": (
        "ChatComponent",
        "TextComponent",
        "LCModelComponent",
        "LCToolComponent",
        "LCVectorStoreComponent",
        "LCTextSplitterComponent",
        "LCEmbeddingsModel",
        "LCToolsAgentComponent",
        "BaseFileComponent",
    ),
    "functions": (
        *_HELPERS_DATA,
        *_SENDERS,
        *_SERVICES,
        "unescape_string",
        "logger",
        "configure",
        "create_input_schema",
        "BaseModel",
        "CUSTOM_ENCODERS",
        "build_model_from_schema",
        "data_to_string",
        "dict_values_to_string",
        *_TOOL_WORDS,
        "check_cached_vector_store",
        "ArtifactType",
    ),
    "flows": ("list_flows", "run_flow", "Graph", "RunOutputs", "run_flow_from_json"),
    "toolkits": ("ComponentToolkit",),
    "templates": (*_TEMPLATES, *_PROMPTS),
    "uploads": _UPLOADS,
    "memory": _MEMORY,
    "stock": tuple(WRITTEN_STOCK),
}
_HOME_OF = {name: f"{_HERE}.{home}" for home, names in _HOMES.items() for name in names}
_SAME_AS = {"JSON": "Data", "Record": "Data", "Table": "DataFrame"}
_PLAIN: Mapping[str, Any] = {
    "Text": str,
    "NestedDict": dict,
    "Code": str,
    "Object": object,
    "CallableType": object,
    "Callable": Callable,
    "LoggableType": object,
}

# What a text may use without importing it.
PRELUDE = frozenset((*_INPUTS, "Data", "JSON", "DataFrame", "Table", "Message", *_TYPING_LANGCHAIN))


def virtual_path(module: str) -> str | None:
    """The path within the table of a module under one of the prefixes; None for any other module."""
    root, _, rest = module.partition(".")
    return rest if root in PREFIXES else None


def is_module(path: str) -> bool:
    return path in MODULES or is_stock_module(path) or any(known.startswith(f"{path}.") for known in MODULES)


def is_stock_module(path: str) -> bool:
    """`components`, a category of it or a module in one. Categories were renamed often, so a component is known by its class's name."""
    root, *inner = path.split(".")
    return root == "components" and len(inner) <= 2 and all(part[:1].islower() for part in inner)


def has_name(path: str, name: str, is_stock: Callable[[str], bool]) -> bool:
    """`is_stock` knows the stock components that a text may import besides the written ones."""
    if is_stock_module(path):
        return name in WRITTEN_STOCK or is_stock(name) or is_stock_module(f"{path}.{name}")
    return name in MODULES.get(path, ()) or is_module(f"{path}.{name}" if path else name)


def find(name: str) -> Any:
    """What stands behind a name of the table or the prelude. ImportError where it needs a package that is not installed."""
    name = _SAME_AS.get(name, name)
    if name in _PLAIN:
        return _PLAIN[name]
    if name in fields.INPUT_CLASSES:
        return fields.INPUT_CLASSES[name]
    if (known := _TYPING_LANGCHAIN.get(name)) is not None and name not in _HOME_OF:
        return langchain.find(*known)
    # Loaded when first wanted: tables bring pandas with them.
    return getattr(importlib.import_module(_HOME_OF[name]), name)
