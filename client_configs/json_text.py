"""Edits JSON text, with or without comments and trailing commas, so that only the named entry's own characters change."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from client_configs.collection import Collection
from client_configs.problems import UnreadableFile

MAXIMUM_DEPTH = 100
SPACE = re.compile(r"[ \t\r\n]*")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
LITERALS = {"true": True, "false": False, "null": None}


@dataclass(slots=True)
class Node:
    """A value and where it stands. `members` are those of an object or list, in order."""

    start: int
    end: int = 0
    value: Any = None
    members: list["Member"] = field(default_factory=list)
    inner_end: int = 0
    """Of an object or list: the end of the last thing before its closing bracket that is not space (a comment, or a comma)."""

    @property
    def is_object(self) -> bool:
        return isinstance(self.value, dict)


@dataclass(slots=True)
class Member:
    key: str
    start: int
    """Where the key (in a list: the value) begins."""
    node: Node
    before: int
    """The end of the last thing before it that is not space."""
    before_is_line_comment: bool
    comma: int | None = None
    """Where the comma after it stands."""


class Reader:
    """A recursive descent over the text, iterative enough for files a person wrote."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 1 if text.startswith("\ufeff") else 0
        self.solid_end = self.at
        self.after_line_comment = False

    def fail(self, message: str, at: int | None = None) -> UnreadableFile:
        position = self.at if at is None else at
        line = self.text.count("\n", 0, position) + 1
        column = position - (self.text.rfind("\n", 0, position) + 1) + 1
        return UnreadableFile(f"line {line}, column {column}: {message}", line=line)

    def skip(self) -> None:
        """Over space and comments; remembers where the last comment ended."""
        while True:
            matched = SPACE.match(self.text, self.at)
            self.at = matched.end() if matched else self.at
            if self.text.startswith("//", self.at):
                ends = [found for mark in "\r\n" if (found := self.text.find(mark, self.at)) >= 0]
                self.at = min(ends, default=len(self.text))
                self.after_line_comment = True
            elif self.text.startswith("/*", self.at):
                end = self.text.find("*/", self.at + 2)
                if end < 0:
                    raise self.fail("a comment does not end")
                self.at = end + 2
                self.after_line_comment = False
            else:
                return
            self.solid_end = self.at

    def solid(self, end: int) -> None:
        self.at = self.solid_end = end
        self.after_line_comment = False

    def read_document(self) -> Node | None:
        """The one value of the text; None when there is none but space and comments."""
        self.skip()
        if self.at == len(self.text):
            return None
        node = self.read_value(0)
        self.skip()
        if self.at < len(self.text):
            raise self.fail("something follows the end of the document")
        return node

    def read_value(self, depth: int) -> Node:
        if depth > MAXIMUM_DEPTH:
            raise self.fail("nested too deeply")
        first = self.text[self.at : self.at + 1]
        if first in ("{", "["):
            return self.read_container(depth, is_object=first == "{")
        node = Node(self.at)
        if first == '"':
            node.value = self.read_string()
        elif matched := NUMBER.match(self.text, self.at):
            try:
                node.value = json.loads(matched.group())
            except ValueError as error:
                raise self.fail("a number that is too long") from error
            self.solid(matched.end())
        else:
            for word, value in LITERALS.items():
                if self.text.startswith(word, self.at):
                    node.value = value
                    self.solid(self.at + len(word))
                    break
            else:
                raise self.fail("a value is missing" if first else "the text ends too early")
        node.end = self.at
        return node

    def read_string(self) -> str:
        matched = STRING.match(self.text, self.at)
        if matched is None:
            raise self.fail("a text in double quotes is missing, or does not end")
        try:
            value = json.loads(matched.group())
        except ValueError as error:
            raise self.fail("an escape in this text is not one of JSON") from error
        self.solid(matched.end())
        return str(value)

    def read_container(self, depth: int, *, is_object: bool) -> Node:
        node = Node(self.at)
        closing = "}" if is_object else "]"
        self.solid(self.at + 1)
        while True:
            self.skip()
            if self.text.startswith(closing, self.at):
                break
            if node.members and node.members[-1].comma is None:
                raise self.fail(f"a comma or {closing} is missing")
            member = Member("", self.at, node, self.solid_end, self.after_line_comment)
            if is_object:
                member.key = self.read_string()
                self.skip()
                if not self.text.startswith(":", self.at):
                    raise self.fail("a colon is missing")
                self.solid(self.at + 1)
                self.skip()
            member.node = self.read_value(depth + 1)
            node.members.append(member)
            self.skip()
            if self.text.startswith(",", self.at):
                member.comma = self.at
                self.solid(self.at + 1)
        node.inner_end = self.solid_end
        node.value = (
            {member.key: member.node.value for member in node.members} if is_object else [member.node.value for member in node.members]
        )
        self.solid(self.at + 1)
        node.end = self.at
        return node


def read(text: str) -> dict[str, Any]:
    """What the file says; an empty file says {}."""
    node = Reader(text).read_document()
    if node is None:
        return {}
    if not node.is_object:
        raise Reader(text).fail("the document must be an object: { … }", node.start)
    return dict(node.value)


def put(text: str, collection: Collection, name: str, entry: Any) -> str:
    """The text with the entry, in its old place if it had one."""
    node = Reader(text).read_document()
    if node is None:
        document = collection.with_entry({}, name, entry)
        separator = "" if not text.strip("\ufeff \t\r\n") or text.endswith("\n") else newline_of(text)
        kept = text if text.strip("\ufeff \t\r\n") else text.rstrip(" \t\r\n")
        return kept + separator + json.dumps(document, indent=2, ensure_ascii=False).replace("\n", newline_of(text)) + newline_of(text)
    holder = node
    for depth, step in enumerate(collection.path):
        member = find_one(text, holder, step)
        if member is None:
            # The rest of the path and the entry, as one new member.
            value: Any = [entry] if collection.name_field is not None else {name: entry}
            for missing in reversed(collection.path[depth + 1 :]):
                value = {missing: value}
            return insert(text, holder, step, value)
        holder = member.node
    expect_kind(text, holder, collection)
    existing = [member for member in holder.members if is_named(member, collection, name)]
    if not existing:
        return insert(text, holder, name if collection.name_field is None else None, entry)
    last = existing[-1]
    return text[: last.node.start] + written(text, entry, indentation_at(text, last.start), unit_of(text)) + text[last.node.end :]


def remove(text: str, collection: Collection, name: str) -> str:
    """The text without any entry of this name; the collection stays, even when nothing is left in it."""
    while True:
        holder = Reader(text).read_document()
        for step in collection.path:
            member = find_one(text, holder, step) if holder is not None else None
            holder = member.node if member else None
        if holder is None:
            return text
        expect_kind(text, holder, collection)
        index = next((at for at, member in enumerate(holder.members) if is_named(member, collection, name)), None)
        if index is None:
            return text
        text = without_member(text, holder, index)


def expect_kind(text: str, node: Node, collection: Collection) -> None:
    if not isinstance(node.value, dict if collection.name_field is None else list):
        kind = "an object: { … }" if collection.name_field is None else "a list: [ … ]"
        raise Reader(text).fail(f'"{collection.title}" must be {kind}', node.start)


def find_one(text: str, holder: Node, key: str) -> Member | None:
    if not holder.is_object:
        raise Reader(text).fail(f'an object that may hold "{key}" is expected here', holder.start)
    found = [member for member in holder.members if member.key == key]
    if len(found) > 1:
        # Readers differ in which of them they take; whichever we changed could be the wrong one.
        raise Reader(text).fail(f'"{key}" is there twice: join the two', found[1].start)
    return found[0] if found else None


def is_named(member: Member, collection: Collection, name: str) -> bool:
    if collection.name_field is None:
        return member.key == name
    return isinstance(member.node.value, dict) and member.node.value.get(collection.name_field) == name


def insert(text: str, holder: Node, key: str | None, value: Any) -> str:
    """Adds a last member, in the style of those before it: on their line if they stand on one, else on lines of its own."""
    line_end = newline_of(text)
    unit = unit_of(text)
    outer = indentation_at(text, holder.start)
    label = "" if key is None else f"{json.dumps(key, ensure_ascii=False)}: "
    if not holder.members:
        inner = outer + unit
        before, after = text[: holder.inner_end], text[holder.inner_end :]
        tail = "" if "\n" in after[: after.index("}" if holder.is_object else "]")] else line_end + outer
        return f"{before}{line_end}{inner}{label}{written(text, value, inner, unit)}{tail}{after}"
    last = holder.members[-1]
    if "\n" not in text[holder.start : holder.end]:
        compact = label + json.dumps(value, ensure_ascii=False)
        return (
            f"{text[: holder.inner_end]}{'' if last.comma is not None else ','} {compact}{',' if last.comma is not None else ''}"
            f"{text[holder.inner_end :]}"
        )
    first = holder.members[0]
    inner = indentation_at(text, first.start) if starts_line(text, first.start) else outer + unit
    member_text = f"{line_end}{inner}{label}{written(text, value, inner, unit)}"
    if last.comma is not None:
        return f"{text[: holder.inner_end]}{member_text},{text[holder.inner_end :]}"
    # Comments after the last value stay where they are: the comma goes before them, the member behind.
    return f"{text[: last.node.end]},{text[last.node.end : holder.inner_end]}{member_text}{text[holder.inner_end :]}"


def without_member(text: str, holder: Node, index: int) -> str:
    member = holder.members[index]
    is_last = index == len(holder.members) - 1
    end = member.node.end
    if member.comma is not None:
        # What stands between the value and its comma can only be space and comments: the comments stay.
        between = text[end : member.comma]
        end, kept_between = member.comma + 1, between if between.strip() else ""
    else:
        kept_between = ""
    start = member.before
    rest_of_line = re.match(r"[ \t]*(\r?\n|$)", text[end:])
    if member.before_is_line_comment and not rest_of_line:
        # Whatever follows on our line must not slip into the comment.
        newline_at = text.index("\n", start)
        start = newline_at + 1
    result_head, result_tail = text[:start], kept_between + text[end:]
    if is_last and member.comma is None and index > 0:
        comma = holder.members[index - 1].comma
        assert comma is not None
        result_head = text[:comma] + text[comma + 1 : start]
    if len(holder.members) == 1 and member.before == holder.start + 1:
        rest = result_tail.lstrip(" \t\r\n")
        if rest.startswith(("}", "]")):
            return text[: holder.start + 1] + rest
    return result_head + result_tail


def written(text: str, value: Any, indentation: str, unit: str) -> str:
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return (newline_of(text) + indentation).join(lines)


def newline_of(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def starts_line(text: str, position: int) -> bool:
    return not text[text.rfind("\n", 0, position) + 1 : position].strip(" \t\ufeff")


def indentation_at(text: str, position: int) -> str:
    line = text[text.rfind("\n", 0, position) + 1 : position].lstrip("\ufeff")
    return line[: len(line) - len(line.lstrip(" \t"))]


def unit_of(text: str) -> str:
    """One step of indentation, as the first indented line of the file has it."""
    for line in indented_lines(text):
        return line
    return "  "


def indented_lines(text: str) -> Iterator[str]:
    for matched in re.finditer(r'(?m)^(\t|[ ]{1,8})["{\[]', text):
        yield matched.group(1)
