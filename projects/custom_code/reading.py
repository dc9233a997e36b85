"""What is asked of a component's text, read once: its syntax tree is large and slow to make, what is kept of it is neither.

The parser holds the interpreter until it is done, so that a thread is no help: long texts are read in another process of this Python,
which runs nothing of them, and are known then. See `read_ahead`.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import json
import logging
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from projects.code_reading import component_class, syntax
from projects.code_reading.component_class import ReadComponent
from projects.code_reading.syntax import CodeProblem, CodeUnreadable
from projects.custom_code import stock_names
from projects.custom_code.policy import code_hash

logger = logging.getLogger(__name__)

LONG_TEXT = 20_000  # characters: what is shorter is read while others wait, some milliseconds
MAX_KEPT_CHARACTERS = 16_000_000  # of what is kept of all texts
READING_SECONDS = 20.0  # of one process; the longest text takes one or two. A server that stops waits for it
_OWN_TOOLS = frozenset(("_get_tools", "to_toolkit"))

_Plain = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TextRead:
    """`imports` has the top-level imports alone. `classes`: those of the module → whether they have tools of their own.

    `stock` are the names that may mean stock components, `awaited` the methods whose calls the text awaits.
    """

    imports: ast.Module
    classes: Mapping[str, bool]
    stock: Sequence[str]
    awaited: Sequence[str]
    stock_type: str | None
    _component: ReadComponent | CodeProblem

    @property
    def component(self) -> ReadComponent:
        """Raises CodeUnreadable when there is none."""
        if isinstance(self._component, CodeProblem):
            raise CodeUnreadable(self._component)
        return self._component


class _Kept:
    """JSON by the hash of a text; what was used longest ago is forgotten first."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, str] = OrderedDict()
        self._characters = 0
        self._lock = threading.Lock()

    def __contains__(self, hash: str) -> bool:
        return hash in self._read

    def find(self, hash: str) -> str | None:
        with self._lock:
            if (found := self._read.get(hash)) is not None:
                self._read.move_to_end(hash)
            return found

    def keep(self, hash: str, read: str) -> None:
        with self._lock:
            self._characters += len(read) - len(self._read.pop(hash, ""))
            self._read[hash] = read
            while self._characters > MAX_KEPT_CHARACTERS:
                self._characters -= len(self._read.popitem(last=False)[1])


_kept = _Kept()
_in_turn = ThreadPoolExecutor(1, thread_name_prefix="reading-code")  # one process at a time: each may take a hundred megabytes


def read(code: str) -> TextRead:
    """Raises CodeUnreadable for what is no Python."""
    hash = code_hash(code)
    found = _kept.find(hash)
    if found is None:
        found = _as_json(code)
        _kept.keep(hash, found)
    return _from_plain(json.loads(found), code)


async def read_ahead(codes: Iterable[str]) -> None:
    """Have these texts read before they are asked for, where that takes long."""
    unknown = {hash: code for code in codes if len(code) <= syntax.MAX_CODE_LENGTH and (hash := code_hash(code)) not in _kept}
    if sum(map(len, unknown.values())) > LONG_TEXT:
        await asyncio.get_running_loop().run_in_executor(_in_turn, _read_apart, unknown)


def _read_apart(unknown: Mapping[str, str]) -> None:
    left = [(hash, code) for hash, code in unknown.items() if hash not in _kept]
    while left:
        try:
            read = list(_answers([code for _, code in left]))
        except OSError as error:
            logger.warning("Long code is read while others wait, because no process can be started for it: %s", error)
            return
        if not read:  # the parser itself fell over the first one, or did not come to an end; a later one has a process of its own next
            logger.warning("The process that read the code with the SHA-256 %s ended, or was ended after its time.", left[0][0])
            read.append(json.dumps({"problem": [1, "the process that read the code ended, or was ended after its time"]}))
        for (hash, _), found in zip(left, read, strict=False):
            _kept.keep(hash, found)
        left = left[len(read) :]


def _answers(codes: list[str]) -> Iterator[str]:
    """What another process reads, up to the text that ends it or takes too long."""
    program = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from projects.custom_code import reading; reading.main()"
    paths = [str(Path(__file__).resolve().parents[2]), *sys.path]
    try:
        told = subprocess.run(
            [sys.executable, "-I", "-c", program, json.dumps(paths)],
            input=json.dumps(codes).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=READING_SECONDS,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as error:
        told = error.stdout or b""
    whole, _, _ = told.rpartition(b"\n")
    yield from (line.decode() for line in whole.splitlines())


def main() -> None:
    """In the other process: texts come in as a list, and a line goes out for each."""
    gc.disable()  # it looks at a tree again and again while it grows, and trees have no cycles
    for code in json.load(sys.stdin.buffer):
        sys.stdout.write(_as_json(code) + "\n")
        sys.stdout.flush()


def _as_json(code: str) -> str:
    return json.dumps(_plain(code))


def _plain(code: str) -> _Plain:
    try:
        tree = syntax.parse(code)
    except CodeUnreadable as error:
        return {"problem": [error.problem.line, error.problem.message]}
    try:
        found = component_class.component_in(tree, code)
    except CodeUnreadable as error:
        component: _Plain = {"problem": [error.problem.line, error.problem.message]}
    else:
        node = {**found.node, "template": {**found.node["template"], component_class.CODE: None}}
        component = {"type": found.type, "node": node, "unread": [[each.line, each.message] for each in found.unread]}
    return {
        "imports": [_plain_import(each) for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)],
        "classes": {each.name: _has_own_tools(each) for each in tree.body if isinstance(each, ast.ClassDef)},
        "stock": sorted(stock_names.mentioned(tree)),
        "awaited": sorted(stock_names.awaited(tree)),
        "stock_type": stock_names.only_shown_otherwise(tree),
        "component": component,
    }


def _has_own_tools(found: ast.ClassDef) -> bool:
    return any(isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name in _OWN_TOOLS for each in ast.walk(found))


def _plain_import(statement: ast.Import | ast.ImportFrom) -> list[Any]:
    names = [[each.name, each.asname] for each in statement.names]
    if isinstance(statement, ast.Import):
        return [statement.lineno, names]
    return [statement.lineno, names, statement.module, statement.level]


def _from_plain(plain: _Plain, code: str) -> TextRead:
    if "problem" in plain:
        raise CodeUnreadable(CodeProblem(*plain["problem"]))
    component = plain["component"]
    found: ReadComponent | CodeProblem
    if "problem" in component:
        found = CodeProblem(*component["problem"])
    else:
        component["node"]["template"][component_class.CODE] = component_class.code_field(code)
        found = ReadComponent(component["type"], component["node"], tuple(CodeProblem(*each) for each in component["unread"]))
    imports = ast.Module(body=[_import(*each) for each in plain["imports"]], type_ignores=[])
    return TextRead(imports, plain["classes"], plain["stock"], plain["awaited"], plain["stock_type"], found)


def _import(line: int, names: list[tuple[str, str | None]], *of: Any) -> ast.stmt:
    aliases = [ast.alias(name=name, asname=shown) for name, shown in names]
    made = ast.ImportFrom(module=of[0], names=aliases, level=of[1]) if of else ast.Import(names=aliases)
    made.lineno = line
    return made
