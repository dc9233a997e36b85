"""Searches that need no key: the web by DuckDuckGo's plain page, news by Google News' feeds, and any RSS or Atom feed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

from projects.components import html_pages, safe_xml
from projects.components.web_calls import USER_AGENT, guarded_call, page_text, refuse_bad_status, with_scheme
from projects.engine.component import Component, ComponentError
from projects.engine.values import Row, Table
from projects.errors import AddressRefused, LimitReached

if TYPE_CHECKING:
    import httpx

DUCKDUCKGO = "https://html.duckduckgo.com/html/"
GOOGLE_NEWS = "https://news.google.com/rss"

TOPICS = ("WORLD", "NATION", "BUSINESS", "TECHNOLOGY", "ENTERTAINMENT", "SCIENCE", "SPORTS", "HEALTH")
WEB_COLUMNS = ["title", "link", "snippet", "content"]
FEED_COLUMNS = ["title", "link", "published", "summary"]
MAX_RESULTS = 100
_PAGE_CHARACTERS = 2_000_000
_HEADERS = {"User-Agent": USER_AGENT}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many results, how many characters of each text, seconds for each call. 0 results or characters: all that there are."""

    results: int = 5
    characters: int = 2_000
    seconds: int = 5

    def cut(self, text: str) -> str:
        return text[: self.characters] if self.characters > 0 else text

    def first(self, rows: list[Row]) -> list[Row]:
        return rows[: self.results if 0 < self.results < MAX_RESULTS else MAX_RESULTS]


@dataclass(frozen=True, slots=True)
class NewsEdition:
    """Which edition of Google News: language, country, and both together as `ceid`."""

    language: str = "en-US"
    country: str = "US"
    ceid: str = "US:en"


async def search_web(component: Component, query: str, bounds: Bounds) -> Table:
    """Results with the text of their pages. A page that cannot be read leaves `content` empty and a line in the log."""
    _check_query(query)
    async with component.context.http_client(timeout_seconds=bounds.seconds, follow_redirects=True) as client:
        rows = await _found(component, client, query, bounds)
        contents = await asyncio.gather(*(_content(component, client, row["link"], bounds) for row in rows))
    return Table(rows=[{**row, "content": content} for row, content in zip(rows, contents, strict=True)], columns=list(WEB_COLUMNS))


async def search_snippets(component: Component, query: str, bounds: Bounds) -> list[Row]:
    """Title, link and snippet of each result; the pages are not read."""
    _check_query(query)
    async with component.context.http_client(timeout_seconds=bounds.seconds, follow_redirects=True) as client:
        return await _found(component, client, query, bounds)


async def search_news(
    component: Component, *, query: str = "", topic: str = "", location: str = "", edition: NewsEdition, bounds: Bounds
) -> Table:
    """Articles on a topic, else of a place, else for a query."""
    language = {"hl": edition.language, "gl": edition.country, "ceid": edition.ceid}
    if topic := topic.strip().upper():
        if topic not in TOPICS:
            raise ComponentError(f"{topic!r} is no topic. Topics are: {', '.join(TOPICS)}.")
        address = f"{GOOGLE_NEWS}/headlines/section/topic/{topic}?{urlencode(language)}"
    elif location.strip():
        address = f"{GOOGLE_NEWS}/headlines/section/geo/{quote(location.strip(), safe='')}?{urlencode(language)}"
    elif query.strip():
        address = f"{GOOGLE_NEWS}/search?{urlencode({'q': query, **language})}"
    else:
        raise ComponentError("There is nothing to search for: give a query, a topic or a location.")
    return await _feed(component, address, "The news search", bounds)


async def read_feed(component: Component, address: str, bounds: Bounds) -> Table:
    if not address.strip():
        raise ComponentError("There is no feed to read: its address is empty.")
    address = with_scheme(address)
    return await _feed(component, address, address, bounds)


async def _feed(component: Component, address: str, shown: str, bounds: Bounds) -> Table:
    async with (
        guarded_call(component, shown),
        component.context.http_client(timeout_seconds=bounds.seconds, follow_redirects=True) as client,
    ):
        response = await client.get(address, headers=_HEADERS)
    refuse_bad_status(response, shown)
    try:
        rows = await asyncio.to_thread(feed_rows, response.content, bounds)
    except safe_xml.UnreadableXml as error:
        raise ComponentError(f"{shown} gave no feed. {error}") from None
    return Table(rows=rows, columns=list(FEED_COLUMNS))


def feed_rows(document: bytes, bounds: Bounds) -> list[Row]:
    """Entries of an RSS or Atom feed. Raises UnreadableXml."""
    root = safe_xml.parse(document)
    entries = [entry for place in (root.find("channel"), root) if place is not None for entry in place.children]
    return bounds.first([_entry(entry, bounds) for entry in entries if entry.name in ("item", "entry")])


def _entry(entry: safe_xml.Element, bounds: Bounds) -> Row:
    summary = entry.text_of("description", "summary", "content:encoded", "content")
    return {
        "title": html_pages.read(entry.text_of("title")).text,
        "link": entry.text_of("link") or _atom_link(entry),
        "published": entry.text_of("pubDate", "published", "updated", "dc:date"),
        "summary": bounds.cut(html_pages.read(summary[:_PAGE_CHARACTERS]).text),
    }


def _atom_link(entry: safe_xml.Element) -> str:
    links = list(entry.find_all("link"))
    chosen = next((link for link in links if link.attributes.get("rel", "alternate") == "alternate"), links[0] if links else None)
    return chosen.attributes.get("href", "") if chosen is not None else ""


def _check_query(query: str) -> None:
    if not query.strip():
        raise ComponentError("There is nothing to search for: the query is empty.")


async def _found(component: Component, client: httpx.AsyncClient, query: str, bounds: Bounds) -> list[Row]:
    async with guarded_call(component, "The web search"):
        response = await client.get(f"{DUCKDUCKGO}?{urlencode({'q': query})}", headers=_HEADERS)
    refuse_bad_status(response, "The web search")
    rows = bounds.first(await asyncio.to_thread(_results, page_text(response)[:_PAGE_CHARACTERS]))
    if not rows and response.status_code != 200:
        raise ComponentError("The web search asks for a proof of being a person, as it does after many searches. Try again later.")
    return rows


async def _content(component: Component, client: httpx.AsyncClient, address: str, bounds: Bounds) -> str:
    try:
        async with guarded_call(component, address):
            response = await client.get(address, headers=_HEADERS)
        refuse_bad_status(response, address)
    except (ComponentError, AddressRefused, LimitReached) as error:
        component.log(str(error), name="Left out")
        return ""
    if "html" not in response.headers.get("content-type", "text/html"):
        return ""
    page = await asyncio.to_thread(html_pages.read, page_text(response)[:_PAGE_CHARACTERS])
    return bounds.cut(page.text)


def _results(html: str) -> list[Row]:
    """Title, link and snippet of each result on DuckDuckGo's plain page; advertisements are left out."""
    rows: list[Row] = []
    row: Row | None = None
    part = ""
    for token in html_pages.tokens(html):
        match token:
            case html_pages.Start("a", attributes):
                classes = attributes.get("class", "").split()
                if "result__a" in classes:
                    link = _target(attributes.get("href", ""))
                    row = {"title": "", "link": link, "snippet": ""} if link else None
                    if row is not None:
                        rows.append(row)
                    part = "title"
                elif "result__snippet" in classes:
                    part = "snippet"
            case html_pages.End("a"):
                part = ""
            case html_pages.Text(text) if part and row is not None:
                row[part] += text
    return [{**found, "title": found["title"].strip(), "snippet": found["snippet"].strip()} for found in rows]


def _target(link: str) -> str:
    """Where a result leads: its links go over a counting page of DuckDuckGo's own."""
    address: Any = urlsplit(urljoin(DUCKDUCKGO, link))
    if (address.hostname or "").endswith("duckduckgo.com"):
        if address.path.startswith("/y.js"):
            return ""  # an advertisement
        given = parse_qs(address.query).get("uddg")
        return given[0] if given else ""
    return str(address.geturl()) if address.scheme in ("http", "https") else ""
