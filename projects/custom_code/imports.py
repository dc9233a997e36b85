"""What a text imports: the surface's names, LangChain's, and plain modules. Looked at without running anything, and done when it runs."""

from __future__ import annotations

import ast
import builtins
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from types import ModuleType
from typing import Any

from projects.custom_code.surface import langchain, stock, table

MAX_MISSING = 100  # that are told: each is looked for in every folder of packages


@dataclass(frozen=True, slots=True)
class MissingImport:
    """`line` counts from 1."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


def missing_imports(tree: ast.Module, *, is_stock: Callable[[str], bool]) -> list[MissingImport]:
    """Top-level imports that would fail. Nothing is imported or run for it. `is_stock` knows the stock components there are."""
    found: list[MissingImport] = []
    is_there = cache(_is_there)  # a text may name one package thousands of times
    for statement in tree.body:
        if len(found) >= MAX_MISSING:
            break
        match statement:
            case ast.Import(names=names, lineno=line):
                found += [MissingImport(line, problem) for name in names if (problem := _missing_module(name.name, is_there))]
            case ast.ImportFrom(module=str(module), names=names, level=0, lineno=line):
                problems = _missing_names(module, [name.name for name in names], is_stock, is_there)
                found += [MissingImport(line, problem) for problem in islice(problems, MAX_MISSING)]
            case ast.ImportFrom(lineno=line):
                found.append(MissingImport(line, "a relative import has nothing to be relative to"))
    return found


def _missing_module(module: str, is_there: Callable[[str], bool]) -> str | None:
    path = table.virtual_path(module)
    if path is not None:
        return None if not path or table.is_module(path) else f"No module named {module!r} is offered to components here"
    root = module.partition(".")[0]
    if root in langchain.ROOTS or is_there(root):
        return None
    return f"No module named {root!r} is installed here"


def _missing_names(module: str, names: Sequence[str], is_stock: Callable[[str], bool], is_there: Callable[[str], bool]) -> Iterator[str]:
    if (problem := _missing_module(module, is_there)) is not None:
        yield problem
        return
    path = table.virtual_path(module)
    if path is None:
        return
    for name in table.MODULES.get(path, names) if "*" in names else names:
        if not table.has_name(path, name, is_stock):
            yield f"{module!r} has no {name!r} here"
        elif name in ("DataFrame", "Table") and not is_there("pandas"):
            yield f"{name!r} needs the package pandas: pip install 'headwater[code]'"


def _is_there(root: str) -> bool:
    try:
        return importlib.util.find_spec(root) is not None  # a root has no parent that would be imported for it
    except (ImportError, ValueError):
        return False


class _Surface(ModuleType):
    """A module of the table; it is in no list of the process."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name)
        self.__dict__["_path"] = path

    def __getattr__(self, name: str) -> Any:
        path = self.__dict__["_path"]
        if name == "__all__":
            return list(table.MODULES[path])
        if name in table.MODULES.get(path, ()):
            return table.find(name)
        if table.is_stock_module(path) and (name in table.WRITTEN_STOCK or stock.is_declared(name)):
            return table.find(name) if name in table.WRITTEN_STOCK else stock.made_class(name)
        inner = f"{path}.{name}" if path else name
        if not name.startswith("__") and table.is_module(inner):
            return _Surface(f"{self.__name__}.{name}", inner)
        raise AttributeError(f"module {self.__name__!r} has no {name!r} here")


class _LangChain(ModuleType):
    """A module of LangChain's where the package is not installed."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return (
            langchain.find(self.__name__, name)
            if name[:1].isupper() or name in langchain.CALLABLES
            else _LangChain(f"{self.__name__}.{name}")
        )


def importing(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] = (),
    level: int = 0,
) -> Any:
    """`__import__` for components' texts: the surface first, everything else as Python has it."""
    root = name.partition(".")[0]
    path = table.virtual_path(name)
    if path is not None and level == 0:
        if path and not table.is_module(path):
            raise ModuleNotFoundError(f"No module named {name!r} is offered to components here", name=name)
        for wanted in fromlist or ():
            if not (wanted == "*" and path in table.MODULES) and not table.has_name(path, wanted, stock.is_declared):
                raise ImportError(f"cannot import name {wanted!r} from {name!r}: it is not offered to components here", name=name)
        return _Surface(name, path) if fromlist else _Surface(root, "")
    if root in langchain.ROOTS and level == 0:
        installed = root if langchain.is_installed(root) else "langchain_classic" if root == "langchain" else ""
        if not installed or not langchain.is_installed(installed):
            return _LangChain(name if fromlist else root)
        if installed != root:
            name = name.replace(root, installed, 1)
    return _PYTHONS_OWN(name, globals, locals, fromlist, level)


_PYTHONS_OWN = builtins.__import__
