"""arXiv: papers by words, title, abstract, author or category."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from projects.components import safe_xml
from projects.components.conversion import plain_text
from projects.components.web_calls import USER_AGENT, guarded_call, refuse_bad_status
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Row, Table

if TYPE_CHECKING:
    from projects.components.safe_xml import Element

ARXIV = "https://export.arxiv.org/api/query"
MAX_RESULTS = 100
SECONDS = 30
COLUMNS = [
    *("id", "title", "summary", "published", "updated", "authors", "arxiv_url", "pdf_url", "comment", "journal_ref"),
    *("primary_category", "categories"),
]

_FIELDS = {"all": "all", "title": "ti", "abstract": "abs", "author": "au", "cat": "cat"}
_WHITE = re.compile(r"\s+")


class ArXiv(Component):
    """A row for each paper, the best match first."""

    type = "ArXivComponent"
    display_name = "arXiv"
    description = "Finds papers on arXiv.org."
    category = "data_source"
    icon = "arXiv"
    reads_world = True
    declared_inputs = (
        Input("search_query", display_name="Search Query", info="For example: quantum computing.", tool_mode=True),
        Input("search_type", InputKind.STRING, "Search Field", "Where to look.", default="all", options=tuple(_FIELDS)),
        Input("max_results", InputKind.INTEGER, "Max Results", f"At most {MAX_RESULTS}.", default=10, field_type="int"),
    )
    declared_outputs = (
        Output("dataframe", "search_papers_dataframe", ("DataFrame", "Table"), "DataFrame"),
        Output("data", "search_papers", ("Data", "JSON"), "Data", tool_mode=False),  # in older documents
    )

    _rows: list[Row] | None = None

    async def search_papers_dataframe(self) -> Table:
        return Table(rows=await self._search(), columns=list(COLUMNS))

    async def search_papers(self) -> list[Data]:
        return [Data(data={**row, "text": row["summary"]}) for row in await self._search()]

    async def _search(self) -> list[Row]:
        if self._rows is not None:
            return self._rows
        query = plain_text(self.inputs.get("search_query")).strip()
        if not query:
            raise ComponentError("There is nothing to search for: the query is empty.")
        field = _FIELDS.get(str(self.inputs.get("search_type") or "all"), "all")
        wanted = max(1, min(MAX_RESULTS, self.inputs.get("max_results") or 10))
        address = f"{ARXIV}?{urlencode({'search_query': f'{field}:{query}', 'max_results': wanted})}"
        async with (
            guarded_call(self, "arXiv"),
            self.context.http_client(timeout_seconds=SECONDS, follow_redirects=True) as client,
        ):
            response = await client.get(address, headers={"User-Agent": USER_AGENT})
        refuse_bad_status(response, "arXiv")
        try:
            feed = await asyncio.to_thread(safe_xml.parse, response.content)
        except safe_xml.UnreadableXml as error:
            raise ComponentError(f"arXiv gave an answer that cannot be read. {error}") from None
        self._rows = [_paper(entry) for entry in feed.find_all("entry")]
        return self._rows


def _paper(entry: Element) -> Row:
    links = list(entry.find_all("link"))
    primary = entry.find("arxiv:primary_category")
    return {
        "id": entry.text_of("id"),
        "title": _WHITE.sub(" ", entry.text_of("title")),
        "summary": _WHITE.sub(" ", entry.text_of("summary")),
        "published": entry.text_of("published"),
        "updated": entry.text_of("updated"),
        "authors": [author.text_of("name") for author in entry.find_all("author")],
        "arxiv_url": next((link.attributes.get("href") for link in links if link.attributes.get("rel") == "alternate"), None),
        "pdf_url": next((link.attributes.get("href") for link in links if link.attributes.get("title") == "pdf"), None),
        "comment": entry.text_of("arxiv:comment") or None,
        "journal_ref": entry.text_of("arxiv:journal_ref") or None,
        "primary_category": primary.attributes.get("term") if primary is not None else None,
        "categories": [category.attributes.get("term", "") for category in entry.find_all("category")],
    }
