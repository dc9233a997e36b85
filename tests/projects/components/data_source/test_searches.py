"""Web Search and its ancestors, feeds, arXiv, Wikipedia: the services are played by functions."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from projects.components.data_source.arxiv import ArXiv
from projects.components.data_source.duckduckgo import DuckDuckGoSearch
from projects.components.data_source.news_search import NewsSearch
from projects.components.data_source.rss_reader import RSSReader
from projects.components.data_source.web_search import UnifiedWebSearch
from projects.components.data_source.web_search_no_api import WebSearchNoAPI
from projects.components.data_source.wikipedia import Wikipedia, WikipediaTool
from projects.engine.component import ComponentError
from projects.errors import AddressRefused
from tests.fakes import FakeRunContext, build, output_of
from tests.projects.components.data_source.web import answered_run, closed_run, loopback_run
from tests.web_server import Answer, web_server

RESULTS = """<div class="result"><h2>
<a class="result__a" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fone.example%2Fa%3Fb%3D1&amp;rut=x">One
 <b>page</b></a></h2><a class="result__snippet" href="x">About <b>one</b> &amp; more</a></div>
<div class="result result--ad"><a class="result__a" href="//duckduckgo.com/y.js?ad_domain=x">Buy</a><a class="result__snippet">ad</a></div>
<div class="result"><a class="result__a" href="https://two.example/">Two</a><a class="result__snippet">About two</a></div>"""

RSS = """<?xml version="1.0"?><rss xmlns:media="http://m"><channel><title>Feed</title>
<item><title>First &amp; best</title><media:title>other</media:title><link>https://n.example/1</link><pubDate>Mon, 01 Jan 2024</pubDate>
<description><![CDATA[<p>Short <b>text</b></p>]]></description></item>
<item><title>Second</title><link>https://n.example/2</link></item></channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>F</title><entry><title>Only</title><link rel="self" href="https://a.example/self"/>
<link href="https://a.example/1"/><updated>2024-01-01</updated><summary type="html">&lt;i&gt;hi&lt;/i&gt;</summary></entry></feed>"""


def the_web(request: httpx.Request) -> httpx.Response:
    """DuckDuckGo and the pages it found."""
    match request.url.host:
        case "html.duckduckgo.com":
            assert request.url.params["q"] == "rivers & lakes"
            return httpx.Response(200, html=RESULTS)
        case "one.example":
            return httpx.Response(200, html="<title>t</title><p>Long page</p>")
        case _:
            return httpx.Response(503)


async def test_the_web_is_searched_and_pages_are_read() -> None:
    node = build(UnifiedWebSearch, context=answered_run(the_web), query="rivers & lakes")
    table = await output_of(node)
    assert table.columns == ["title", "link", "snippet", "content"]
    assert table.rows == [
        {"title": "One\n page", "link": "https://one.example/a?b=1", "snippet": "About one & more", "content": "Long page"},
        {"title": "Two", "link": "https://two.example/", "snippet": "About two", "content": ""},
    ]
    assert "status 503" in node.log_entries[0]["message"]


async def test_results_and_their_text_are_bounded() -> None:
    node = build(UnifiedWebSearch, context=answered_run(the_web), query="rivers & lakes", max_results=1, max_content_length=4)
    table = await output_of(node)
    assert [row["content"] for row in table.rows] == ["Long"]


async def test_duckduckgo_s_own_node_gives_snippets_and_reads_no_page() -> None:
    node = build(DuckDuckGoSearch, context=answered_run(the_web), input_value="rivers & lakes", max_snippet_length=5)
    table = await output_of(node)
    first = {"text": "About", "content": "About one & more", "snippet": "About", "title": "One\n page", "link": "https://one.example/a?b=1"}
    assert [table.rows[0], len(table.rows), node.log_entries] == [first, 2, []]
    assert (await output_of(node, "text")).text == "About\nAbout"
    assert [data.data["link"] for data in await output_of(node, "data")] == [row["link"] for row in table.rows]


async def test_the_older_web_search_gives_the_same_rows() -> None:
    table = await output_of(build(WebSearchNoAPI, context=answered_run(the_web), query="rivers & lakes"))
    assert [row["title"] for row in table.rows] == ["One\n page", "Two"]


@pytest.mark.parametrize(
    ("inputs", "target"),
    [
        ({"query": "a b"}, "/rss/search?q=a+b&hl=en-US&gl=US&ceid=US%3Aen"),
        ({"query": "x", "topic": "science"}, "/rss/headlines/section/topic/SCIENCE?hl=en-US&gl=US&ceid=US%3Aen"),
        ({"location": "../a b/c"}, "/rss/headlines/section/geo/..%2Fa%20b%2Fc?hl=en-US&gl=US&ceid=US%3Aen"),
        ({"query": "x", "hl": "fr", "gl": "FR", "ceid": "FR:fr"}, "/rss/search?q=x&hl=fr&gl=FR&ceid=FR%3Afr"),
    ],
)
async def test_news_are_searched_on_the_services_own_host(inputs: dict[str, Any], target: str) -> None:
    asked: list[httpx.URL] = []

    def news(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, content=RSS)

    for node in (
        build(UnifiedWebSearch, context=answered_run(news), search_mode="News", **inputs),
        build(NewsSearch, context=answered_run(news), **inputs),
    ):
        table = await output_of(node)
        assert table.columns == ["title", "link", "published", "summary"]
        assert table.rows[0] == {
            "title": "First & best",
            "link": "https://n.example/1",
            "published": "Mon, 01 Jan 2024",
            "summary": "Short text",
        }
    assert [(url.host, url.raw_path.decode()) for url in asked] == [("news.google.com", target)] * 2


async def test_rss_and_atom_feeds_are_read() -> None:
    async with web_server() as web:
        web.pages["/rss"] = Answer(RSS, content_type="application/rss+xml")
        web.pages["/atom"] = Answer(ATOM, content_type="application/atom+xml")
        table = await output_of(build(RSSReader, context=loopback_run(), rss_url=f"{web.address}/rss"))
        assert [row["title"] for row in table.rows] == ["First & best", "Second"]
        table = await output_of(build(UnifiedWebSearch, context=loopback_run(), search_mode="RSS", query=f"{web.address}/atom"))
        assert table.rows == [{"title": "Only", "link": "https://a.example/1", "published": "2024-01-01", "summary": "hi"}]
        with pytest.raises(AddressRefused):
            await output_of(build(RSSReader, context=closed_run(), rss_url=f"{web.address}/rss"))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss><channel>&b;</channel></rss>', "entities of its own"),
        ('<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><rss>&a;</rss>', "entities of its own"),
        ("<a>" * 1_000, "nested more than"),
        ("<html><p>no feed", "no well-formed XML"),
        ("", "no well-formed XML"),
    ],
)
async def test_a_feed_that_is_none_or_means_harm_is_refused(document: str, reason: str) -> None:
    context = answered_run(lambda request: httpx.Response(200, content=document))
    with pytest.raises(ComponentError, match=reason):
        await output_of(build(RSSReader, context=context, rss_url="feeds.example"))


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"query": ""}, "nothing to search"),
        ({"search_mode": "News"}, "nothing to search"),
        ({"search_mode": "News", "topic": "CATS"}, "is no topic"),
        ({"search_mode": "RSS"}, "no feed to read"),
    ],
)
async def test_an_empty_search_is_an_error(inputs: dict[str, Any], reason: str) -> None:
    with pytest.raises(ComponentError, match=reason):
        await output_of(build(UnifiedWebSearch, context=FakeRunContext(), **inputs))


async def test_a_service_that_wants_a_person_is_told_apart_from_no_results() -> None:
    with pytest.raises(ComponentError, match="proof of being a person"):
        await output_of(build(UnifiedWebSearch, context=answered_run(lambda request: httpx.Response(202, html="robot?")), query="x"))
    table = await output_of(build(UnifiedWebSearch, context=answered_run(lambda request: httpx.Response(200, html="none")), query="x"))
    assert table.rows == []


PAPERS = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom"><title>q</title><entry>
<id>http://arxiv.org/abs/1</id><title>On
  rivers</title><summary> They flow. </summary><published>2024</published><updated>2025</updated>
<author><name>Ann</name></author><author><name>Bob</name></author><arxiv:comment>3 pages</arxiv:comment>
<link href="http://arxiv.org/abs/1" rel="alternate"/><link title="pdf" href="http://arxiv.org/pdf/1" rel="related"/>
<arxiv:primary_category term="x.GEO"/><category term="x.GEO"/><category term="x.H2O"/></entry></feed>"""


async def test_papers_are_found() -> None:
    asked: list[httpx.URL] = []

    def arxiv(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, content=PAPERS)

    node = build(ArXiv, context=answered_run(arxiv), search_query="rivers", search_type="title", max_results=3)
    assert (await output_of(node)).rows == [
        {
            "id": "http://arxiv.org/abs/1",
            "title": "On rivers",
            "summary": "They flow.",
            "published": "2024",
            "updated": "2025",
            "authors": ["Ann", "Bob"],
            "arxiv_url": "http://arxiv.org/abs/1",
            "pdf_url": "http://arxiv.org/pdf/1",
            "comment": "3 pages",
            "journal_ref": None,
            "primary_category": "x.GEO",
            "categories": ["x.GEO", "x.H2O"],
        }
    ]
    assert dict(asked[0].params) == {"search_query": "ti:rivers", "max_results": "3"}
    assert [data.text for data in await output_of(node, "data")] == ["They flow."]
    assert len(asked) == 1


async def test_articles_of_wikipedia_are_found() -> None:
    def wikipedia(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "de.wikipedia.org"
        pages = [
            {"index": 2, "title": "B", "extract": "Second", "fullurl": "https://de.wikipedia.org/wiki/B"},
            {"index": 1, "title": "A", "extract": "First\nline", "fullurl": "https://de.wikipedia.org/wiki/A"},
        ]
        return httpx.Response(200, json={"query": {"pages": pages}})

    node = build(Wikipedia, context=answered_run(wikipedia), input_value="x", lang="de", doc_content_chars_max=8)
    assert (await output_of(node)).rows == [
        {"text": "First\nli", "title": "A", "summary": "First", "source": "https://de.wikipedia.org/wiki/A"},
        {"text": "Second", "title": "B", "summary": "Second", "source": "https://de.wikipedia.org/wiki/B"},
    ]
    assert (await output_of(node, "text")).text == "First\nli\nSecond"
    tool = build(WikipediaTool, context=answered_run(wikipedia), input_value="x", lang="de")
    assert [data.data["title"] for data in await output_of(tool)] == ["A", "B"]
    (handed,) = await output_of(tool, "api_build_tool")
    assert handed.name == "wikipedia_api"
    assert [data.data["title"] for data in await handed.call({"input_value": "rivers"})] == ["A", "B"]


@pytest.mark.parametrize("language", ["evil.example/", "en@evil.example", "a", "../x", "en.evil.example#"])
async def test_a_language_cannot_choose_another_host(language: str) -> None:
    with pytest.raises(ComponentError, match="no language of Wikipedia"):
        await output_of(build(Wikipedia, context=FakeRunContext(), input_value="x", lang=language))
