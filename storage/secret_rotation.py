"""Every secret that is kept, encrypted anew under the current key. The list of columns below is the whole of what is ever ciphertext."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from storage.encryption import CannotDecrypt, SecretBox
from storage.tables import McpServerRow, ProjectRow, RunRow, VariableRow

_ROWS_AT_ONCE = 500

# Id and text of each: ciphertext as a whole, or JSON with ciphertext in some of its values.
_PLACES: Sequence[tuple[InstrumentedAttribute[str], InstrumentedAttribute[Any]]] = (
    (VariableRow.id, VariableRow.value),
    (ProjectRow.id, ProjectRow.auth_settings),
    (McpServerRow.id, McpServerRow.config),
    (RunRow.id, RunRow.request),
)


async def renew_all(session: AsyncSession, box: SecretBox) -> int:
    """Read with any key of the box, write with its newest. How many texts were written; what no key opens stays as it is."""
    return sum([await _renew_column(session, box, id_column, column) for id_column, column in _PLACES])


async def _renew_column(
    session: AsyncSession, box: SecretBox, id_column: InstrumentedAttribute[str], column: InstrumentedAttribute[Any]
) -> int:
    count, last = 0, ""
    while True:
        query = select(id_column, column).where(id_column > last, column.is_not(None)).order_by(id_column).limit(_ROWS_AT_ONCE)
        rows = (await session.execute(query)).all()
        for id, text in rows:
            if (renewed := _renew_text(text, box)) is not None:
                await session.execute(update(id_column.class_).where(id_column == id).values({column.key: renewed}))
                count += 1
        if len(rows) < _ROWS_AT_ONCE:
            return count
        last = rows[-1][0]


def _renew_text(text: str, box: SecretBox) -> str | None:
    """None when nothing in it can be opened."""
    if (renewed := _renew_ciphertext(text, box)) is not None:
        return renewed
    try:
        value = from_json(text)
    except ValueError:
        return None
    changed = _renew_values(value, box)
    return None if changed == value else to_json(changed).decode()


def _renew_values(value: Any, box: SecretBox) -> Any:
    match value:
        case str():
            return _renew_ciphertext(value, box) or value
        case dict():
            return {key: _renew_values(item, box) for key, item in value.items()}
        case list():
            return [_renew_values(item, box) for item in value]
        case _:
            return value


def _renew_ciphertext(text: str, box: SecretBox) -> str | None:
    try:
        return box.encrypt(box.decrypt(text))
    except CannotDecrypt:
        return None
