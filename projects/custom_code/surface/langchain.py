"""LangChain's names: the package's own where it is installed, else the few that components are built on, else types that fail on use."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Any

from projects.custom_code.surface import langchain_parts, langchain_prompts, langchain_runnables

ROOTS = ("langchain", "langchain_core", "langchain_classic", "langchain_community", "langchain_text_splitters")


_PARTS: dict[str, Any] = {**langchain_parts.PARTS, **langchain_prompts.PARTS, **langchain_runnables.PARTS}
_CORE = {
    "messages": ("BaseMessage", "HumanMessage", "SystemMessage", "AIMessage", "AIMessageChunk", "ToolMessage"),
    "outputs": ("Generation", "ChatGeneration", "ChatGenerationChunk", "ChatResult"),
    "documents": ("Document",),
    "embeddings": ("Embeddings",),
    "tools": ("BaseTool", "StructuredTool", "Tool", "ToolException", "tool"),
    "language_models": ("BaseLanguageModel", "BaseChatModel"),
    "prompts": ("PromptTemplate", "ChatPromptTemplate", "MessagesPlaceholder"),
    "output_parsers": ("BaseOutputParser", "StrOutputParser", "JsonOutputParser", "PydanticOutputParser"),
    "retrievers": ("BaseRetriever",),
    "runnables": tuple(langchain_runnables.PARTS),
}
_HOMES = {name: f"langchain_core.{module}" for module, names in _CORE.items() for name in names}


@cache
def is_installed(root: str) -> bool:
    return importlib.util.find_spec(root) is not None


def find(module: str, name: str) -> Any:
    """The class or function of this name. Raises ImportError where the package is installed and does not have it."""
    root = module.partition(".")[0]
    for candidate in (module, module.replace("langchain.", "langchain_classic.", 1) if root == "langchain" else ""):
        if candidate and is_installed(candidate.partition(".")[0]):
            return _real(candidate, name)
    part = _PARTS.get(name)
    if part is not None and (home := _HOMES.get(name)) is not None and is_installed("langchain_core"):
        return _real(home, name)  # an older address of what the core has
    return part or placeholder(name, module)


def _real(module: str, name: str) -> Any:
    found = importlib.import_module(module)  # the name is a root of ROOTS, or of an import that the operator's trust allows
    try:
        return getattr(found, name)
    except AttributeError:
        raise ImportError(f"cannot import name {name!r} from {module!r}") from None


@cache
def placeholder(name: str, module: str) -> type:
    """A type for annotations and bases, which cannot be used."""

    def refuse(self: Any, *given: Any, **more: Any) -> None:
        raise ImportError(f"{name} cannot be used here: {module.partition('.')[0]} is not installed.")

    return type(name, (), {"__init__": refuse, "__module__": module, "__class_getitem__": classmethod(lambda cls, item: cls)})


CALLABLES = frozenset(("tool",))  # functions; every other lower-case name is a module
