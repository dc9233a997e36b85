"""Any readable text: put, put again, remove. What is not ours stays as it was, comments included."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from client_configs.collection import Collection
from client_configs.config_file import READ, FileFormat, Put, Remove, edit_text, without
from client_configs.problems import UneditableFile, UnreadableFile
from tests.client_configs.written_files import ENTRIES, json_texts, toml_texts, yaml_texts

ROOT = "servers"
NAME = "hw-orders"
TABLE = Collection((ROOT,))
LIST = Collection((ROOT,), name_field="name")
# Without the phase that explains: it takes longer than all the rest.
MANY = settings(
    max_examples=40,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)


def assert_in_order(comments: list[str], text: str) -> None:
    at = 0
    for comment in comments:
        found = text.find(comment, at)
        assert found >= 0, f"{comment!r} is gone or moved:\n{text}"
        at = found + len(comment)


def assert_only_ours_changes(text: str, comments: list[str], entry: Any, file_format: FileFormat, collection: Collection = TABLE) -> None:
    before = READ[file_format](text)
    held = collection.entries_of(before)
    put = Put(collection, NAME, entry)
    try:
        after = edit_text(text, file_format, (put,))
    except UneditableFile:
        # A text block that the end of the file cuts off has no line end: whatever comes after it would change it.
        assert not text.endswith("\n"), text
        return
    said = READ[file_format](after)
    assert collection.entries_of(said) == held | {NAME: entry}
    assert without(said, collection.path) == without(before, collection.path)
    assert_in_order(comments, after)
    assert edit_text(after, file_format, (put,)) == after
    other_entry = {"name": NAME, "url": "http://elsewhere"}
    changed = edit_text(after, file_format, (Put(collection, NAME, other_entry),))
    assert collection.entries_of(READ[file_format](changed)) == held | {NAME: other_entry}
    assert_in_order(comments, changed)
    for last in (after, changed):
        removed = edit_text(last, file_format, (Remove(collection, NAME),))
        assert_in_order(comments, removed)
        if held and text.endswith("\n"):
            assert removed == text
        else:
            said = READ[file_format](removed)
            assert collection.entries_of(said) == held
            assert without(said, collection.path) == without(before, collection.path)


@MANY
@given(json_texts(root=ROOT, keep_out=NAME), ENTRIES)
@example(("", []), {"url": "x"})
@example(("// only a comment", ["// only a comment"]), {"url": "x"})
@example(('{"servers": {"a": 1 // why\n}}\n', ["// why"]), {"url": "x"})
def test_json_with_comments_is_changed_only_in_our_entry(written: tuple[str, list[str]], entry: dict[str, Any]) -> None:
    assert_only_ours_changes(*written, entry, FileFormat.JSON)


@MANY
@given(toml_texts(root=ROOT, keep_out=NAME), ENTRIES)
@example(("", []), {"url": "x"})
def test_toml_is_changed_only_in_our_entry(written: tuple[str, list[str]], entry: dict[str, Any]) -> None:
    assert_only_ours_changes(*written, entry, FileFormat.TOML)


@MANY
@given(yaml_texts(root=ROOT, keep_out=NAME, as_list=False), ENTRIES)
@example(("", []), {"url": "x"})
@example(("servers: {}\n", []), {"url": "x"})
@example(("servers:\n", []), {"url": "x"})
@example(("servers: # mine\nafter: 1\n", ["# mine"]), {"url": "x"})
def test_yaml_is_changed_only_in_our_entry(written: tuple[str, list[str]], entry: dict[str, Any]) -> None:
    assert_only_ours_changes(*written, entry, FileFormat.YAML)


@MANY
@given(yaml_texts(root=ROOT, keep_out=NAME, as_list=True), ENTRIES)
def test_a_yaml_list_is_changed_only_in_our_item(written: tuple[str, list[str]], entry: dict[str, Any]) -> None:
    assert_only_ours_changes(*written, {"name": NAME} | entry | {"name": NAME}, FileFormat.YAML, LIST)


@MANY
@given(st.text("{}[]\",:/*\\\n ab1=#'-", max_size=60), st.sampled_from(list(FileFormat)))
def test_any_text_is_edited_or_refused_and_never_breaks(text: str, file_format: FileFormat) -> None:
    try:
        after = edit_text(text, file_format, (Put(TABLE, NAME, {"url": "x"}),))
    except (UnreadableFile, UneditableFile):
        return
    assert TABLE.entries_of(READ[file_format](after))[NAME] == {"url": "x"}
    removed = edit_text(after, file_format, (Remove(TABLE, NAME),))
    assert NAME not in TABLE.entries_of(READ[file_format](removed))


@pytest.mark.parametrize(
    ("file_format", "text", "line"),
    [
        (FileFormat.JSON, '{\n  "a": 1\n  "b": 2\n}', 3),
        (FileFormat.JSON, '{"a": [1, 2}', 1),
        (FileFormat.JSON, '{\n"a": /* never\nends', 2),
        (FileFormat.JSON, "[]", 1),
        (FileFormat.JSON, '\n{"servers": []}', 2),
        (FileFormat.JSON, '{"servers": {},\n"servers": {}}', 2),
        (FileFormat.JSON, '{"a": "\\x"}', 1),
        (FileFormat.JSON, "[" * 5000, 1),
        (FileFormat.JSON, "{} {}", 1),
        (FileFormat.TOML, "a = 1\nb = \n", 2),
        (FileFormat.TOML, "[a]\n[a]\n", 2),
        (FileFormat.YAML, "a: 1\n b: 2\n", 2),
        (FileFormat.YAML, "a: [1\n", 2),
        (FileFormat.YAML, "- a\n", 1),
    ],
)
def test_an_unreadable_text_is_refused_with_its_line(file_format: FileFormat, text: str, line: int) -> None:
    with pytest.raises(UnreadableFile) as refused:
        edit_text(text, file_format, (Put(TABLE, NAME, {"url": "x"}),))
    assert refused.value.line == line
    assert f"line {line}" in refused.value.message


def test_a_member_is_added_in_the_style_of_its_neighbours() -> None:
    text = '{\n\t"servers": {\n\t\t"a": {}, // first\n\t\t"b": {} // second\n\t},\n}\n'
    after = edit_text(text, FileFormat.JSON, (Put(TABLE, "c", {"url": "u"}),))
    assert after == '{\n\t"servers": {\n\t\t"a": {}, // first\n\t\t"b": {}, // second\n\t\t"c": {\n\t\t\t"url": "u"\n\t\t}\n\t},\n}\n'


def test_an_entry_of_toml_becomes_a_table_of_its_own() -> None:
    after = edit_text('model = "x"  # mine\n', FileFormat.TOML, (Put(TABLE, NAME, {"url": "u", "headers": {"x-api-key": "k"}}),))
    assert after == 'model = "x"  # mine\n\n[servers.hw-orders]\nurl = "u"\nheaders = { x-api-key = "k" }\n'


@pytest.mark.parametrize(
    "text",
    [
        'servers = { a = { url = "x" } } # mine\n',
        '[servers]\na.url = "x" # mine\n',
        'servers.a.url = "x" # mine\n',
        '[servers]\nhw-orders = { url = "y" } # mine\n',
    ],
)
def test_other_forms_of_toml_are_edited_too(text: str) -> None:
    after = edit_text(text, FileFormat.TOML, (Put(TABLE, NAME, {"url": "u"}),))
    assert TABLE.entries_of(READ[FileFormat.TOML](after))[NAME] == {"url": "u"}
    removed = READ[FileFormat.TOML](edit_text(after, FileFormat.TOML, (Remove(TABLE, NAME),)))
    before = TABLE.entries_of(READ[FileFormat.TOML](text))
    assert TABLE.entries_of(removed) == {name: entry for name, entry in before.items() if name != NAME}


def test_servers_in_braces_are_edited_in_yaml_with_comments_kept() -> None:
    text = "# head\nservers: {a: {url: x}}  # mine\nlast: 'quoted'  # end\n"
    after = edit_text(text, FileFormat.YAML, (Put(TABLE, NAME, {"url": "u"}),))
    assert READ[FileFormat.YAML](after)["servers"] == {"a": {"url": "x"}, NAME: {"url": "u"}}
    assert_in_order(["# head", "# mine", "# end"], after)
    removed = edit_text(after, FileFormat.YAML, (Remove(TABLE, NAME),))
    assert READ[FileFormat.YAML](removed) == READ[FileFormat.YAML](text)
    assert_in_order(["# head", "# mine", "# end"], removed)
