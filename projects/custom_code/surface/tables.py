"""DataFrame (later Table): pandas' class with the constructor and the methods that components' texts use. Needs the extra `code`."""

from __future__ import annotations

from typing import Any, ClassVar

from projects.custom_code.surface.crossing import from_engine as record_from_engine
from projects.custom_code.surface.messages import Message
from projects.custom_code.surface.records import Data
from projects.engine import values

try:
    import pandas
except ImportError as error:
    raise ImportError(
        "Tables in components' code need the package pandas. The operator installs it with: pip install 'headwater[code]'"
    ) from error


_Frame: Any = pandas.DataFrame  # whose stubs promise that nobody asks for its truth


class DataFrame(_Frame):  # type: ignore[misc]
    """From rows as dicts or `Data`, or whatever pandas takes. False when it is empty."""

    _metadata: ClassVar[list[str]] = ["text_key", "default_value"]

    def __init__(self, data: Any = None, *args: Any, text_key: str = "text", default_value: str = "", **options: Any) -> None:
        if isinstance(data, list) and data and all(isinstance(item, Data) for item in data):
            data = [item.data for item in data]
        super().__init__(data, *args, **options)
        self.text_key = text_key
        self.default_value = default_value

    @property
    def _constructor(self) -> Any:
        return DataFrame

    def __bool__(self) -> bool:
        return not self.empty

    def __eq__(self, other: object) -> Any:
        """With a list nothing is equal; else cell by cell, as pandas has it."""
        return False if isinstance(other, list) else super().__eq__(other)

    __hash__: Any = None

    def to_data_list(self) -> list[Data]:
        return [Data(data=row, text_key=self.text_key) for row in self.to_dict(orient="records")]

    def to_data(self) -> Data:
        return Data(data={"results": self.to_dict(orient="records")})

    def to_message(self) -> Message:
        return Message(text=values_text(self))

    def to_lc_documents(self) -> list[Any]:
        return [item.to_lc_document() for item in self.to_data_list()]

    def add_row(self, data: Any) -> DataFrame:
        return self.add_rows([data])

    def add_rows(self, data: list[Any]) -> DataFrame:
        """A longer table; this one stays."""
        rows = [item.data if isinstance(item, Data) else item for item in data]
        both: Any = [self, pandas.DataFrame(rows)]
        return DataFrame(pandas.concat(both, ignore_index=True))

    def smart_column_order(self) -> DataFrame:
        """The columns that say most first: text, then identifiers, then the rest as they were."""
        first = [name for name in (self.text_key, "content", "name", "title", "id") if name in self.columns]
        return DataFrame(self[[*first, *(name for name in self.columns if name not in first)]])


Table = DataFrame


def values_text(table: pandas.DataFrame) -> str:
    """The table as markdown, without the numbers of the rows."""
    from projects.components import markdown_table

    return markdown_table.render(to_engine(table))


def from_engine(table: values.Table) -> DataFrame:
    return DataFrame([record_from_engine(row) for row in table.rows], columns=table.columns or None)


def to_engine(table: pandas.DataFrame) -> values.Table:
    """Rows with Python's own numbers; what is missing becomes None."""
    columns = [str(name) for name in table.columns]
    rows = [{column: _plain(value) for column, value in zip(columns, row, strict=True)} for row in table.itertuples(index=False, name=None)]
    return values.Table(rows, columns)


def _plain(value: Any) -> Any:
    if isinstance(value, list | dict | str | bool | int | bytes) or value is None:
        return value
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if isinstance(value, pandas.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, float) and value != value:
        return None
    return None if value is pandas.NaT else value
