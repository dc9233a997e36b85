"""Web pages as text or markdown, with their title and links.

A scanner of our own over the standard library's: one pass whatever the page holds, where `html.parser` takes quadratic time on pages
made for it, and the same answer with and without optional packages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape

from projects.engine.component import ComponentError

_TAG = re.compile(r"<(?=[a-zA-Z/!?])")
_NAME = re.compile(r"[a-zA-Z][^\s/>]*")
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s"'<>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+))?""")
_BLANKS = re.compile(r"[ \t\r\f\v\xa0]+")
_WHITE = re.compile(r"\s+")
_MANY_BREAKS = re.compile(r"\n{3,}")

_RAW = frozenset(("script", "style", "textarea", "title", "noscript", "iframe", "xmp", "noembed"))
_UNSEEN = frozenset(("script", "style", "noscript", "iframe", "template", "svg", "head", "noembed", "object"))
# fmt: off
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "dir", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "li",
    "main", "menu", "nav", "ol", "option", "p", "pre", "section", "select", "summary", "table", "tbody", "tfoot", "thead",
    "tr", "ul",
))
# fmt: on
_APART = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "ul", "ol", "table", "blockquote", "article", "section"))
_VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"))
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_KEPT = "\0"  # a blank of preformatted text, while the others are drawn together
MAX_LINKS = 2_000
MAX_TAGS = 2_000_000  # of one page; as many take seconds of a processor that others wait for


@dataclass(slots=True)  # frozen ones take thrice as long to make, and a page has a million
class Start:
    """A tag that opens; names are lower-case."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class End:
    name: str


@dataclass(slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """What a reader wants of a page. `links` are as they stand in it."""

    text: str
    title: str = ""
    description: str = ""
    language: str = ""
    links: tuple[str, ...] = ()


def tokens(html: str) -> Iterator[Start | End | Text]:
    """The page's tags and texts in order. What never ends (a comment, a tag) swallows the rest, so no part is looked at twice."""
    position, length = 0, len(html)
    while position < length:
        tag_found = _TAG.search(html, position)
        if tag_found is None:
            yield Text(_plain(html[position:]))
            return
        opening = tag_found.start()
        if opening > position:
            yield Text(_plain(html[position:opening]))
        if html.startswith("<!--", opening):
            position = _behind(html, "-->", opening + 4)
        elif html.startswith(("<!", "<?"), opening):
            position = _behind(html, ">", opening)
        elif html.startswith("</", opening):
            name = _NAME.match(html, opening + 2)
            if name:
                yield End(name[0].lower())
            position = _behind(html, ">", opening)
        else:
            name = _NAME.match(html, opening + 1)
            assert name is not None
            tag = name[0].lower()
            attributes, position, closes_itself = _attributes(html, name.end())
            yield Start(tag, attributes)
            if tag in _RAW and not closes_itself:
                closing = _closing(html, tag, position)
                if tag in ("title", "textarea"):
                    yield Text(_plain(html[position:closing]))
                position = closing


def read(html: str, *, markdown: bool = False) -> Page:
    """The page's text, block by block, or the same as markdown. Raises ComponentError for a page of too many tags."""
    writer = _Writer(markdown)
    title: list[str] = []
    description = language = ""
    links: dict[str, None] = {}
    unseen: Counter[str] = Counter()  # open elements that nobody sees
    in_title = False
    for count, token in enumerate(tokens(html)):
        if count > MAX_TAGS:
            raise ComponentError(f"The page has more than the {MAX_TAGS:,} tags and texts that are read of one. Take a part of it.")
        match token:
            case Start(name, attributes):
                if name == "html":
                    language = language or attributes.get("lang", "")
                elif name == "meta" and attributes.get("name", "").lower() == "description":
                    description = description or attributes.get("content", "")
                elif name == "title" and not title:
                    in_title = True
                elif name == "a" and (target := attributes.get("href", "").strip()) and len(links) < MAX_LINKS:
                    links[target] = None
                if name in _UNSEEN:
                    unseen[name] += 1
                elif name == "body":
                    unseen.clear()  # also where a head never ended
                if not unseen and name != "title":
                    writer.start(name, attributes)
            case End(name):
                if name == "title":
                    in_title = False
                elif name in unseen:
                    unseen[name] -= 1
                    if not unseen[name]:
                        del unseen[name]
                elif not unseen:
                    writer.end(name)
            case Text(text):
                if in_title:
                    title.append(text)
                elif not unseen:
                    writer.text(text)
    return Page(
        text=writer.result(),
        title=_WHITE.sub(" ", "".join(title)).strip(),
        description=_WHITE.sub(" ", description).strip(),
        language=language,
        links=tuple(links),
    )


def _plain(text: str) -> str:
    """The text with its character references read; as it stands when one has thousands of digits, which no number here has."""
    try:
        return unescape(text)
    except ValueError:
        return text


def _behind(html: str, mark: str, position: int) -> int:
    found = html.find(mark, position)
    return len(html) if found < 0 else found + len(mark)


def _closing(html: str, tag: str, position: int) -> int:
    """Where the raw text of an element ends; without an end it is the rest of the page."""
    found = re.compile(rf"</{tag}(?=[\s/>])", re.IGNORECASE).search(html, position)
    return found.start() if found else len(html)


def _attributes(html: str, position: int) -> tuple[dict[str, str], int, bool]:
    """The attributes from here, the place behind the tag, and whether it closes itself."""
    found: dict[str, str] = {}
    while True:
        match = _ATTRIBUTE.match(html, position)
        if match is None:
            end = html.find(">", position)
            if end < 0:
                return found, len(html), False
            return found, end + 1, html.endswith("/", position, end)
        value = match[2] or ""
        found.setdefault(match[1].lower(), _plain(value[1:-1] if value[:1] in ("'", '"') else value))
        position = match.end()


class _Writer:
    """Text that keeps the page's blocks apart."""

    def __init__(self, markdown: bool) -> None:
        self._markdown = markdown
        self._parts: list[str] = []
        self._pre = 0
        self._lists: list[int] = []  # next number of each open list, 0 where it has none
        self._targets: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name in _BLOCKS:
            self._parts.append("\n\n" if name in _APART else "\n")
        elif name == "br":
            self._parts.append("\n")
        elif name in ("td", "th"):
            self._parts.append(" | " if self._markdown else "\t")
        if name == "pre":
            self._pre += 1
        if not self._markdown:
            return
        match name:
            case "ul" | "ol":
                self._lists.append(1 if name == "ol" else 0)
            case "li":
                self._parts.append(self._bullet())
            case "a":
                self._targets.append(attributes.get("href", ""))
                self._parts.append("[")
            case "strong" | "b":
                self._parts.append("**")
            case "em" | "i":
                self._parts.append("*")
            case "code" if not self._pre:
                self._parts.append("`")
            case "pre":
                self._parts.append("```\n")
            case "hr":
                self._parts.append("---\n")
            case "blockquote":
                self._parts.append("> ")
            case "img" if attributes.get("alt"):
                self._parts.append(f"![{attributes['alt']}]({attributes.get('src', '')})")
            case _ if name in _HEADINGS:
                self._parts.append(_HEADINGS[name])

    def end(self, name: str) -> None:
        if name in _VOID:
            return
        if self._markdown:
            match name:
                case "ul" | "ol" if self._lists:
                    self._lists.pop()
                case "a" if self._targets:
                    target = self._targets.pop()
                    self._parts.append(f"]({target})" if target else "]")
                case "strong" | "b":
                    self._parts.append("**")
                case "em" | "i":
                    self._parts.append("*")
                case "code" if not self._pre:
                    self._parts.append("`")
                case "pre":
                    self._parts.append("\n```")
        if name == "pre" and self._pre:
            self._pre -= 1
        if name in _BLOCKS:
            self._parts.append("\n\n" if name in _APART else "\n")

    def text(self, text: str) -> None:
        self._parts.append(text.replace(" ", _KEPT).replace("\t", _KEPT * 4) if self._pre else _WHITE.sub(" ", text))

    def result(self) -> str:
        lines = [_BLANKS.sub(" ", line).strip(" ") for line in "".join(self._parts).split("\n")]
        return _MANY_BREAKS.sub("\n\n", "\n".join(lines)).strip().replace(_KEPT, " ")

    def _bullet(self) -> str:
        if not self._lists:
            return "- "
        if not (number := self._lists[-1]):
            return "- "
        self._lists[-1] += 1
        return f"{number}. "
