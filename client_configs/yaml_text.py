"""Edits YAML text by the positions a parser gives, so that only the named entry's own lines change.

Where the collection stands in braces (`{a: 1}`), ruamel.yaml writes the file anew, with comments and order kept.
"""

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from client_configs.collection import Collection
from client_configs.problems import UneditableFile, UnreadableFile


def read(text: str) -> dict[str, Any]:
    """What the file says; an empty file says {}."""
    try:
        document = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UnreadableFile(f"line {line}: {error.problem or error.context or 'not readable as YAML'}", line=line) from error
    except (YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UnreadableFile(f"line 1: {str(error).splitlines()[0] if str(error) else 'not readable as YAML'}", line=1) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UnreadableFile("line 1: the document must be a table of keys", line=1)
    return document


def put(text: str, collection: Collection, name: str, entry: Any) -> str:
    expected = collection.with_entry(read(text), name, entry)
    return says(put_by_position(text, collection, name, entry), expected) or rewritten(text, collection, name, entry, expected)


def remove(text: str, collection: Collection, name: str) -> str:
    document = read(text)
    if name not in collection.entries_of(document):
        return text
    expected = collection.without_entry(document, name)
    return says(remove_by_position(text, collection, name), expected) or rewritten(text, collection, name, None, expected)


def says(text: str | None, expected: Any) -> str | None:
    if text is None:
        return None
    try:
        return text if read(text) == expected else None
    except UnreadableFile:
        return None


def put_by_position(text: str, collection: Collection, name: str, entry: Any) -> str | None:
    line_end = "\r\n" if "\r\n" in text else "\n"
    root = compose(text)
    (key,) = collection.path
    if root is None:
        kept = text if not text or text.endswith("\n") else text + line_end
        return kept + block({key: whole(collection, name, entry)}, "", line_end)
    if not isinstance(root, MappingNode) or root.flow_style:
        return None
    found = find_pair(root, key)
    if found is None:
        return insert_lines(text, last_position(root), block({key: whole(collection, name, entry)}, "", line_end), line_end)
    key_node, holder = found
    if is_empty(holder):
        colon = text.index(":", key_node.end_mark.index) + 1
        rest = text[colon:] if is_blank(holder) else text[holder.end_mark.index :]
        line, _, after = rest.partition("\n")
        body = block(whole(collection, name, entry), "  ", line_end)
        return f"{text[:colon]}{line.rstrip()}{line_end}{body}{after}"
    if is_flow(holder):
        return None
    existing = find_entry(holder, collection, name)
    indentation = " " * holder.start_mark.column
    lines = block(whole(collection, name, entry), indentation, line_end)
    if existing is None:
        return insert_lines(text, last_position(holder), lines, line_end)
    start, end = line_span(text, *existing)
    return text[:start] + lines + text[end:]


def remove_by_position(text: str, collection: Collection, name: str) -> str | None:
    root = compose(text)
    (key,) = collection.path
    found = find_pair(root, key) if isinstance(root, MappingNode) else None
    if found is None or is_flow(found[1]):
        return None
    key_node, holder = found
    existing = find_entry(holder, collection, name)
    if existing is None:
        return None
    start, end = line_span(text, *existing)
    if len(holder.value) > 1:
        return text[:start] + text[end:]
    empty = " {}" if collection.name_field is None else " []"
    colon = text.index(":", key_node.end_mark.index) + 1
    return text[:colon] + empty + text[colon:start] + text[end:]


def compose(text: str) -> Node | None:
    try:
        return YAML(typ="safe", pure=True).compose(text)  # type: ignore[no-any-return]
    except YAMLError as error:
        raise UnreadableFile(f"line 1: {error}", line=1) from error


def whole(collection: Collection, name: str, entry: Any) -> Any:
    return {name: entry} if collection.name_field is None else [entry]


def find_pair(mapping: MappingNode, key: str) -> tuple[Node, Node] | None:
    return next(((held, value) for held, value in mapping.value if isinstance(held, ScalarNode) and held.value == key), None)


def find_entry(holder: Node, collection: Collection, name: str) -> tuple[int, Node] | None:
    """Where the entry begins, and the node it ends with."""
    if collection.name_field is None:
        found = find_pair(holder, name) if isinstance(holder, MappingNode) else None
        return (found[0].start_mark.index, found[1] if not is_blank(found[1]) else found[0]) if found else None
    for item in holder.value if isinstance(holder, SequenceNode) else ():
        pair = find_pair(item, collection.name_field) if isinstance(item, MappingNode) else None
        if pair is not None and pair[1].value == name:
            return item.start_mark.index, item
    return None


def is_blank(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.start_mark.index == node.end_mark.index


def is_flow(node: Node) -> bool:
    return isinstance(node, MappingNode | SequenceNode) and bool(node.flow_style)


def is_empty(node: Node) -> bool:
    if isinstance(node, ScalarNode):
        return str(node.tag).endswith(":null")
    return isinstance(node, MappingNode | SequenceNode) and not node.value


def last_position(node: Node) -> int:
    """The end of the last thing the node says; a block's own end mark stands only before the next key, behind comments."""
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
        if isinstance(last, tuple):
            return last_position(last[0]) if is_blank(last[1]) else last_position(last[1])
        return last_position(last)
    return int(node.end_mark.index)


def line_span(text: str, start: int, node: Node) -> tuple[int, int]:
    """From the beginning of the first line to the end of the last, its newline included."""
    return text.rfind("\n", 0, start) + 1, end_of_line(text, last_position(node))


def end_of_line(text: str, position: int) -> int:
    if position > 0 and text[position - 1 : position] == "\n":
        return position  # a block of text (`|`) ends behind its newline
    found = text.find("\n", position)
    return len(text) if found < 0 else found + 1


def insert_lines(text: str, position: int, lines: str, line_end: str) -> str:
    at = end_of_line(text, position)
    gap = "" if at == 0 or text[at - 1] == "\n" else line_end
    return text[:at] + gap + lines + text[at:]


def block(value: Any, indentation: str, line_end: str) -> str:
    """The value in block style; each line indented, a newline at the end."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.allow_unicode = False  # it would leave a NEL as it is, and read it back as a space
    yaml.width = 100_000
    stream = io.StringIO()
    yaml.dump(value, stream)
    return "".join(
        indentation + line + line_end for line in stream.getvalue().removesuffix("\n").split("\n") if not re.fullmatch(r"\.\.\.|---", line)
    )


def rewritten(text: str, collection: Collection, name: str, entry: Any | None, expected: Any) -> str:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 100_000
    try:
        document = yaml.load(text)
        (key,) = collection.path
        holder = document.get(key)
        if not holder and entry is not None:
            document[key] = whole(collection, name, entry)
        elif collection.name_field is None:
            if entry is None:
                del holder[name]
            else:
                holder[name] = entry
        else:
            position = next((at for at, item in enumerate(holder) if item.get(collection.name_field) == name), None)
            if entry is None:
                del holder[position]
            elif position is None:
                holder.append(entry)
            else:
                holder[position] = entry
        stream = io.StringIO()
        yaml.dump(document, stream)
    except (YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise not_editable(collection) from error
    result = says(stream.getvalue(), expected)
    if result is None:
        raise not_editable(collection)
    return result


def not_editable(collection: Collection) -> UneditableFile:
    return UneditableFile(f"{collection.title!r} is written in a form that cannot be changed safely: write it as an indented block.")
