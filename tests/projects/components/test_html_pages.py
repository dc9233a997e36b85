"""Pages as text: what is read of them, and that no page takes long."""

from __future__ import annotations

import time

import pytest

from projects.components import html_pages


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<ul><li>a<li>b</ul>", "a\nb"),
        ("1 < 2 && 3 > 2 &lt;b&gt; &#x41; &nbsp;end", "1 < 2 && 3 > 2 <b> A end"),
        ("<pre>x\n  y</pre>", "x\n  y"),
        ("<table><tr><td>1<td>2<tr><td>3</table>", "1 2\n3"),
        ("a<!-- <p>hidden</p> -->b<!doctype html><?php x ?>c", "abc"),
        ("<script>if (a < b) '</p>'</script>seen<style>x</style><noscript>no</noscript>", "seen"),
        ("<head><title>T</title><body>no end of head", "no end of head"),
        ("<P CLASS=x>Upper</P>", "Upper"),
        ("text<a href='never ends", "text"),
        ("<!-- never ends", ""),
        ("<script>never ends", ""),
    ],
)
def test_pages_are_read_as_people_see_them(html: str, text: str) -> None:
    assert html_pages.read(html).text == text


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("<h2>Head</h2><p>a <em>b</em> <strong>c</strong> <code>d</code></p>", "## Head\n\na *b* **c** `d`"),
        ("<ol><li>a<li>b<ul><li>c</ul></ol>", "1. a\n2. b\n\n- c"),
        ("<a href='/x'>go</a><img src=i.png alt=pic>", "[go](/x)![pic](i.png)"),
        ("<pre>a\n  b</pre>", "```\na\n  b\n```"),
    ],
)
def test_pages_become_markdown(html: str, markdown: str) -> None:
    assert html_pages.read(html, markdown=True).text == markdown


def test_links_are_collected_up_to_a_bound() -> None:
    page = html_pages.read('<a href="/a">1</a><A HREF=/b>2</A><a>3</a><a href="/a">4</a>' + "".join(f"<a href={n}>" for n in range(9_000)))
    assert page.links[:2] == ("/a", "/b")
    assert len(page.links) == html_pages.MAX_LINKS


@pytest.mark.parametrize(
    "part", ["<!--", "<a ", "<a x='", "</", "<", "<script>", "<svg>", "<svg></math>", "&", "&#x", '<a b="', "<![CDATA[", "<p ", "<a\t=\t"]
)
def test_no_page_takes_more_than_its_length(part: str) -> None:
    """Ten times as long may take about ten times as long; a hundred times would be the squares that pages are made for."""
    started = time.process_time()
    html_pages.read(part * (500_000 // len(part)))
    assert time.process_time() - started < 5
