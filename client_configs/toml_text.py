"""Edits TOML text: an entry is a table of its own at the end of the file, or where it stood before; nothing else moves.

Entries in unusual places (inline tables, dotted keys) are left to tomlkit, which keeps comments but may move a blank line.
"""

import json
import re
import tomllib
from dataclasses import dataclass
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from client_configs.collection import Collection
from client_configs.problems import UneditableFile, UnreadableFile

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class TableSpan:
    """A `[table]`, from its header to the end of its last line that says something."""

    name: tuple[str, ...]
    start: int
    end: int


def read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        matched = re.search(r"at line (\d+)", str(error))
        line = int(matched.group(1)) if matched else text.count("\n") + 1
        raise UnreadableFile(f"line {line}: {error}", line=line) from error
    except RecursionError as error:
        raise UnreadableFile("line 1: nested too deeply", line=1) from error


def put(text: str, collection: Collection, name: str, entry: Any) -> str:
    line_end = "\r\n" if "\r\n" in text else "\n"
    target = (*collection.path, name)
    block = written_table(target, entry).replace("\n", line_end)
    spans = [span for span in find_tables(text) if span.name[: len(target)] == target]
    expected = collection.with_entry(read(text), name, entry)
    if spans:
        rest = without_spans(text, spans[1:])
        return says(rest[: spans[0].start] + block + rest[spans[0].end :], expected) or edited_by_tomlkit(text, collection, name, entry)
    before = text if not text.strip("\ufeff") or text.endswith("\n") else text + line_end
    gap = line_end if before.strip("\ufeff \t\r\n") else ""
    return says(f"{before}{gap}{block}{line_end}", expected) or edited_by_tomlkit(text, collection, name, entry)


def remove(text: str, collection: Collection, name: str) -> str:
    target = (*collection.path, name)
    document = read(text)
    if name not in collection.entries_of(document):
        return text
    spans = [span for span in find_tables(text) if span.name[: len(target)] == target]
    expected = collection.without_entry(document, name)
    return says(without_spans(text, spans), expected, may_lack=collection) or edited_by_tomlkit(text, collection, name, None)


def without_spans(text: str, spans: list[TableSpan]) -> str:
    """Each goes with its line's end and, if there is one, the blank line before it."""
    for span in reversed(spans):
        end = span.end
        if text.startswith("\r\n", end):
            end += 2
        elif text.startswith("\n", end):
            end += 1
        start = span.start
        if blank := re.search(r"(?:\A|\n)([ \t]*\r?\n)\Z", text[:start]):
            start = blank.start(1)
        text = text[:start] + text[end:]
    return text


def says(text: str, expected: Any, *, may_lack: Collection | None = None) -> str | None:
    """The text, if it says what is expected; an empty table may be gone with its last entry."""
    try:
        found = read(text)
    except UnreadableFile:
        return None
    if may_lack is not None and not may_lack.entries_of(expected):
        expected, found = without_empty(expected, may_lack.path), without_empty(found, may_lack.path)
    return text if found == expected else None


def without_empty(document: Any, path: tuple[str, ...]) -> Any:
    if not path or not isinstance(document, dict) or path[0] not in document:
        return document
    inner = without_empty(document[path[0]], path[1:])
    return {key: inner if key == path[0] else value for key, value in document.items() if key != path[0] or inner != {}}


def edited_by_tomlkit(text: str, collection: Collection, name: str, entry: Any | None) -> str:
    try:
        document = tomlkit.parse(text.removeprefix("\ufeff"))
        holder: Any = document
        for step in collection.path:
            if step not in holder:
                holder[step] = tomlkit.table()
            holder = holder[step]
        if entry is None:
            del holder[name]
        else:
            holder[name] = entry
        changed = ("\ufeff" if text.startswith("\ufeff") else "") + tomlkit.dumps(document)
    except (TOMLKitError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise not_editable(collection) from error
    before = read(text)
    expected = collection.without_entry(before, name) if entry is None else collection.with_entry(before, name, entry)
    result = says(changed, expected, may_lack=collection if entry is None else None)
    if result is None:
        raise not_editable(collection)
    return result


def not_editable(collection: Collection) -> UneditableFile:
    return UneditableFile(
        f"[{collection.title}] is written in a form that cannot be changed safely: write it as [{collection.title}.NAME] tables."
    )


def find_tables(text: str) -> list[TableSpan]:
    """Every table header of a readable file, in order, with the lines that belong to it."""
    spans: list[TableSpan] = []
    name: tuple[str, ...] | None = None
    start = end = 0
    at = 1 if text.startswith("\ufeff") else 0
    while at < len(text):
        line_start = at
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n")) if text[at] in " \t\r\n" else 0
        if at >= len(text):
            break
        line_start = text.rfind("\n", 0, at) + 1
        if text[at] == "#":
            at = end_of_line(text, at)
            continue
        if text[at] == "[":
            if name is not None:
                spans.append(TableSpan(name, start, end))
            stop = statement_end(text, at)
            # A list of tables ends the table before it, but is nobody's server.
            name = () if text.startswith("[[", at) else header_name(text[at:stop])
            start = line_start
            at = end = end_of_line(text, stop)
            continue
        at = end = end_of_line(text, statement_end(text, at))
    if name is not None:
        spans.append(TableSpan(name, start, end))
    return spans


def header_name(header: str) -> tuple[str, ...]:
    table: Any = tomllib.loads(header.strip())
    name: list[str] = []
    while isinstance(table, dict) and table:
        key, table = next(iter(table.items()))
        name.append(key)
    return tuple(name)


def end_of_line(text: str, at: int) -> int:
    found = text.find("\n", at)
    stop = len(text) if found < 0 else found
    return stop - 1 if stop > at and text[stop - 1] == "\r" else stop


def statement_end(text: str, at: int) -> int:
    """The end of what begins here: a header, or a key with its value over as many lines as it takes."""
    depth = 0
    while at < len(text):
        character = text[at]
        if text.startswith(('"""', "'''"), at):
            at = multiline_end(text, at)
            continue
        if character in "\"'":
            at = string_end(text, at)
            continue
        if character == "#":
            if depth == 0:
                return at
            at = end_of_line(text, at)
            continue
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "\n" and depth <= 0:
            return at
        at += 1
    return at


def string_end(text: str, at: int) -> int:
    quote = text[at]
    at += 1
    while at < len(text) and text[at] != quote:
        at += 2 if text[at] == "\\" and quote == '"' else 1
    return at + 1


def multiline_end(text: str, at: int) -> int:
    mark = text[at : at + 3]
    at += 3
    while at < len(text) and not text.startswith(mark, at):
        at += 2 if text[at] == "\\" and mark == '"""' else 1
    at += 3
    # One or two quotes may stand right before the closing three.
    while text.startswith(mark[0], at):
        at += 1
    return at


def written_table(name: tuple[str, ...], table: dict[str, Any]) -> str:
    """`[a.b]` with its plain values, then a table of its own for each table in it."""
    header = ".".join(written_key(part) for part in name)
    lines = [f"[{header}]"]
    lines += [f"{written_key(key)} = {written_value(value)}" for key, value in table.items() if value is not None]
    return "\n".join(lines)


def written_key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else written_value(key)


def written_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{written_key(key)} = {written_value(inner)}" for key, inner in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(written_value(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(tomlkit.item(value).as_string())
