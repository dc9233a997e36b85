"""Operations on one text."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from projects.components import bounded_regex
from projects.components.conversion import plain_text
from projects.engine.component import ComponentError
from projects.engine.values import Row, Table

Fields = Mapping[str, Any]

_CASES: Mapping[str, Callable[[str], str]] = {
    "uppercase": str.upper,
    "lowercase": str.lower,
    "title": str.title,
    "capitalize": str.capitalize,
    "swapcase": str.swapcase,
}


async def word_count(text: str, fields: Fields) -> Row:
    counts: Row = {}
    blank = not text.strip()
    if fields.get("count_words", True):
        words = text.split()
        counts |= {"word_count": len(words), "unique_words": len(set(words))}
    if fields.get("count_characters", True):
        counts |= {"character_count": 0, "character_count_no_spaces": 0}
        if not blank:
            counts |= {"character_count": len(text), "character_count_no_spaces": len(text.replace(" ", ""))}
    if fields.get("count_lines", True):
        lines = [] if blank else text.split("\n")
        counts |= {"line_count": len(lines), "non_empty_lines": sum(1 for line in lines if line.strip())}
    return counts


async def convert_case(text: str, fields: Fields) -> str:
    convert = _CASES.get(str(fields.get("case_type") or "lowercase"))
    if convert is None:
        raise ComponentError(f"Unknown case type {fields.get('case_type')!r}. Choose one of: {', '.join(_CASES)}.")
    return convert(text)


async def replace(text: str, fields: Fields) -> str:
    pattern, replacement = plain_text(fields.get("search_pattern")), plain_text(fields.get("replacement_text"))
    if not pattern:
        return text
    if fields.get("use_regex"):
        return await bounded_regex.replace_all(pattern, replacement, text)
    if text.count(pattern) * len(replacement) > bounded_regex.RESULT_LIMIT:
        raise ComponentError(f"The text would grow beyond {bounded_regex.RESULT_LIMIT:,} characters.")
    return text.replace(pattern, replacement)


async def extract(text: str, fields: Fields) -> list[str]:
    pattern = plain_text(fields.get("extract_pattern"))
    found = await bounded_regex.find_all(pattern, text) if pattern else []
    limit = whole_number(fields, "max_matches", 10)
    return found[:limit] if limit > 0 else found


async def head(text: str, fields: Fields) -> str:
    return text[: max(0, whole_number(fields, "head_characters", 100))]


async def tail(text: str, fields: Fields) -> str:
    count = whole_number(fields, "tail_characters", 100)
    return text[-count:] if count > 0 else ""


async def strip(text: str, fields: Fields) -> str:
    characters = plain_text(fields.get("strip_characters")) or None
    match fields.get("strip_mode"):
        case "left":
            return text.lstrip(characters)
        case "right":
            return text.rstrip(characters)
        case _:
            return text.strip(characters)


async def join(text: str, fields: Fields) -> str:
    return "\n".join(part for part in (text, plain_text(fields.get("text_input_2"))) if part)


async def clean(text: str, fields: Fields) -> str:
    if fields.get("remove_empty_lines"):
        text = "\n".join(line for line in text.split("\n") if line.strip())
    if fields.get("remove_extra_spaces", True):
        text = re.sub(r"\s+", " ", text)
    if fields.get("remove_special_chars"):
        text = re.sub(r"[^\w\s.,!?;:-]", "", text)
    return text


async def to_table(text: str, fields: Fields) -> Table:
    """Lines of cells; columns without a header are `col_0`, `col_1` …; a column of numbers becomes numbers."""
    separator = plain_text(fields.get("table_separator")) or "|"
    lines = [line.strip().removeprefix(separator).removesuffix(separator) for line in text.split("\n") if line.strip()]
    cells = [[cell.strip() for cell in line.split(separator)] for line in lines]
    cells = [row for row in cells if not all(re.fullmatch(r":?-{2,}:?", cell) for cell in row)]
    if not cells:
        return Table()
    if fields.get("has_header", True) and len(cells) > 1:
        names, body = cells[0], cells[1:]
    else:
        names, body = [f"col_{index}" for index in range(max(map(len, cells)))], cells
    columns = {name: _numbers([row[index] if index < len(row) else None for row in body]) for index, name in enumerate(names)}
    return Table(rows=[{name: values[index] for name, values in columns.items()} for index in range(len(body))], columns=list(columns))


def _numbers(values: list[str | None]) -> list[Any]:
    for kind in (int, float):
        try:
            return [None if value is None or value == "" else kind(value) for value in values]
        except ValueError:
            continue
    return list(values)


def whole_number(fields: Fields, name: str, default: int) -> int:
    value = fields.get(name)
    try:
        return default if value is None or value == "" else int(value)
    except (TypeError, ValueError) as error:
        raise ComponentError(f"{name} must be a whole number, not {value!r}.") from error


OPERATIONS: Mapping[str, Callable[[str, Fields], Awaitable[Any]]] = {
    "Word Count": word_count,
    "Case Conversion": convert_case,
    "Text Replace": replace,
    "Text Extract": extract,
    "Text Head": head,
    "Text Tail": tail,
    "Text Strip": strip,
    "Text Join": join,
    "Text Clean": clean,
    "Text to DataFrame": to_table,
    "Text to Table": to_table,
}
