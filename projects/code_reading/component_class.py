"""The component class in a syntax tree, as a node of a document: its fields and outputs as they are written there."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from projects import catalogue
from projects.catalogue import Node
from projects.code_reading import syntax
from projects.code_reading.syntax import CodeProblem, CodeUnreadable, NotLiteral
from projects.custom_code import stock_names

MAX_FIELDS = 500
MAX_VALUES = 20_000  # of a node: a name of the text stands for its whole value wherever it is written

CODE = "code"
_TEXTS = ("display_name", "description", "documentation", "icon")
_FLAGS = ("beta", "legacy", "minimized")

# Input class → the word for its values.
_TYPES: Mapping[str, str] = {
    "BoolInput": "bool",
    "CodeInput": "code",
    "DataFrameInput": "other",
    "DataInput": "other",
    "DictInput": "dict",
    "FileInput": "file",
    "FloatInput": "float",
    "HandleInput": "other",
    "IntInput": "int",
    "JSONInput": "other",
    "McpInput": "mcp",
    "ModelInput": "model",
    "NestedDictInput": "NestedDict",
    "PromptInput": "prompt",
    "SliderInput": "slider",
    "SortableListInput": "sortableList",
    "TabInput": "tab",
    "TableInput": "table",
}
_EMPTY: Mapping[str, Any] = {"bool": False, "dict": {}, "NestedDict": {}, "table": [], "int": 0, "float": 0.0}
_EDGES: Mapping[str, tuple[str, ...]] = {
    "DataFrameInput": ("DataFrame", "Table"),
    "DataInput": ("Data", "JSON"),
    "JSONInput": ("Data", "JSON"),
    "MessageInput": ("Message",),
    "MessageTextInput": ("Message",),
    "MultilineInput": ("Message",),
}
_RENAMED: Mapping[str, str] = {"is_list": "list", "field_type": "type", "file_types": "fileTypes"}
# Written in the code, but not for a field of a document.
_NOT_KEPT = frozenset(("name", "value", "_input_type"))
_SECRETS = frozenset(("SecretStrInput", "MultilineSecretInput"))

_ANNOTATIONS: Mapping[str, str] = {
    "str": "str",
    "Text": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "dict": "dict",
    "Dict": "dict",
}
_NAMES_OF_TYPES: Mapping[str, str] = {"str": "Message", "Text": "Message", "dict": "Data"}
# What the code would do to its own node when a field changes.
_CHANGES = {
    "update_build_config": "the fields",
    "update_outputs": "the outputs",
    "update_frontend_node": "the node",
}
_AROUND_TYPES = frozenset(("list", "List", "Optional", "Union", "Sequence", "Iterator", "AsyncIterator", "Annotated"))


@dataclass(frozen=True, slots=True)
class ReadComponent:
    """`type` is the name of the class. What only running the code would tell is listed in `unread`, and left out of the node."""

    type: str
    node: Node
    unread: tuple[CodeProblem, ...]


def component_in(tree: ast.Module, code: str) -> ReadComponent:
    """The component of a text. Raises CodeUnreadable when there is none."""
    found = next(_component_classes(tree), None)
    if found is None:
        raise CodeUnreadable(CodeProblem(1, "there is no class here whose base is a Component"))
    return _Reader(tree, found).read(code)


def _component_classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    """Classes of the module whose base is called a component, or one of the module's own components; the last of such a line first."""
    own: dict[str, ast.ClassDef] = {}
    stock = stock_names.imported(tree)
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            bases = {_last_name(base) for base in statement.bases}
            if any("Component" in base or "LC" in base or base in stock or base in own for base in bases):
                own[statement.name] = statement
    bases_of_others = {_last_name(base) for each in own.values() for base in each.bases} - {
        each.name
        for each in own.values()
        if each.name in stock  # called like what it is made from
    }
    yield from (each for each in own.values() if each.name not in bases_of_others)


class _Reader:
    def __init__(self, tree: ast.Module, found: ast.ClassDef) -> None:
        self._class = found
        self._lineage = list(_lineage(tree, found))
        self._names = syntax.constants(tree.body)
        for each in reversed(self._lineage):
            self._names = syntax.constants(each.body, self._names)
        self._methods = {
            method.name: method
            for each in reversed(self._lineage)
            for method in each.body
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        self._stock = _stock_node(tree, found)
        self._unread: list[CodeProblem] = []

    def read(self, code: str) -> ReadComponent:
        attributes = {name: value for each in reversed(self._lineage) for name, value in _attributes(each)}
        template: dict[str, Node] = {CODE: code_field(code)}
        if isinstance(listed := attributes.get("inputs"), ast.expr):
            self._add(template, self._inputs(listed))
        elif self._stock is not None:
            self._add(template, self._stock_entries("inputs"))
        elif "build" in self._methods:
            self._add(template, self._arguments(self._methods["build"]))
        outputs: list[Node] = []
        if isinstance(listed := attributes.get("outputs"), ast.expr):
            outputs = list(self._outputs(listed))
        elif self._stock is not None:
            outputs = list(self._stock_entries("outputs"))
        elif "build" in self._methods:
            types = _types_of(self._methods["build"].returns)
            outputs = [catalogue.output_field("output", method="build", types=types, display_name=", ".join(types) or "Output")]
        given: Node = {}
        for name, kind in [*((name, str) for name in _TEXTS), *((name, bool) for name in _FLAGS)]:
            value = self._value(attributes[name]) if name in attributes else None
            if isinstance(value, kind):
                given[name] = value
        if self._stock is not None:
            given = {**{name: self._stock[name] for name in ("display_name", "description", "icon")}, **given}
        given.setdefault("display_name", self._class.name)
        for name, changed in _CHANGES.items():
            if (method := self._methods.get(name)) is not None:
                self._unread.append(CodeProblem(method.lineno, f"{name} is not run, so it changes nothing of {changed}"))
        if _is_too_large([template, outputs]):
            problem = f"the fields and outputs of this class hold more than {MAX_VALUES:,} values"
            raise CodeUnreadable(CodeProblem(self._class.lineno, problem))
        metadata: Node = {"component_class_name": self._class.name}
        if self._unread:
            metadata["unread"] = [str(problem) for problem in self._unread]
        node = catalogue.node(template=template, outputs=outputs, metadata=metadata, edited=True, **given)
        return ReadComponent(self._class.name, node, tuple(self._unread))

    def _add(self, template: dict[str, Node], fields: Iterable[Node]) -> None:
        for field in fields:
            if len(template) > MAX_FIELDS:
                self._unread.append(CodeProblem(self._class.lineno, f"only the first {MAX_FIELDS} fields are read"))
                return
            template.setdefault(field["name"], field)

    def _value(self, value: ast.expr) -> Any:
        """The value as it is written; None, and a line of `unread`, when only running the code would tell."""
        try:
            return syntax.literal(value, self._names)
        except NotLiteral as error:
            self._unread.append(CodeProblem(error.line, "this value is known only when the code runs"))
            return None

    # --- inputs and outputs as lists of calls

    def _calls(self, listed: ast.expr) -> Iterator[tuple[str, ast.Call] | Node]:
        """(class, call) of each entry, and what a stock component has where its list is taken over."""
        match listed:
            case ast.List(elts=items) | ast.Tuple(elts=items):
                for item in items:
                    if isinstance(item, ast.Call):
                        yield _last_name(item.func), item
                    elif isinstance(item, ast.Starred):
                        yield from self._calls(item.value)
                    else:
                        self._unread.append(CodeProblem(item.lineno, "these entries are known only when the code runs"))
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                yield from self._calls(left)
                yield from self._calls(right)
            case ast.Attribute(attr="inputs" | "outputs" as what) if self._stock is not None:
                yield from self._stock_entries(what)
            case _:
                self._unread.append(CodeProblem(listed.lineno, "this list is known only when the code runs"))

    def _stock_entries(self, what: str) -> Iterator[Node]:
        """The fields or outputs of the stock component that the class is made from."""
        assert self._stock is not None
        if what == "outputs":
            yield from self._stock["outputs"]
        else:
            yield from (field for name, field in self._stock["template"].items() if name not in ("_type", CODE))

    def _keywords(self, call: ast.Call) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for keyword in call.keywords:
            if keyword.arg is None:
                self._unread.append(CodeProblem(call.lineno, "these keywords are known only when the code runs"))
                continue
            try:
                read[keyword.arg] = syntax.literal(keyword.value, self._names)
            except NotLiteral as error:
                self._unread.append(CodeProblem(error.line, f"{keyword.arg} is known only when the code runs"))
        return read

    def _inputs(self, listed: ast.expr) -> Iterator[Node]:
        for entry in self._calls(listed):
            if isinstance(entry, dict):
                yield entry
                continue
            input_class, call = entry
            given = self._keywords(call)
            name = given.get("name")
            if not isinstance(name, str) or not name or name in (CODE, "_type"):
                self._unread.append(CodeProblem(call.lineno, "this input has no name that can be read"))
                continue
            type = given.get("field_type")
            type = _TYPES.get(input_class, "str") if not isinstance(type, str) else type
            keys = {_RENAMED.get(key, key): value for key, value in given.items() if key not in _NOT_KEPT}
            keys.setdefault("value", given.get("value", _EMPTY.get(type, "")))
            if input_class in _EDGES:
                keys.setdefault("input_types", list(_EDGES[input_class]))
            if input_class in _SECRETS:
                keys["password"] = True
            keys.pop("type", None)
            yield catalogue.template_field(name, input_class, type, **keys)

    def _outputs(self, listed: ast.expr) -> Iterator[Node]:
        for entry in self._calls(listed):
            if isinstance(entry, dict):
                yield entry
                continue
            _, call = entry
            given = self._keywords(call)
            name, method = given.get("name"), given.get("method")
            if not isinstance(name, str) or not name:
                self._unread.append(CodeProblem(call.lineno, "this output has no name that can be read"))
                continue
            method = method if isinstance(method, str) else ""
            types = given.get("types")
            if not (isinstance(types, list) and all(isinstance(each, str) for each in types)):
                function = self._methods.get(method)
                types = [] if function is None else _types_of(function.returns)
            shown, tool_mode = given.get("display_name"), given.get("tool_mode", True)
            yield catalogue.output_field(
                name, method=method, types=types, display_name=shown if isinstance(shown, str) else "", tool_mode=tool_mode is not False
            )

    # --- older components: the arguments of `build`, described by `build_config`

    def _arguments(self, build: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Node]:
        described = self._build_config()
        arguments = [*build.args.posonlyargs, *build.args.args][1:]
        defaults: dict[str, ast.expr] = {}
        if build.args.defaults:
            defaults = dict(zip([each.arg for each in arguments][-len(build.args.defaults) :], build.args.defaults, strict=False))
        defaults |= {
            each.arg: value for each, value in zip(build.args.kwonlyargs, build.args.kw_defaults, strict=True) if value is not None
        }
        for argument in (*arguments, *build.args.kwonlyargs):
            if argument.arg in (CODE, "_type"):
                continue
            types = _names_in(argument.annotation)
            type = next((_ANNOTATIONS[each] for each in types if each in _ANNOTATIONS), "str" if not types else "other")
            keys: dict[str, Any] = {"value": _EMPTY.get(type, ""), "required": argument.arg not in defaults}
            if (default := defaults.get(argument.arg)) is not None and (value := self._value(default)) is not None:
                keys["value"] = value
            keys |= {"list": bool({"list", "List"} & set(_every_name(argument.annotation)))}
            if type == "other":
                keys["input_types"] = types
            config = described.get(argument.arg)
            if isinstance(config, dict):
                keys |= {_RENAMED.get(key, key): value for key, value in config.items() if key not in _NOT_KEPT or key == "value"}
            yield catalogue.template_field(argument.arg, "", str(keys.pop("type", type)), **keys)

    def _build_config(self) -> dict[str, Any]:
        function = self._methods.get("build_config")
        for statement in () if function is None else function.body:
            if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Dict):
                read: dict[str, Any] = {}
                for key, value in zip(statement.value.keys, statement.value.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        read[key.value] = self._value(value)
                return read
        return {}


def _is_too_large(made: Any) -> bool:
    """Whether it has more than MAX_VALUES values, fifty characters counted as one; looked at no further than that."""
    left, waiting = MAX_VALUES, [made]
    while waiting:
        match waiting.pop():
            case str() as text:
                left -= len(text) // 50
            case list() as items:
                left -= len(items)
                if left >= 0:
                    waiting += items
            case dict() as items:
                left -= len(items)
                if left >= 0:
                    waiting += [*items, *items.values()]
        if left < 0:
            return True
    return False


def code_field(code: str) -> Node:
    """The field that holds a component's code. It is kept and shown, never run."""
    field = catalogue.template_field(CODE, "", CODE, value=code, advanced=True, multiline=True, dynamic=True, required=True)
    return {key: value for key, value in field.items() if key != "_input_type"}


def _lineage(tree: ast.Module, found: ast.ClassDef) -> Iterator[ast.ClassDef]:
    """The class, and those of the text that it is made from, nearest first."""
    classes = {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}
    seen: set[str] = set()
    waiting = [found]
    while waiting:
        each = waiting.pop(0)
        if each.name not in seen:
            seen.add(each.name)
            yield each
            waiting += [classes[name] for base in each.bases if (name := _last_name(base)) in classes]


def _stock_node(tree: ast.Module, found: ast.ClassDef) -> Node | None:
    """The node of the stock component that the class is made from; None when it is made from none."""
    name = stock_names.stock_base(tree, found.name)
    if name is None:
        return None
    from projects.custom_code import stock  # few texts are, and it brings what they are told of our components

    component = stock.find(name)
    return None if component is None else catalogue.component_node(component)


def _attributes(found: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for statement in found.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value


def _last_name(expression: ast.expr) -> str:
    match expression:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _last_name(value)
        case _:
            return ""


def _types_of(annotation: ast.expr | None) -> list[str]:
    """Return annotation → words of edges: `list[Data] | None` is Data."""
    return [_NAMES_OF_TYPES.get(name, name) for name in _names_in(annotation)]


def _names_in(annotation: ast.expr | None) -> list[str]:
    return list(dict.fromkeys(name for name in _every_name(annotation) if name not in _AROUND_TYPES and name != "None"))


def _every_name(annotation: ast.expr | None, depth: int = 0) -> list[str]:
    if annotation is None or depth > 20:
        return []
    match annotation:
        case ast.Name(id=name):
            return [name]
        case ast.Attribute(attr=name):
            return [name]
        case ast.Constant(value=str() as text) if len(text) < 200:  # an annotation in quotes
            try:
                return _every_name(ast.parse(text, mode="eval").body, depth + 1)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return []
        case ast.Subscript(value=value, slice=inner):
            return [*_every_name(value, depth + 1), *_every_name(inner, depth + 1)]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [*_every_name(left, depth + 1), *_every_name(right, depth + 1)]
        case ast.Tuple(elts=items):
            return [name for item in items for name in _every_name(item, depth + 1)]
        case _:
            return []
