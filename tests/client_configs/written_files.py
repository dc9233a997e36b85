"""Configuration files as people write them, for property tests: any values, comments anywhere, every style of line and comma."""

import json
from typing import Any

import tomlkit
from hypothesis import strategies as st

KEYS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8)
BARE_KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,7}", fullmatch=True)
COMMENT_WORDS = st.text("abc {}[]\",:'\\#-=", max_size=12)
PLAIN = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False) | KEYS
NEWLINES = st.sampled_from(["\n", "\r\n"])


def values(keys: st.SearchStrategy[str] = KEYS, plain: st.SearchStrategy[Any] = PLAIN) -> st.SearchStrategy[Any]:
    return st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6)


ENTRIES = st.dictionaries(
    BARE_KEYS, st.text(max_size=8) | st.booleans() | st.integers(-9, 9) | st.lists(st.text(max_size=5), max_size=3), min_size=1
)


@st.composite
def json_texts(draw: st.DrawFn, *, root: str, keep_out: str) -> tuple[str, list[str]]:
    """A JSONC text that may have servers under `root`, and its comments in order."""
    newline = draw(NEWLINES)
    indentation = draw(st.sampled_from(["", "  ", "    ", "\t"]))
    trailing = draw(st.booleans())
    comments: list[str] = []
    documents = st.dictionaries(KEYS.filter(lambda key: key != root), values(), max_size=4)
    servers = st.dictionaries(KEYS.filter(lambda key: key != keep_out), values(), max_size=3)
    document = draw(documents)
    if draw(st.booleans()):
        document[root] = draw(servers)

    def trivia(level: int) -> str:
        kind = draw(st.integers(0, 5)) if len(comments) < 5 else 5
        if kind > 1:
            return ""
        words = f"{len(comments)}:" + draw(COMMENT_WORDS).replace("*/", "")
        comment = f"// {words}{newline}" if kind else f"/* {words} */"
        comments.append(comment.strip())
        return f" {comment}{indentation * level}"

    def rendered(value: Any, level: int) -> str:
        if not isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=draw(st.booleans()))
        opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
        gap = newline if indentation else draw(st.sampled_from(["", " ", newline]))
        text = opening + trivia(level)
        pairs = list(value.items()) if isinstance(value, dict) else [(None, item) for item in value]
        for position, (key, item) in enumerate(pairs):
            text += gap + indentation * (level + 1) + trivia(level + 1)
            if key is not None:
                text += json.dumps(key) + trivia(level) + ":" + draw(st.sampled_from(["", " "])) + trivia(level)
            text += rendered(item, level + 1) + trivia(level)
            if position < len(pairs) - 1 or trailing:
                text += "," + trivia(level)
        return text + (gap + indentation * level if pairs else draw(st.sampled_from(["", " ", newline]))) + closing

    head = draw(st.sampled_from(["", "\ufeff"])) + trivia(0).lstrip(" ")
    return head + rendered(document, 0) + trivia(0) + draw(st.sampled_from(["", newline])), comments


@st.composite
def toml_texts(draw: st.DrawFn, *, root: str, keep_out: str) -> tuple[str, list[str]]:
    """A TOML text with tables, lists of tables, texts over lines, and perhaps servers; and its comments in order."""
    newline = draw(NEWLINES)
    comments: list[str] = []
    plain = st.booleans() | st.integers(-(10**12), 10**12) | KEYS

    def comment(*, own_line: bool) -> str:
        if draw(st.integers(0, 2)):
            return newline if not own_line else ""
        comments.append(f"# {len(comments)}:{draw(COMMENT_WORDS)}".rstrip())
        return f"{'' if own_line else ' '}{comments[-1]}{newline}"

    def value() -> str:
        kind = draw(st.integers(0, 5))
        if kind == 0:
            return f'"""{newline}[{root}.{keep_out}]{newline}a = \\"" # no comment{newline}"""'
        if kind == 1:
            return f"'''{newline}[x]{newline}'''"
        if kind == 2:
            return f"[{newline}  1, # one{newline}  [2, 3],{newline}]"
        return str(tomlkit.item(draw(st.lists(plain, max_size=2) if kind == 3 else plain)).as_string())

    def pairs(names: list[str]) -> str:
        return "".join(comment(own_line=True) + f"{name} = {value()}" + comment(own_line=False) for name in names)

    keys = st.lists(BARE_KEYS.filter(lambda key: key != root), max_size=3, unique_by=str.lower)
    tables = draw(st.lists(BARE_KEYS.filter(lambda key: key not in (root, "top")), max_size=3, unique=True))
    text = draw(st.sampled_from(["", "\ufeff"])) + pairs([f"key-{name}" for name in draw(keys)])
    if draw(st.booleans()):
        for name in draw(st.lists(BARE_KEYS.filter(lambda key: key != keep_out), min_size=1, max_size=3, unique=True)):
            text += (
                draw(st.sampled_from(["", newline]))
                + comment(own_line=True)
                + f"[{root}.{name}]"
                + comment(own_line=False)
                + pairs(draw(keys))
            )
            if draw(st.booleans()):
                text += f"  [{root}.{name}.sub-table]{newline}" + pairs(draw(keys))
    for name in tables:
        header = draw(st.sampled_from([f"[{name}]", f"[[{name}]]", f"[ {name} ]"]))
        text += draw(st.sampled_from(["", newline])) + comment(own_line=True) + header + comment(own_line=False) + pairs(draw(keys))
    text += comment(own_line=True)
    return text, comments


@st.composite
def yaml_texts(draw: st.DrawFn, *, root: str, keep_out: str, as_list: bool) -> tuple[str, list[str]]:
    """A YAML text in block style with comments and texts over lines, and perhaps servers; and its comments in order."""
    newline = draw(st.sampled_from(["\n"]))
    step = draw(st.sampled_from([2, 4]))
    comments: list[str] = []
    texts = st.text("abc xyz:#-'\"é", max_size=8)

    def comment(indentation: int, *, own_line: bool) -> str:
        if draw(st.integers(0, 2)):
            return newline if not own_line else ""
        comments.append(f"# {len(comments)}:{draw(COMMENT_WORDS)}".rstrip())
        return f"{' ' * indentation if own_line else ' '}{comments[-1]}{newline}"

    def value(indentation: int) -> str:
        kind = draw(st.integers(0, 6))
        inner = " " * (indentation + step)
        if kind == 0:
            return f" |{newline}{inner}line one{newline}{inner}# not a comment{newline}"
        if kind == 1:
            lines = comment(0, own_line=False)
            for item in draw(st.lists(texts, min_size=1, max_size=2)):
                lines += f"{inner}- {json.dumps(item, ensure_ascii=False)}" + comment(0, own_line=False)
            return lines
        if kind == 2:
            return " {a: 1, b: [x, 'y']}" + comment(0, own_line=False)
        if kind == 3:
            return comment(0, own_line=False) + table(indentation + step, draw(st.lists(BARE_KEYS, min_size=1, max_size=2, unique=True)))
        if kind == 4:
            return comment(0, own_line=False)
        return f" {json.dumps(draw(texts), ensure_ascii=False)}" + comment(0, own_line=False)

    def table(indentation: int, names: list[str]) -> str:
        lines = ""
        for name in names:
            lines += draw(st.sampled_from(["", newline])) + comment(indentation, own_line=True) + f"{' ' * indentation}{json.dumps(name)}:"
            lines += value(indentation)
        return lines

    names = st.lists(BARE_KEYS.filter(lambda key: key not in (root, keep_out)), max_size=3, unique=True)
    text = comment(0, own_line=True) + table(0, [f"a-{name}" for name in draw(names)])
    if draw(st.booleans()):
        text += f"{root}:" + comment(0, own_line=False)
        servers = draw(names.filter(len))
        if as_list:
            for name in servers:
                text += comment(step, own_line=True) + f"{' ' * step}- name: {json.dumps(name)}" + comment(0, own_line=False)
                text += table(step + 2, ["url"])
        else:
            text += table(step, servers)
    text += table(0, [f"z-{name}" for name in draw(names)]) + comment(0, own_line=True)
    return (text if draw(st.booleans()) else text.rstrip(newline)), comments
