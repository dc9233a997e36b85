"""A component's text becomes a class. The one place of this server that executes text from a flow, after `policy.py` has allowed it."""

from __future__ import annotations
import __future__ as future

import ast
import builtins
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from projects.custom_code import stock_names
from projects.custom_code.host import CodeFailed
from projects.custom_code.imports import importing
from projects.custom_code.surface import table
from projects.custom_code.surface.component import Component

_ANNOTATIONS_AS_TEXT = future.annotations.compiler_flag
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Assign, ast.AnnAssign)


def component_class(code: str, *names: str) -> type[Component]:
    """The component of the text: the class of one of these names, else the first one made from a component. Raises CodeFailed.

    The text is evaluated anew each time, so that nothing a run leaves in its module is seen by another.
    """
    namespace = _evaluated(code)
    components = _program(code).components
    found = next((name for name in names if name in components), components[0] if components else None)
    made = namespace.get(found) if found else None
    if not isinstance(made, type) or not issubclass(made, Component):
        raise CodeFailed("There is no class in the code that is made from Component.")
    return made


def _evaluated(code: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "component", "__builtins__": {**vars(builtins), "__import__": importing}}
    try:
        program = _program(code)
        for name in program.prelude:
            namespace[name] = table.find(name)
        exec(program.statements, namespace)  # allowed by the operator, who is asked first
    except CodeFailed:
        raise
    except (Exception, SystemExit) as error:  # The text's own code: whatever it raises is its failure.
        raise CodeFailed(f"Error creating class. {type(error).__name__}({str(error)!r})", error=type(error).__name__) from error
    return namespace


@dataclass(frozen=True, slots=True)
class _Program:
    """The statements that take effect, compiled: imports first, then definitions and assignments; and the prelude's names they use.

    `components` are its classes that are made from a component.
    """

    statements: Any
    prelude: tuple[str, ...]
    components: tuple[str, ...]


@lru_cache(maxsize=256)
def _program(code: str) -> _Program:
    tree = parsed(code)
    imports = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom) and not _is_future(each)]
    definitions = [each for each in tree.body if isinstance(each, _DEFINITIONS)]
    module = ast.Module(body=[*imports, *definitions], type_ignores=[])
    used = {each.id for each in ast.walk(module) if isinstance(each, ast.Name)} & table.PRELUDE
    bound = {alias.asname or alias.name for each in imports for alias in each.names}
    program = compile(module, "<component>", "exec", flags=_ANNOTATIONS_AS_TEXT, dont_inherit=True)
    # Pydantic finds what annotations name in the frame of the class statement, unless that is a module's own.
    return _Program(program.replace(co_name="component"), tuple(sorted(used - bound)), _components(tree))


def parsed(code: str) -> ast.Module:
    """Raises CodeFailed for what is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CodeFailed(f"Error creating class. {type(error).__name__}: {error}", error=type(error).__name__) from None


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _components(tree: ast.Module) -> tuple[str, ...]:
    own: dict[str, bool] = {}  # class → made from a component
    stock = stock_names.imported(tree)
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            bases = [_last_name(base) for base in statement.bases]
            own[statement.name] = any("Component" in base or "LC" in base or base in stock or own.get(base, False) for base in bases)
    return tuple(name for name, is_component in own.items() if is_component)


def _last_name(expression: ast.expr) -> str:
    match expression:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _last_name(value)
    return ""
