"""Data (later JSON) and `dotdict`, as components' texts know them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self


class dotdict(dict):  # type: ignore[type-arg]
    """A dict whose keys are attributes too, at every depth."""

    def __getattr__(self, name: str) -> Any:
        try:
            value = self[name]
        except KeyError:
            raise AttributeError(f"'dotdict' object has no attribute {name!r}") from None
        if isinstance(value, dict) and not isinstance(value, dotdict):
            value = self[name] = dotdict(value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]


class Data:
    """A record: `data` is a dict, its keys are attributes, `text_key` names the one that holds its text."""

    _own: ClassVar[tuple[str, ...]] = ("data", "text_key", "default_value")

    def __init__(self, data: Mapping[str, Any] | None = None, text_key: str = "text", default_value: str | None = "", **more: Any) -> None:
        if data is not None and not isinstance(data, Mapping):
            raise ValueError("data must be a dictionary")  # as texts expect it of a model that is given something else
        object.__setattr__(self, "data", {**(data or {}), **more})
        object.__setattr__(self, "text_key", text_key)
        object.__setattr__(self, "default_value", default_value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "data":
            raise AttributeError(name)
        try:
            return self.data[name]
        except KeyError:
            if name == self.text_key:
                return self.default_value
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._own or hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            self.data[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self.data:
            raise AttributeError(name)
        del self.data[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Data) and self.data == other.data

    __hash__ = None  # type: ignore[assignment]

    def __contains__(self, key: object) -> bool:
        return key in self.data

    def __add__(self, other: Data) -> Data:
        """The keys of both; texts are joined, numbers added, anything else is the second's."""
        made = dict(self.data)
        for key, value in other.data.items():
            mine = made.get(key)
            adds = (isinstance(mine, str) and isinstance(value, str)) or (_is_number(mine) and _is_number(value))
            made[key] = mine + value if adds else value
        return Data(data=made, text_key=self.text_key)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        for name, value in self.__dict__.items():
            object.__setattr__(made, name, copy.deepcopy(value, memo))
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__}(text_key={self.text_key!r}, data={self.data!r})"

    def __str__(self) -> str:
        return json.dumps(self.data, indent=4, default=str, ensure_ascii=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """As a field of a pydantic model it is taken as it is."""
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls)

    def get_text(self) -> str:
        return str(self.data.get(self.text_key, self.default_value))

    def set_text(self, text: str | None) -> str:
        self.data[self.text_key] = text = "" if text is None else str(text)
        return text

    def filter_data(self, filter_str: str) -> Data:
        """The keys of the comma-separated list that it has."""
        names = [name.strip() for name in filter_str.split(",")]
        return Data(data={name: self.data[name] for name in names if name in self.data}, text_key=self.text_key)

    def to_message(self) -> Any:
        """A `Message` of its text, or of all its keys when it has none."""
        from projects.custom_code.surface.messages import Message

        return Message(text=self.get_text() if self.text_key in self.data else str(self))

    def to_data(self) -> Data:
        return self

    def to_dataframe(self) -> Any:
        """Its rows, when one key holds a list of records, else itself as the one row."""
        from projects.custom_code.surface.tables import DataFrame

        if len(self.data) == 1 and isinstance(rows := next(iter(self.data.values())), list) and all(isinstance(row, dict) for row in rows):
            return DataFrame(rows)
        return DataFrame([self])

    def to_lc_document(self) -> Any:
        from projects.custom_code.surface import langchain

        data = dict(self.data)
        text = data.pop(self.text_key, self.default_value)
        return langchain.find("langchain_core.documents", "Document")(
            page_content=text if isinstance(text, str) else str(text), metadata=data
        )

    def to_lc_message(self) -> Any:
        return self.to_message().to_lc_message()

    @classmethod
    def from_document(cls, document: Any) -> Data:
        return Data(data={**document.metadata, "text": document.page_content})

    def model_dump(self, **_options: Any) -> dict[str, Any]:
        return {"text_key": self.text_key, "data": copy.deepcopy(self.data), "default_value": self.default_value}

    dict = model_dump

    def model_dump_json(self, **options: Any) -> str:
        return json.dumps(self.model_dump(), default=str, indent=options.get("indent"))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        made = copy.deepcopy(self)
        for name, value in (update or {}).items():
            setattr(made, name, value)
        return made

    copy = model_copy

    @classmethod
    def model_validate(cls, value: Any) -> Self:
        return value if isinstance(value, cls) else cls(**value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
