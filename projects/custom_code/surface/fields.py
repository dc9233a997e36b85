"""The input classes and `Output`: declarations that a component's class makes, with whatever keywords their release knew."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

from projects.engine.component import InputKind

UNDEFINED = "__UNDEFINED__"


class RangeSpec:
    """The bounds of a number's slider."""

    def __init__(self, step_type: str = "float", min: float = -1.0, max: float = 1.0, step: float = 0.1, **more: Any) -> None:
        self.step_type, self.min, self.max, self.step = step_type, min, max, step
        self.__dict__.update(more)

    @classmethod
    def set_step_type(cls, step_type: str, range_spec: RangeSpec) -> RangeSpec:
        return cls(step_type, range_spec.min, range_spec.max, range_spec.step)


class Input:
    """One declared input. Keywords that this server has no use for are kept as they are."""

    kind: ClassVar[InputKind] = InputKind.ANY
    field_type: str = "str"
    _empty: ClassVar[Any] = ""

    def __init__(self, **given: Any) -> None:
        self.name: str = ""
        self.display_name: str | None = None
        self.required = False
        self.advanced = False
        self.show = True
        self.tool_mode = False
        self.password = False
        self.info = ""
        self.options: Any = []
        self.input_types: list[str] | None = None
        self.value: Any = copy.copy(self._empty)
        self.is_list = bool(given.pop("list", given.pop("is_list", False)))
        self.__dict__.update(given)

    @property
    def list(self) -> bool:
        return self.is_list

    def to_dict(self) -> dict[str, Any]:
        shown = {key: value for key, value in self.__dict__.items() if key != "is_list"}
        return {**shown, "list": self.is_list, "type": self.field_type, "_input_type": type(self).__name__}

    def model_dump(self, **_options: Any) -> dict[str, Any]:
        return self.to_dict()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, value={self.value!r})"


class Output:
    """One declared output and, after the build, its value."""

    def __init__(self, **given: Any) -> None:
        self.name: str = ""
        self.display_name: str | None = None
        self.method: str | None = None
        self.types: list[str] = []
        self.selected: str | None = None
        self.value: Any = UNDEFINED
        self.cache = True
        self.hidden = False
        self.tool_mode = True
        self.allows_loop = False
        self.info = ""
        self.__dict__.update(given)

    def add_types(self, types: list[str]) -> None:
        self.types.extend(name for name in types if name not in self.types)

    def __repr__(self) -> str:
        return f"Output(name={self.name!r}, method={self.method!r})"


# Class name → how its values are read, the word templates use, and what it holds when nothing is given.
_KINDS: dict[str, tuple[InputKind, str, Any]] = {
    "MessageTextInput": (InputKind.TEXT, "str", ""),
    "MultilineInput": (InputKind.TEXT, "str", ""),
    "MultilineSecretInput": (InputKind.STRING, "str", ""),
    "CopyableMultilineInput": (InputKind.TEXT, "str", ""),
    "TextInput": (InputKind.TEXT, "str", ""),
    "StrInput": (InputKind.STRING, "str", ""),
    "SecretStrInput": (InputKind.STRING, "str", ""),
    "DropdownInput": (InputKind.STRING, "str", ""),
    "AuthInput": (InputKind.STRING, "auth", ""),
    "LinkInput": (InputKind.ANY, "link", ""),
    "TabInput": (InputKind.STRING, "tab", ""),
    "SortableListInput": (InputKind.ANY, "sortableList", []),
    "ConnectionInput": (InputKind.ANY, "connect", ""),
    "QueryInput": (InputKind.TEXT, "query", ""),
    "MultiselectInput": (InputKind.ANY, "str", []),
    "MessageInput": (InputKind.MESSAGE, "str", ""),
    "IntInput": (InputKind.INTEGER, "int", 0),
    "FloatInput": (InputKind.NUMBER, "float", 0.0),
    "SliderInput": (InputKind.NUMBER, "slider", 0.0),
    "BoolInput": (InputKind.BOOLEAN, "bool", False),
    "DataInput": (InputKind.DATA, "other", ""),
    "JSONInput": (InputKind.DATA, "other", ""),
    "DataFrameInput": (InputKind.TABLE, "other", ""),
    "TableInput": (InputKind.ROWS, "table", []),
    "DictInput": (InputKind.MAPPING, "dict", {}),
    "NestedDictInput": (InputKind.MAPPING, "NestedDict", {}),
    "HandleInput": (InputKind.HANDLE, "other", ""),
    "ToolsInput": (InputKind.ANY, "tools", []),
    "ModelInput": (InputKind.ANY, "model", ""),
    "McpInput": (InputKind.ANY, "mcp", ""),
    "FileInput": (InputKind.FILE, "file", ""),
    "PromptInput": (InputKind.PROMPT, "prompt", ""),
    "MustachePromptInput": (InputKind.PROMPT, "mustache", ""),
    "DefaultPromptField": (InputKind.PROMPT, "str", ""),
    "CodeInput": (InputKind.CODE, "code", ""),
}

INPUT_CLASSES: dict[str, type[Input]] = {
    name: type(name, (Input,), {"kind": kind, "field_type": word, "_empty": empty, "__module__": __name__})
    for name, (kind, word, empty) in _KINDS.items()
}


class _MultiselectInput(Input):
    kind = InputKind.ANY
    _empty: ClassVar[Any] = []

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**given, "list": True})


_MultiselectInput.__name__ = _MultiselectInput.__qualname__ = "MultiselectInput"
INPUT_CLASSES["MultiselectInput"] = _MultiselectInput


class FieldTypes:
    """The words of templates for kinds of fields."""

    TEXT = "str"
    INTEGER = "int"
    PASSWORD = "str"  # the word of a template
    FLOAT = "float"
    BOOLEAN = "bool"
    DICT = "dict"
    NESTED_DICT = "NestedDict"
    FILE = "file"
    PROMPT = "prompt"
    CODE = "code"
    OTHER = "other"
    TABLE = "table"
    LINK = "link"
    SLIDER = "slider"
    TAB = "tab"
    QUERY = "query"
