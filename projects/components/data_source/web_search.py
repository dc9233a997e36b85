"""Web Search: the web, the news, or a feed, without a key."""

from __future__ import annotations

from projects.components.conversion import plain_text
from projects.components.data_source import searches
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Table

MODES = ("Web", "News", "RSS")


class UnifiedWebSearch(Component):
    """Web: title, link, snippet and the pages' text. News and RSS: title, link, published and summary."""

    type = "UnifiedWebSearch"
    display_name = "Web Search"
    description = "Searches the web or the news, or reads an RSS feed."
    category = "data_source"
    icon = "search"
    aliases = ("UnifiedWebSearchComponent",)
    reads_world = True
    declared_inputs = (
        Input(
            "search_mode",
            InputKind.STRING,
            "Search Mode",
            "Web (DuckDuckGo), News (Google News) or RSS (a feed's address as the query).",
            default="Web",
            options=MODES,
            tool_mode=True,
            field_type="tab",
        ),
        Input("query", display_name="Search Query", info="Words to search for, or the address of a feed.", required=True, tool_mode=True),
        Input("hl", display_name="Language (hl)", info="Language of the news, for example en-US.", advanced=True),
        Input("gl", display_name="Country (gl)", info="Country of the news, for example US.", advanced=True),
        Input("ceid", display_name="Country:Language (ceid)", info="Both, for example US:en.", default="US:en", advanced=True),
        Input("topic", display_name="Topic", info=f"News of one topic: {', '.join(searches.TOPICS)}.", advanced=True),
        Input("location", display_name="Location", info="News of a city or country.", advanced=True),
        Input("max_results", InputKind.INTEGER, "Max Results", "0 gives all.", default=5, advanced=True, field_type="int"),
        Input("max_content_length", InputKind.INTEGER, "Max Content Length", "0 gives all.", default=2000, advanced=True, field_type="int"),
        Input("timeout", InputKind.INTEGER, "Timeout", "Seconds for each call.", default=5, advanced=True, field_type="int"),
    )
    declared_outputs = (Output("results", "perform_search", ("DataFrame", "Table"), "Results"),)

    async def perform_search(self) -> Table:
        query = plain_text(self.inputs.get("query"))
        bounds = bounds_of(self)
        match str(self.inputs.get("search_mode") or "Web").strip().lower():
            case "news":
                return await search_news(self, query, bounds)
            case "rss":
                return await searches.read_feed(self, query, bounds)
            case _:
                return await searches.search_web(self, query, bounds)


def bounds_of(component: Component) -> searches.Bounds:
    """From the fields; a component without one of them takes the default."""
    given = component.inputs
    return searches.Bounds(
        results=_number(given.get("max_results"), 5),
        characters=_number(given.get("max_content_length"), 2_000),
        seconds=_number(given.get("timeout"), 5) or 5,
    )


async def search_news(component: Component, query: str, bounds: searches.Bounds) -> Table:
    given = component.inputs
    return await searches.search_news(
        component,
        query=query,
        topic=plain_text(given.get("topic")),
        location=plain_text(given.get("location")),
        edition=searches.NewsEdition(
            plain_text(given.get("hl")) or "en-US", plain_text(given.get("gl")) or "US", plain_text(given.get("ceid")) or "US:en"
        ),
        bounds=bounds,
    )


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and value >= 0 else default
