"""Wikipedia: the articles that fit a query best, as text."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from projects.components import built_tool
from projects.components.conversion import plain_text
from projects.components.web_calls import USER_AGENT, guarded_call, refuse_bad_status
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.tools import Tool
from projects.engine.values import Data, Message, Row, Table

WIKIPEDIA = "https://{language}.wikipedia.org/w/api.php"
MAX_ARTICLES = 20
SECONDS = 20

_LANGUAGE = re.compile(r"[a-z][a-z-]{1,15}")  # it becomes part of the host


class Wikipedia(Component):
    """A row for each article, the best match first."""

    type = "WikipediaComponent"
    display_name = "Wikipedia"
    description = "Finds articles of Wikipedia."
    category = "data_source"
    icon = "Wikipedia"
    reads_world = True
    declared_inputs = (
        Input("input_value", display_name="Input", info="What to look for.", tool_mode=True),
        Input("lang", display_name="Language", info="Two letters, as in the address.", default="en"),
        Input("k", InputKind.INTEGER, "Number of results", f"At most {MAX_ARTICLES}.", default=4, required=True, field_type="int"),
        Input("load_all_available_meta", InputKind.BOOLEAN, "Load all available meta", default=False, advanced=True, field_type="bool"),
        Input(
            "doc_content_chars_max",
            InputKind.INTEGER,
            "Document content characters max",
            "Characters of each article.",
            default=4000,
            advanced=True,
            field_type="int",
        ),
    )
    declared_outputs: ClassVar[tuple[Output, ...]] = (
        Output("dataframe", "fetch_content_dataframe", ("DataFrame", "Table"), "DataFrame"),
        Output("data", "fetch_content", ("Data", "JSON"), "Data", tool_mode=False),  # in older documents
        Output("text", "fetch_content_text", ("Message",), "Message", tool_mode=False),
    )

    _rows: list[Row] | None = None

    async def fetch_content_dataframe(self) -> Table:
        return Table(rows=await self._search(), columns=["text", "title", "summary", "source"])

    async def fetch_content(self) -> list[Data]:
        return [Data(data=dict(row)) for row in await self._search()]

    async def fetch_content_text(self) -> Message:
        return Message(text="\n".join(row["text"] for row in await self._search()))

    async def _search(self) -> list[Row]:
        if self._rows is not None:
            return self._rows
        query = plain_text(self.inputs.get("input_value")).strip()
        if not query:
            raise ComponentError("There is nothing to look for: the input is empty.")
        language = plain_text(self.inputs.get("lang") or "en").strip().lower()
        if not _LANGUAGE.fullmatch(language):
            raise ComponentError(f"{language!r} is no language of Wikipedia; write it as in its address, for example en.")
        wanted = max(1, min(MAX_ARTICLES, self.inputs.get("k") or 4))
        async with (
            guarded_call(self, "Wikipedia"),
            self.context.http_client(timeout_seconds=SECONDS, follow_redirects=True) as client,
        ):
            response = await client.get(
                WIKIPEDIA.format(language=language), params=_question(query, wanted), headers={"User-Agent": USER_AGENT}
            )
        refuse_bad_status(response, "Wikipedia")
        try:
            pages = response.json().get("query", {}).get("pages", [])
        except (ValueError, AttributeError):
            raise ComponentError("Wikipedia gave an answer that cannot be read.") from None
        characters = max(0, self.inputs.get("doc_content_chars_max") or 0) or 4_000
        self._rows = [_article(page, characters) for page in sorted(pages, key=lambda page: page.get("index", 0))]
        return self._rows


def _question(query: str, wanted: int) -> dict[str, str]:
    return {
        "action": "query",
        "format": "json",
        "formatversion": "2",
        "generator": "search",
        "gsrsearch": query[:300],
        "gsrlimit": str(wanted),
        "prop": "extracts|info",
        "inprop": "url",
        "explaintext": "1",
        "exlimit": "max",
        "redirects": "1",
    }


def _article(page: dict[str, Any], characters: int) -> Row:
    text = str(page.get("extract", ""))
    return {
        "text": text[:characters],
        "title": page.get("title", ""),
        "summary": text.partition("\n")[0][:characters],
        "source": page.get("fullurl", ""),
    }


class WikipediaTool(Wikipedia):
    """The same under its older type and output name."""

    type = "WikipediaAPI"
    legacy = True
    aliases = ("WikipediaAPIComponent",)
    declared_outputs = (
        Output("api_run_model", "fetch_content", ("Data", "JSON"), "Data"),
        Output("api_build_tool", "build_tool", ("Tool",), "Tool", tool_mode=False),
    )

    async def build_tool(self) -> list[Tool]:
        async def work(text: str) -> list[Data]:
            asked = type(self)(vertex=self.vertex, inputs={**self.inputs, "input_value": text}, context=self.context)
            return await asked.fetch_content()

        return [built_tool.of_one_text(self, name="wikipedia_api", argument="input_value", info="What to look for.", work=work)]
