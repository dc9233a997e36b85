"""What a text takes from stock components, by its syntax alone."""

from __future__ import annotations

import ast
from typing import TypeGuard

MODULES = ("lfx.components", "langflow.components")
_SHOWN_ONLY = frozenset(
    ("display_name", "description", "documentation", "icon", "name", "beta", "legacy", "minimized", "priority", "trace_type", "metadata")
)
_PLAIN = (ast.Constant, ast.Dict, ast.List, ast.expr_context)


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


def mentioned(tree: ast.Module) -> set[str]:
    """Names that may mean stock components: imported ones, and bases of classes that are an attribute of an imported module."""
    names = set(imported(tree).values())
    if any(is_import(statement) or is_module_import(statement) for statement in tree.body):
        names |= {
            base.attr for each in tree.body if isinstance(each, ast.ClassDef) for base in each.bases if isinstance(base, ast.Attribute)
        }
    return names


def awaited(tree: ast.Module) -> set[str]:
    """Names of inherited methods whose calls are awaited, themselves or as what `wait_for`, `gather` and the like are given."""
    own: set[str] = set()
    calls: list[ast.Call] = []
    for each in ast.walk(tree):
        match each:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                own.add(name)
            case ast.Await(value=ast.Call() as call):
                calls += [call, *(given for given in call.args if isinstance(given, ast.Call))]
    found: set[str] = set()
    for call in calls:
        match call.func:
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if name in own:
                pass  # the text's own method, whatever the one that it stands for is
            case ast.Attribute(attr=name):
                found.add(name)
    return found


def only_shown_otherwise(tree: ast.Module) -> str | None:
    """The stock component from which a text makes its one class, when that class says no more than how it is shown."""
    classes: list[ast.ClassDef] = []
    for statement in tree.body:
        match statement:
            case ast.ClassDef():
                classes.append(statement)
            case ast.ImportFrom() if is_import(statement):
                pass
            case ast.ImportFrom(module="__future__") | ast.Expr(value=ast.Constant()):
                pass
            case _:
                return None
    if len(classes) != 1 or classes[0].decorator_list or classes[0].keywords:
        return None
    (found,) = classes
    if len(found.bases) != 1 or not isinstance(found.bases[0], ast.Name) or not all(map(_says_little, found.body)):
        return None
    return imported(tree).get(found.bases[0].id)


def _says_little(statement: ast.stmt) -> bool:
    """A statement of a class's body that changes nothing of what it does."""
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return name in _SHOWN_ONLY and all(isinstance(each, _PLAIN) for each in ast.walk(value))
    return False


def is_import(statement: ast.stmt) -> TypeGuard[ast.ImportFrom]:
    return isinstance(statement, ast.ImportFrom) and _is_stock_module(statement.module or "")


def is_module_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import) and any(_is_stock_module(name.name) for name in statement.names)


def _is_stock_module(module: str) -> bool:
    return module in MODULES or module.startswith(tuple(f"{known}." for known in MODULES))
