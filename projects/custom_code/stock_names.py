"""What a text takes from stock components, by its syntax alone."""

from __future__ import annotations

import ast
from typing import TypeGuard

MODULES = ("lfx.components", "langflow.components")


def imported(tree: ast.Module) -> dict[str, str]:
    """The names under which a text imports stock components → the components' own names."""
    return {name.asname or name.name: name.name for statement in tree.body if is_import(statement) for name in statement.names}


def stock_base(tree: ast.Module, name: str) -> str | None:
    """The stock component that a class of the text is made from, by way of other classes of the text too."""
    classes = {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}
    known = imported(tree)
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        found = waiting.pop(0)
        if found in known and found not in classes:
            return known[found]
        if found in classes and found not in seen:
            seen.add(found)
            bases = [base.id for base in classes[found].bases if isinstance(base, ast.Name)]
            if found in bases and found in known:  # a class called like the one it is made from
                return known[found]
            waiting += bases
    return None


def is_import(statement: ast.stmt) -> TypeGuard[ast.ImportFrom]:
    return isinstance(statement, ast.ImportFrom) and _is_stock_module(statement.module or "")


def is_module_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import) and any(_is_stock_module(name.name) for name in statement.names)


def _is_stock_module(module: str) -> bool:
    return module in MODULES or module.startswith(tuple(f"{known}." for known in MODULES))
