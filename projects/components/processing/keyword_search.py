"""Keyword Search: the rows of a table that hold given words, those with the most of them first."""

from __future__ import annotations

from projects.components.conversion import plain_text, read_json, table_of
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Table

MATCH_TYPES = ("coverage", "any", "all")


class KeywordSearch(Component):
    """`coverage` orders by how many of the keywords a row has, `any` keeps the table's order, `all` wants every one of them."""

    type = "DataFrameKeywordSearch"
    display_name = "Keyword Search"
    description = "Finds the rows of a table that hold the keywords."
    category = "processing"
    icon = "search"
    stands_for_edited = True
    declared_inputs = (
        Input(
            "dataframe", InputKind.TABLE, "Table", "The rows to search.", required=True, types=("DataFrame", "Table"), field_type="other"
        ),
        Input("column", display_name="Column", info="The column to search; empty: all of them.", default="", tool_mode=True),
        Input(
            "keywords",
            display_name="Keywords",
            info='The words, as a JSON list such as ["red", "door"] or divided by commas.',
            required=True,
            tool_mode=True,
        ),
        Input("match_type", InputKind.STRING, "Match Type", "Which rows count.", default="coverage", options=MATCH_TYPES, tool_mode=True),
        Input("case_sensitive", InputKind.BOOLEAN, "Case Sensitive", default=False, field_type="bool", tool_mode=True),
        Input("number_candidates", InputKind.INTEGER, "Number of Rows", "How many to give.", default=10, field_type="int", tool_mode=True),
    )
    declared_outputs = (Output("results", "search_keywords", ("DataFrame", "Table"), "Results"),)

    async def search_keywords(self) -> Table:
        table = table_of(self.inputs.get("dataframe"))
        column = plain_text(self.inputs.get("column")).strip()
        if column and table.rows and column not in table.columns:
            raise ComponentError(f"There is no column {column!r}; there are: {', '.join(table.columns)}.")
        match = str(self.inputs.get("match_type") or "coverage")
        if match not in MATCH_TYPES:
            raise ComponentError(f"The match type {match!r} is unknown; choose one of {', '.join(MATCH_TYPES)}.")
        is_exact = bool(self.inputs.get("case_sensitive"))
        words = [word if is_exact else word.lower() for word in _words(plain_text(self.inputs.get("keywords")))]
        counts: list[tuple[int, int]] = []  # how many of the words, and the row's place
        for place, row in enumerate(table.rows):
            text = "\n".join(plain_text(row.get(name)) for name in ([column] if column else table.columns))
            held = sum(word in (text if is_exact else text.lower()) for word in words)
            if held and (match != "all" or held == len(words)):
                counts.append((-held if match == "coverage" else 0, place))
        given = self.inputs.get("number_candidates")
        limit = 10 if given is None or given == "" else max(1, int(given))
        return Table(rows=[table.rows[place] for _, place in sorted(counts)[:limit]], columns=table.columns)


def _words(text: str) -> list[str]:
    try:
        read = read_json(text)
    except ValueError:
        read = None
    given = [plain_text(item) for item in read] if isinstance(read, list) else text.split(",")
    words = list(dict.fromkeys(word for item in given if (word := item.strip())))
    if not words:
        raise ComponentError("There is nothing to search for: give at least one keyword.")
    return words
