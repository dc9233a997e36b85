"""News Search: articles from Google News."""

from __future__ import annotations

from dataclasses import replace

from projects.components.conversion import plain_text
from projects.components.data_source import searches
from projects.components.data_source.web_search import bounds_of, search_news
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Table


class NewsSearch(Component):
    """A topic counts before a location, and that before the query."""

    type = "NewsSearch"
    display_name = "News Search"
    description = "Finds news articles."
    category = "data_source"
    icon = "newspaper"
    aliases = ("NewsSearchComponent",)
    legacy = True
    reads_world = True
    declared_inputs = (
        Input("query", display_name="Search Query", info="Words to search for.", tool_mode=True),
        Input("hl", display_name="Language (hl)", info="For example en-US.", advanced=True),
        Input("gl", display_name="Country (gl)", info="For example US.", advanced=True),
        Input("ceid", display_name="Country:Language (ceid)", info="Both, for example US:en.", default="US:en", advanced=True),
        Input("topic", display_name="Topic", info=f"One of {', '.join(searches.TOPICS)}.", advanced=True),
        Input("location", display_name="Location", info="A city or country.", advanced=True),
        Input("timeout", InputKind.INTEGER, "Timeout", "Seconds for the call.", default=5, advanced=True, field_type="int"),
    )
    declared_outputs = (Output("articles", "search_news", ("DataFrame", "Table"), "News Articles"),)

    async def search_news(self) -> Table:
        bounds = replace(bounds_of(self), results=0, characters=0)
        return await search_news(self, plain_text(self.inputs.get("query")), bounds)
