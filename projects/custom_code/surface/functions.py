"""The functions and constants that components import besides classes: texts of records, senders, a logger, services."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel as BaseModel
from pydantic import Field, create_model

from projects.components import placeholders
from projects.custom_code.surface import calls
from projects.custom_code.surface.caches import CACHE_MISS
from projects.custom_code.surface.fields import Input
from projects.custom_code.surface.messages import Message
from projects.custom_code.surface.records import Data

MESSAGE_SENDER_AI = "Machine"
MESSAGE_SENDER_USER = "User"
MESSAGE_SENDER_NAME_AI = "AI"
MESSAGE_SENDER_NAME_USER = "User"

TOOL_OUTPUT_NAME = "component_as_tool"
TOOL_OUTPUT_DISPLAY_NAME = "Toolset"
TOOLS_METADATA_INPUT_NAME = "tools_metadata"
CUSTOM_ENCODERS: Mapping[type, Any] = {}


class ArtifactType(StrEnum):
    """What kind of thing an output shows."""

    TEXT = "text"
    DATA = "data"
    OBJECT = "object"
    ARRAY = "array"
    STREAM = "stream"
    UNKNOWN = "unknown"
    MESSAGE = "message"


# --- texts of records


def data_to_text(template: str, data: Any, sep: str = "\n") -> str:
    """The template filled with each record's keys, joined by `sep`."""
    return sep.join(data_to_text_list(template, data)[0])


def data_to_text_list(template: str, data: Any) -> tuple[list[str], list[Data]]:
    """([a text for each record], the records)."""
    items = data if isinstance(data, list | tuple) else [] if data is None else [data]
    records = [item if isinstance(item, Data) else Data(text=str(item)) for item in items]
    texts = []
    for record in records:
        values = {**record.data, "data": record.data, "text": record.get_text()}
        texts.append(placeholders.fill(template, lambda name, values=values: str(values.get(name, ""))))  # type: ignore[misc]
    return texts, records


def docs_to_data(documents: Sequence[Any]) -> list[Data]:
    return [Data.from_document(document) for document in documents]


def messages_to_text(template: str, messages: Any) -> str:
    return data_to_text(template, messages)


def clean_string(text: str) -> str:
    """Without blank lines."""
    return "\n".join(line for line in text.splitlines() if line.strip())


def safe_convert(data: Any, *, clean_data: bool = False) -> str:
    """The value as text: a message's text, a record's text, a table as markdown. TypeError for None."""
    if data is None:
        raise TypeError("There is nothing to convert to text.")
    if isinstance(data, str):
        return clean_string(data) if clean_data else data
    if isinstance(data, Message):
        return data.get_text()
    if isinstance(data, Data):
        return data.get_text() if data.text_key in data.data else str(data)
    if hasattr(data, "to_message"):
        return str(data.to_message().get_text())
    return str(data)


def unescape_string(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\t", "\t")


def data_to_string(record: Data) -> str:
    return record.get_text()


def dict_values_to_string(values: Mapping[str, Any]) -> dict[str, Any]:
    """Each value as text; lists item by item, joined by line breaks."""
    return {key: "\n".join(map(safe_convert, value)) if isinstance(value, list) else safe_convert(value) for key, value in values.items()}


# --- the log


class Logger:
    """Each level as a method, once plain and once to await; braces in a message are filled from further arguments."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        level, is_async = (name[1:], True) if name.startswith("a") and name[1:] in _LEVELS else (name, False)
        if level not in _LEVELS:
            raise AttributeError(name)

        def write(message: Any = "", *given: Any, **more: Any) -> None:
            text = str(message)
            if given and "%" not in text:
                for item in given:
                    text = text.replace("{}", str(item), 1)
                given = ()
            self._log.log(_LEVELS[level], text, *given, exc_info=level == "exception" or bool(more.get("exc_info")))

        async def write_async(message: Any = "", *given: Any, **more: Any) -> None:
            write(message, *given, **more)

        return write_async if is_async else write

    def bind(self, **_more: Any) -> Logger:
        return self

    def opt(self, *_given: Any, **_more: Any) -> Logger:
        return self


_LEVELS: Mapping[str, int] = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "success": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
}
logger = Logger(logging.getLogger("headwater.components"))


def configure(**_more: Any) -> None:
    """The operator's settings decide what is logged."""


# --- services: what of them a component can use here


def get_settings_service() -> Any:
    """Settings that components look at, with the values that hold here."""
    settings = SimpleNamespace(
        max_file_size_upload=100, storage_type="local", config_dir=calls.current().description.files_folder, fallback_to_env_var=False
    )
    return SimpleNamespace(settings=settings)


class _Storage:
    """Uploaded files by their storage paths."""

    async def get_file(self, flow_id: str, file_name: str) -> bytes:
        run = calls.current()
        content: bytes = await run.ask(run.host.read_file(f"{flow_id}/{file_name}"))
        return content

    async def save_file(self, flow_id: str, file_name: str, data: bytes, **_more: Any) -> None:
        run = calls.current()
        await run.ask(run.host.save_file(file_name, bytes(data)))

    def parse_file_path(self, path: str) -> tuple[str, str]:
        flow_id, _, name = path.rpartition("/")
        return flow_id, name


def get_storage_service() -> Any:
    return _Storage()


class _Variables:
    async def get_variable(self, user_id: Any = None, name: str = "", field: str = "", session: Any = None) -> str:
        run = calls.current()
        value: str = await run.ask(run.host.get_variable(name, field=field))
        return value

    async def list_variables(self, user_id: Any = None, session: Any = None) -> list[str]:
        run = calls.current()
        names: list[str] = await run.ask(run.host.list_variable_names())
        return names


def get_variable_service() -> Any:
    return _Variables()


class _Cache:
    """Lasts for the run."""

    @property
    def _kept(self) -> dict[str, Any]:
        found: dict[str, Any] = calls.current().state.setdefault("_component_cache", {})
        return found

    def get(self, key: str, **_more: Any) -> Any:
        return self._kept.get(key, CACHE_MISS)

    def set(self, key: str, value: Any, **_more: Any) -> None:
        self._kept[key] = value


def get_cache_service() -> Any:
    return _Cache()


get_shared_component_cache_service = get_cache_service


@asynccontextmanager
async def session_scope() -> AsyncIterator[Any]:
    """Components get no session of the server's database."""
    raise RuntimeError("Components cannot use this server's database; ask for variables, messages and files by their own functions.")
    yield None


def check_cached_vector_store(function: Any) -> Any:
    """The decorated function gives one store for each build, however often it is called."""

    def once(self: Any, *given: Any, **more: Any) -> Any:
        if self.__dict__.get("_made_store") is None:
            self.__dict__["_made_store"] = function(self, *given, **more)
        return self.__dict__["_made_store"]

    once.__name__ = function.__name__
    return once


def create_input_schema(inputs: Sequence[Input]) -> Any:
    """A pydantic model with a field for each input."""
    kinds: Mapping[str, Any] = {"int": int, "float": float, "slider": float, "bool": bool, "dict": dict, "NestedDict": dict}
    fields: dict[str, Any] = {}
    for item in inputs:
        kind = kinds.get(item.field_type, str)
        fields[item.name] = (list[kind] if item.is_list else kind, ... if item.required else item.value)  # type: ignore[valid-type]
    return create_model("InputSchema", **fields)


def build_model_from_schema(schema: Sequence[Mapping[str, Any]]) -> Any:
    """A pydantic model of rows {"name", "type", "description", "multiple"}."""
    kinds: Mapping[str, Any] = {"int": int, "float": float, "bool": bool, "dict": dict, "list": list, "str": str, "text": str}
    fields: dict[str, Any] = {}
    for row in schema:
        kind = kinds.get(str(row.get("type", "str")), str)
        kind = list[kind] if str(row.get("multiple", False)).lower() == "true" else kind  # type: ignore[valid-type]
        fields[str(row["name"])] = (kind, Field(default=None, description=str(row.get("description") or "")))
    return create_model("OutputModel", **fields)
