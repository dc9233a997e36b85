"""RSS Reader: the entries of a feed."""

from __future__ import annotations

from dataclasses import replace

from projects.components.conversion import plain_text
from projects.components.data_source import searches
from projects.components.data_source.web_search import bounds_of
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Table


class RSSReader(Component):
    """RSS and Atom."""

    type = "RSSReaderSimple"
    display_name = "RSS Reader"
    description = "Reads an RSS or Atom feed."
    category = "data_source"
    icon = "rss"
    aliases = ("RSSReaderComponent",)
    legacy = True
    reads_world = True
    declared_inputs = (
        Input("rss_url", display_name="RSS Feed URL", info="The feed's address.", required=True, tool_mode=True),
        Input("timeout", InputKind.INTEGER, "Timeout", "Seconds for the call.", default=5, advanced=True, field_type="int"),
    )
    declared_outputs = (Output("articles", "read_rss", ("DataFrame", "Table"), "Articles"),)

    async def read_rss(self) -> Table:
        bounds = replace(bounds_of(self), results=0, characters=0)
        return await searches.read_feed(self, plain_text(self.inputs.get("rss_url")), bounds)
