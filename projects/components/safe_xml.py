"""XML of strangers as a plain tree. Entities of a document's own are refused, so a small one cannot become large or read anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_DEPTH = 200
MAX_ELEMENTS = 200_000  # each takes a hundred times the bytes that it stands in


class UnreadableXml(ValueError):
    """The text is for a person."""


@dataclass(slots=True)
class Element:
    """`name` is as written, prefix included; `text` is the element's own, without that of its children."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def find(self, *names: str) -> Element | None:
        """The first child of one of the names, in the order of the names."""
        for name in names:
            for child in self.children:
                if child.name == name:
                    return child
        return None

    def find_all(self, name: str) -> Iterator[Element]:
        return (child for child in self.children if child.name == name)

    def text_of(self, *names: str) -> str:
        found = self.find(*names)
        return found.text.strip() if found is not None else ""


def parse(document: bytes | str) -> Element:
    """The root element. Raises UnreadableXml."""
    parser = expat.ParserCreate()
    top = Element("")
    open_elements = [top]
    texts: list[list[str]] = [[]]
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MAX_ELEMENTS:
            raise UnreadableXml(f"The XML has more than {MAX_ELEMENTS:,} elements.")
        if len(open_elements) > MAX_DEPTH:
            raise UnreadableXml(f"The XML is nested more than {MAX_DEPTH} levels deep.")
        element = Element(name, attributes)
        open_elements[-1].children.append(element)
        open_elements.append(element)
        texts.append([])

    def end(name: str) -> None:
        open_elements.pop().text = "".join(texts.pop())

    def characters(text: str) -> None:
        texts[-1].append(text)

    def refuse_entity(*_: object) -> None:
        raise UnreadableXml("The XML defines entities of its own, which are not read.")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.EntityDeclHandler = refuse_entity
    parser.buffer_text = True
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise UnreadableXml(f"This is no well-formed XML: {error}.") from None
    return top.children[0]
