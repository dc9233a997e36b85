"""URL: the text of web pages, and of the pages they link to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urldefrag, urljoin, urlsplit

from projects.components import html_pages
from projects.components.conversion import texts_of
from projects.components.web_calls import USER_AGENT, guarded_call, header_pairs, page_text, refuse_bad_status, with_scheme
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Message, Row, Table
from projects.errors import AddressRefused, LimitReached

if TYPE_CHECKING:
    import httpx

MAX_PAGES = 100
MAX_DEPTH = 5
AT_ONCE = 5
MAX_CHARACTERS = 2_000_000  # of one page
MAX_CHARACTERS_IN_ALL = 20_000_000
COLUMNS = ["text", "url", "title", "description", "content_type", "language"]

_PAGES = frozenset(("text/html", "application/xhtml+xml"))
_TEXTS = ("text/", "application/json", "application/xml", "application/rss", "application/atom", "application/ld+json")
_NO_READING = frozenset(("text/css", "text/javascript"))


@dataclass(frozen=True, slots=True)
class _Page:
    row: Row
    links: tuple[str, ...]


class URLComponent(Component):
    """Depth 1 is the given pages alone. At most 100 pages a run; a page is read once, whatever links to it."""

    type = "URLComponent"
    display_name = "URL"
    description = "Reads web pages, and pages that they link to."
    category = "data_source"
    icon = "layout-template"
    reads_world = True
    declared_inputs = (
        Input("urls", display_name="URLs", info="One or more web addresses.", is_list=True, tool_mode=True),
        Input(
            "max_depth",
            InputKind.NUMBER,
            "Depth",
            f"How many links away from the given pages, 1 to {MAX_DEPTH}; 1 is these pages alone.",
            default=1,
            field_type="slider",
        ),
        Input("prevent_outside", InputKind.BOOLEAN, "Prevent Outside", "Stay on the host.", default=True, advanced=True, field_type="bool"),
        Input("use_async", InputKind.BOOLEAN, "Use Async", "Pages are always read side by side.", default=True, advanced=True),
        Input("format", InputKind.STRING, "Output Format", "What to give.", default="Text", options=("Text", "HTML", "Markdown")),
        Input("timeout", InputKind.INTEGER, "Timeout", "Seconds for each page.", default=30, advanced=True, field_type="int"),
        Input("headers", InputKind.ANY, "Headers", "Sent with each request.", advanced=True, field_type="table"),
        Input(
            "filter_text_html",
            InputKind.BOOLEAN,
            "Filter Text/HTML",
            "Leave out style sheets and scripts.",
            default=True,
            advanced=True,
            field_type="bool",
        ),
        Input("continue_on_failure", InputKind.BOOLEAN, "Continue on Failure", default=True, advanced=True, field_type="bool"),
        Input("check_response_status", InputKind.BOOLEAN, "Check Response Status", default=False, advanced=True, field_type="bool"),
        Input("autoset_encoding", InputKind.BOOLEAN, "Autoset Encoding", default=True, advanced=True, field_type="bool"),
        Input("follow_redirects", InputKind.BOOLEAN, "Follow Redirects", default=True, advanced=True, field_type="bool"),
    )
    declared_outputs: ClassVar[tuple[Output, ...]] = (
        Output("page_results", "fetch_content", ("DataFrame", "Table"), "Extracted Pages"),
        Output("raw_results", "fetch_content_as_message", ("Message",), "Raw Content", tool_mode=False),
    )

    _rows: list[Row] | None = None
    _characters = 0

    async def fetch_content(self) -> Table | list[Data]:
        return Table(rows=await self._read(), columns=list(COLUMNS))

    async def fetch_content_as_message(self) -> Message:
        rows = await self._read()
        return Message(text="\n\n".join(row["text"] for row in rows), data={"results": rows})

    async def _read(self) -> list[Row]:
        """Once a build, for however many outputs."""
        if self._rows is None:
            self._rows = await self._crawl()
        return self._rows

    async def _crawl(self) -> list[Row]:
        roots = list(dict.fromkeys(urldefrag(with_scheme(url))[0] for url in texts_of(self.inputs.get("urls")) if url.strip()))
        if not roots:
            raise ComponentError("There is no address to read: set the URLs.")
        hosts = {urlsplit(root).hostname for root in roots}
        depth = max(1, min(MAX_DEPTH, int(self.inputs.get("max_depth") or 1)))
        seen = dict.fromkeys(roots[:MAX_PAGES])
        level, rows = list(seen), list[Row]()
        failures: list[ComponentError] = []
        async with self.context.http_client(
            timeout_seconds=self.inputs.get("timeout") or 30, follow_redirects=bool(self.inputs.get("follow_redirects", True))
        ) as client:
            for step in range(depth):
                pages = await self._level(client, level, failures, is_root=step == 0)
                rows += [page.row for page in pages]
                level = []
                for page in pages:
                    for link in page.links:
                        if len(seen) >= MAX_PAGES or step + 1 == depth:
                            break
                        if link not in seen and (not self.inputs.get("prevent_outside", True) or urlsplit(link).hostname in hosts):
                            seen[link] = None
                            level.append(link)
                if not level:
                    break
        if not rows:
            raise ComponentError(str(failures[0]) if failures else "None of the pages holds text.")
        for failure in failures:
            self.log(str(failure), name="Left out")
        return rows

    async def _level(self, client: httpx.AsyncClient, urls: list[str], failures: list[ComponentError], *, is_root: bool) -> list[_Page]:
        """The pages of one depth, in the order of their addresses."""
        room = asyncio.Semaphore(AT_ONCE)
        goes_on = bool(self.inputs.get("continue_on_failure", True))

        async def one(url: str) -> _Page | ComponentError | None:
            async with room:
                try:
                    return await self._page(client, url)
                except ComponentError as error:
                    return error
                except (AddressRefused, LimitReached) as error:
                    if is_root:
                        raise  # what the flow or its caller asked for itself
                    return ComponentError(error.message)

        tasks = [asyncio.ensure_future(one(url)) for url in urls]
        try:
            found = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        for result in found:
            if isinstance(result, ComponentError):
                if not goes_on:
                    raise result
                failures.append(result)
        return [result for result in found if isinstance(result, _Page)]

    async def _page(self, client: httpx.AsyncClient, url: str) -> _Page | None:
        if self._characters >= MAX_CHARACTERS_IN_ALL:
            raise ComponentError(f"{url} was not read any more: {self._characters:,} characters had been.")
        headers = {"User-Agent": USER_AGENT, **header_pairs(self.inputs.get("headers"))}
        async with guarded_call(self, url):
            response = await client.get(url, headers=headers)
        if self.inputs.get("check_response_status"):
            refuse_bad_status(response, url)
        kind = response.headers.get("content-type", "text/html").partition(";")[0].strip().lower()
        if not (kind in _PAGES or kind.startswith(_TEXTS)):
            raise ComponentError(f"{url} is no text but {kind}; use API Request with Save to File.")
        if kind in _NO_READING and self.inputs.get("filter_text_html", True):
            return None
        body = page_text(response, detect=bool(self.inputs.get("autoset_encoding", True)))[:MAX_CHARACTERS]
        self._characters += len(body)
        wanted = str(self.inputs.get("format") or "Text")
        if kind not in _PAGES:
            return _Page(_row(body, url, html_pages.Page(text=body), kind), ())
        page = await asyncio.to_thread(html_pages.read, body, markdown=wanted == "Markdown")
        text = body if wanted in ("HTML", "Raw", "Raw HTML") else page.text
        return _Page(_row(text, url, page, kind), tuple(_followed(str(response.url), page.links)))


def _row(text: str, url: str, page: html_pages.Page, kind: str) -> Row:
    return {
        "text": text,
        "url": url,
        "title": page.title,
        "description": page.description,
        "content_type": kind,
        "language": page.language,
    }


def _followed(base: str, links: tuple[str, ...]) -> list[str]:
    found: dict[str, None] = {}
    for link in links:
        try:
            target = urldefrag(urljoin(base, link))[0]
            if urlsplit(target).scheme in ("http", "https"):
                found[target] = None
        except ValueError:
            continue  # no address at all
    return list(found)


class LegacyURL(URLComponent):
    """The component's older type, with the outputs it had then."""

    type = "URL"
    legacy = True
    declared_outputs = (
        Output("data", "fetch_content", ("Data", "JSON"), "Data"),
        Output("text", "fetch_content_text", ("Message",), "Message"),
        Output("dataframe", "as_dataframe", ("DataFrame", "Table"), "DataFrame"),
    )

    async def fetch_content(self) -> list[Data]:
        return [Data(data=dict(row)) for row in await self._read()]

    async def fetch_content_text(self) -> Message:
        return await self.fetch_content_as_message()

    async def as_dataframe(self) -> Table:
        return Table(rows=await self._read(), columns=list(COLUMNS))
