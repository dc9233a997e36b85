"""Web Search as it was before it took in news and feeds."""

from __future__ import annotations

from projects.components.conversion import plain_text
from projects.components.data_source import searches
from projects.components.data_source.web_search import bounds_of
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Table


class WebSearchNoAPI(Component):
    """The web by DuckDuckGo, with the text of the pages."""

    type = "WebSearchNoAPI"
    display_name = "Web Search"
    description = "Searches the web without a key."
    category = "data_source"
    icon = "search"
    aliases = ("WebSearchComponent",)
    legacy = True
    reads_world = True
    declared_inputs = (
        Input("query", display_name="Search Query", info="Words to search for.", required=True, tool_mode=True),
        Input("timeout", InputKind.INTEGER, "Timeout", "Seconds for each call.", default=5, advanced=True, field_type="int"),
    )
    declared_outputs = (Output("results", "perform_search", ("DataFrame", "Table"), "Search Results"),)

    async def perform_search(self) -> Table:
        return await searches.search_web(self, plain_text(self.inputs.get("query")), bounds_of(self))
