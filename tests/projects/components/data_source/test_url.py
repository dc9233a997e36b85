"""URL: pages as text, and the pages they link to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from projects.components.data_source import url as url_component
from projects.components.data_source.url import LegacyURL, URLComponent
from projects.engine.component import ComponentError
from projects.engine.values import Table
from projects.errors import AddressRefused
from tests.fakes import FakeRunContext, build, output_of
from tests.projects.components.data_source.web import closed_run, loopback_run
from tests.web_server import Answer, WebServer, redirect, web_server

PAGE = """<html lang="en"><head><title>Rivers &amp; Lakes</title><meta name="description" content="About water">
<style>p {color: red}</style></head><body><h1>Rivers</h1><p>A <b>long</b>
river.</p><script>alert(1)</script><a href="/two#part">Next</a> <a href="mailto:a@b">mail</a> <a href="http://other.invalid/">away</a>
</body></html>"""


@pytest.fixture
async def web() -> AsyncIterator[WebServer]:
    async with web_server() as server:
        server.pages["/"] = PAGE
        server.pages["/two"] = '<p>Second <a href="/three">on</a> <a href="/">back</a></p>'
        server.pages["/three"] = "<p>Third</p>"
        yield server


async def pages(web: WebServer, *, context: FakeRunContext | None = None, urls: Any = None, **inputs: Any) -> Table:
    table = await output_of(build(URLComponent, context=context or loopback_run(), urls=urls or [f"{web.address}/"], **inputs))
    assert isinstance(table, Table)
    return table


async def test_a_page_is_a_row_of_text_and_what_is_known_of_it(web: WebServer) -> None:
    table = await pages(web)
    assert table.columns == ["text", "url", "title", "description", "content_type", "language"]
    assert table.rows == [
        {
            "text": "Rivers\n\nA long river.\n\nNext mail away",
            "url": f"{web.address}/",
            "title": "Rivers & Lakes",
            "description": "About water",
            "content_type": "text/html",
            "language": "en",
        }
    ]


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("HTML", PAGE),
        ("Markdown", "# Rivers\n\nA **long** river.\n\n[Next](/two#part) [mail](mailto:a@b) [away](http://other.invalid/)"),
    ],
)
async def test_a_page_can_be_had_as_it_is_and_as_markdown(web: WebServer, wanted: str, text: str) -> None:
    assert (await pages(web, format=wanted)).rows[0]["text"] == text


@pytest.mark.parametrize(("depth", "read"), [(1, ["/"]), (2, ["/", "/two"]), (3, ["/", "/two", "/three"]), (99, ["/", "/two", "/three"])])
async def test_links_are_followed_to_the_depth_and_each_page_is_read_once(web: WebServer, depth: int, read: list[str]) -> None:
    table = await pages(web, max_depth=depth)
    assert [row["url"].removeprefix(web.address) for row in table.rows] == read
    assert sorted(hit.path for hit in web.hits) == sorted(read)


async def test_other_hosts_are_left_alone_unless_wanted(web: WebServer) -> None:
    node = build(URLComponent, context=loopback_run(), urls=[web.address], max_depth=2, prevent_outside=False)
    await output_of(node)
    assert any("other.invalid" in entry["message"] for entry in node.log_entries)


async def test_a_crawl_ends_at_its_bound(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_component, "MAX_PAGES", 7)
    web.pages["*"] = lambda hit: "".join(f'<a href="{hit.path}{number}">x</a>' for number in range(5))
    assert len((await pages(web, urls=[f"{web.address}/n"], max_depth=5)).rows) == 7
    assert len(web.hits) == 7


async def test_a_crawl_ends_when_it_has_read_enough(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_component, "MAX_CHARACTERS_IN_ALL", 10)
    node = build(URLComponent, context=loopback_run(), urls=[f"{web.address}/"], max_depth=3)
    assert len((await output_of(node)).rows) == 1
    assert "was not read any more" in node.log_entries[0]["message"]


async def test_several_addresses_keep_their_order_and_failures_are_left_out(web: WebServer) -> None:
    urls = [f"{web.address}/three", "http://127.0.0.1:1/", f"{web.address}/two", f"{web.address}/three#again"]
    table = await pages(web, urls=urls)
    assert [row["text"] for row in table.rows] == ["Third", "Second on back"]
    with pytest.raises(ComponentError, match=r"http://127\.0\.0\.1:1/ could not be read"):
        await pages(web, urls=urls, continue_on_failure=False)


async def test_nothing_readable_is_an_error_and_says_why(web: WebServer) -> None:
    web.pages["/picture"] = Answer(b"\x89PNG", content_type="image/png")
    with pytest.raises(ComponentError, match="is no text but image/png"):
        await pages(web, urls=f"{web.address}/picture")
    with pytest.raises(ComponentError, match="status 404"):
        await pages(web, urls=f"{web.address}/missing", check_response_status=True)
    assert (await pages(web, urls=f"{web.address}/missing")).rows[0]["text"] == "no such page"
    with pytest.raises(ComponentError, match="no address to read"):
        await pages(web, urls=[" "])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html; charset=latin-1", "<p>café</p>".encode("latin-1")),
        ("text/html", '<meta charset="latin-1"><p>café</p>'.encode("latin-1")),
        ("text/html", "<p>café</p>".encode()),
        ("text/plain", "café".encode()),
    ],
)
async def test_a_pages_own_encoding_is_used(web: WebServer, content_type: str, body: bytes) -> None:
    web.pages["/"] = Answer(body, content_type=content_type)
    assert (await pages(web)).rows[0]["text"] == "café"


async def test_headers_are_sent_and_empty_ones_are_not(web: WebServer) -> None:
    await pages(web, headers=[{"key": "User-Agent", "value": None}, {"key": "X-Team", "value": "blue"}])
    assert "Headwater" in web.hits[0].headers["user-agent"]
    assert web.hits[0].headers["x-team"] == "blue"


async def test_a_private_address_is_refused(web: WebServer) -> None:
    with pytest.raises(AddressRefused, match="allowed_addresses"):
        await pages(web, context=closed_run())
    assert web.connections == 0


async def test_links_and_redirects_into_private_addresses_get_no_hit(web: WebServer) -> None:
    async with web_server() as canary:
        web.pages["/"] = f'<a href="{canary.address}/">in</a><a href="/hop">hop</a>'
        web.pages["/hop"] = redirect(f"{canary.address}/")
        context = loopback_run(f"127.0.0.1:{web.port}")
        table = await pages(web, context=context, max_depth=2, prevent_outside=False)
        assert len(table.rows) == 1
        assert canary.connections == 0


async def test_raw_content_joins_the_pages(web: WebServer) -> None:
    node = build(URLComponent, context=loopback_run(), urls=[f"{web.address}/two", f"{web.address}/three"])
    assert (await output_of(node, "raw_results")).text == "Second on back\n\nThird"
    assert len((await output_of(node, "page_results")).rows) == 2
    assert len(web.hits) == 2  # read once for both outputs


async def test_the_older_type_keeps_its_outputs(web: WebServer) -> None:
    node = build(LegacyURL, context=loopback_run(), urls=[f"{web.address}/three"])
    # Agents know its tools by these names.
    assert [output.method for output in LegacyURL.declared_outputs] == ["fetch_content", "fetch_content_text", "as_dataframe"]
    assert [data.text for data in await output_of(node, "data")] == ["Third"]
    assert (await output_of(node, "text")).text == "Third"
    assert (await output_of(node, "dataframe")).rows[0]["text"] == "Third"
