"""Code → syntax tree, or the problems in it with their lines; and values that stand in the tree as they are."""

from __future__ import annotations

import ast
import importlib.util
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

MAX_CODE_LENGTH = 200_000
MAX_FIELDS = 2_000  # in one f-string: Python 3.11 takes time that grows with their square
MAX_MISSING = 100  # imports that are told: each is looked for in every folder of packages
_F_STRING = re.compile(r"[fF][rR]?(\"\"\"|'''|\"|')")
_MAX_DEPTH = 20
_MAX_INTEGER = 2**63

NO_NAMES: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class CodeProblem:
    """`line` counts from 1."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class CodeUnreadable(Exception):
    """The text is no Python; with its one problem."""

    def __init__(self, problem: CodeProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class NotLiteral(Exception):
    """The value is known only when the code runs; with the line it stands on."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}: this value is known only when the code runs")
        self.line = line


def parse(code: str) -> ast.Module:
    """The tree of the code. Raises CodeUnreadable."""
    if len(code) > MAX_CODE_LENGTH:
        raise CodeUnreadable(CodeProblem(1, f"the code has {len(code):,} characters; at most {MAX_CODE_LENGTH:,} are read"))
    if (line := _long_f_string(code)) is not None:
        raise CodeUnreadable(CodeProblem(line, f"an f-string has more than {MAX_FIELDS:,} fields"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in somebody's text is no news for this server's log
            return ast.parse(code)
    except SyntaxError as error:
        raise CodeUnreadable(CodeProblem(max(1, error.lineno or 1), error.msg)) from None
    except (RecursionError, MemoryError):
        raise CodeUnreadable(CodeProblem(1, "the code is nested too deeply to be read")) from None
    except ValueError as error:  # NUL characters, half surrogate pairs
        raise CodeUnreadable(CodeProblem(1, str(error))) from None


def _long_f_string(code: str) -> int | None:
    """The line of what looks like an f-string of very many fields."""
    if code.count("{") <= MAX_FIELDS:
        return None
    joined = code.replace("\\\n", "  ").replace("\\\r\n", "   ")
    counted = dict.fromkeys(("'''", '"""', "\n"), 0)  # what ends a string → up to where
    for found in _F_STRING.finditer(joined):
        mark = found[1] if len(found[1]) == 3 else "\n"
        if found.start() < counted[mark]:
            continue
        end = joined.find(mark, found.end())
        counted[mark] = len(joined) if end < 0 else end
        if joined.count("{", found.end(), counted[mark]) > MAX_FIELDS:
            return joined.count("\n", 0, found.start()) + 1
    return None


def missing_imports(tree: ast.Module) -> list[CodeProblem]:
    """Roots of plain top-level imports that this server's Python does not have. They are looked for, never imported."""
    problems: list[CodeProblem] = []
    is_there = cache(_is_there)  # a text may name one package thousands of times
    for statement in tree.body:
        if len(problems) >= MAX_MISSING:
            break
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                root = alias.name.partition(".")[0]
                if not is_there(root):
                    problems.append(CodeProblem(statement.lineno, f"No module named {root!r}"))
    return problems


def literal(value: ast.expr, names: Mapping[str, Any] = NO_NAMES, depth: int = 0) -> Any:
    """A value that is written out, as JSON can say it; names stand for the constants in `names`. Raises NotLiteral."""
    if depth > _MAX_DEPTH:
        raise NotLiteral(value.lineno)
    match value:
        case ast.Constant(value=constant) if _is_plain(constant):
            return constant
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [literal(item, names, depth + 1) for item in items]
        case ast.Dict(keys=keys, values=values):
            return _mapping(value, keys, values, names, depth)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)) if _is_plain(number):
            return -number
    raise NotLiteral(value.lineno)


def constants(body: Sequence[ast.stmt], known: Mapping[str, Any] = NO_NAMES) -> dict[str, Any]:
    """Names that are given one plain value, or a list of them, in these statements."""
    found = dict(known)
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                try:
                    read = literal(value)  # without names: lists of lists of lists cannot grow out of a few lines
                except NotLiteral:
                    found.pop(name, None)
                else:
                    found[name] = read
    return found


def _mapping(
    value: ast.Dict, keys: Sequence[ast.expr | None], values: Sequence[ast.expr], names: Mapping[str, Any], depth: int
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, inner in zip(keys, values, strict=True):
        if not (isinstance(key, ast.Constant) and isinstance(key.value, str) and _is_plain(key.value)):
            raise NotLiteral(value.lineno)
        made[key.value] = literal(inner, names, depth + 1)
    return made


def _is_plain(constant: Any) -> bool:
    """Whether JSON can say it, and a database keep it."""
    match constant:
        case None | bool():
            return True
        case int():
            return abs(constant) < _MAX_INTEGER
        case float():
            return math.isfinite(constant)
        case str():
            return "\x00" not in constant and not any("\ud800" <= character <= "\udfff" for character in constant)
        case _:
            return False


def _is_there(root: str) -> bool:
    try:
        return importlib.util.find_spec(root) is not None  # a root has no parent that would be imported for it
    except (ImportError, ValueError):  # ValueError: a module that was made by hand
        return False
