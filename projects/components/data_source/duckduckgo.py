"""DuckDuckGo Search: what DuckDuckGo says of the pages it finds, without reading them."""

from __future__ import annotations

from projects.components.conversion import plain_text
from projects.components.data_source import searches
from projects.components.data_source.web_search import bounds_of
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Data, Message, Row, Table

DEFAULT_SNIPPET = 100  # characters


class DuckDuckGoSearch(Component):
    """A row for each result; `text` and `snippet` are cut, `content` is whole."""

    type = "DuckDuckGoSearchComponent"
    display_name = "DuckDuckGo Search"
    description = "Searches the web with DuckDuckGo."
    category = "data_source"
    icon = "search"
    aliases = ("DuckDuckGoSearch",)
    legacy = True
    reads_world = True
    declared_inputs = (
        Input("input_value", display_name="Search Query", info="Words to search for.", required=True, tool_mode=True),
        Input("max_results", InputKind.INTEGER, "Max Results", "0 gives all.", default=5, advanced=True, field_type="int"),
        Input(
            "max_snippet_length",
            InputKind.INTEGER,
            "Max Snippet Length",
            "Characters of each snippet; 0 gives all.",
            default=DEFAULT_SNIPPET,
            advanced=True,
            field_type="int",
        ),
    )
    declared_outputs = (
        Output("dataframe", "fetch_content_dataframe", ("DataFrame", "Table"), "DataFrame"),
        Output("data", "fetch_content", ("Data", "JSON"), "Data", tool_mode=False),  # in older documents
        Output("text", "fetch_content_text", ("Message",), "Text", tool_mode=False),  # in older documents
    )
    _rows: list[Row] | None = None

    async def fetch_content_dataframe(self) -> Table:
        return Table(rows=await self._found(), columns=["text", "content", "snippet", "title", "link"])

    async def fetch_content(self) -> list[Data]:
        return [Data(data=dict(row)) for row in await self._found()]

    async def fetch_content_text(self) -> Message:
        return Message(text="\n".join(row["text"] for row in await self._found()))

    async def _found(self) -> list[Row]:
        """Asked once for all outputs."""
        if self._rows is None:
            longest = self.inputs.get("max_snippet_length")
            end = longest if isinstance(longest, int) and longest > 0 else None
            found = await searches.search_snippets(self, plain_text(self.inputs.get("input_value")), bounds_of(self))
            self._rows = [
                {
                    "text": row["snippet"][:end],
                    "content": row["snippet"],
                    "snippet": row["snippet"][:end],
                    "title": row["title"],
                    "link": row["link"],
                }
                for row in found
            ]
        return self._rows
