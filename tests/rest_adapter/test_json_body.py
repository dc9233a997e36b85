"""What arrives as JSON is read whole or refused with the place where it stops being JSON."""

import pytest

from projects.errors import InvalidInput
from rest_adapter.json_body import read_json


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b"{x}", 1),
        (b"{not json", 1),
        (b'{"a": 1,}', 8),
        (b'\n{"a":\n  nope}', 10),
        (b"", 0),
        (b"[" * 100_000, 201),
        (b"9" * 6_000, 4_301),
    ],
)
def test_text_that_is_no_json_is_refused_at_its_offset(text: bytes, offset: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_json(text)
    (problem,) = refused.value.problems
    assert (problem.kind, problem.location) == ("json_invalid", ("body", offset))


@pytest.mark.parametrize("text", [b"NaN", b"[Infinity]", b'"\\ud800"', b'"\xff"', b'{"a": -Infinity}', b'"\\udc00x"'])
def test_what_json_cannot_say_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_json(text)


def test_a_nul_character_is_refused_by_its_path() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_json(b'{"data": {"nodes": [{"id": "a\\u0000b"}]}}')
    (problem,) = refused.value.problems
    assert (problem.kind, problem.location) == ("string_nul", ("body", "data", "nodes", 0, "id"))


def test_a_nul_character_in_a_key_is_refused() -> None:
    with pytest.raises(InvalidInput):
        read_json(b'{"a\\u0000b": 1}')


def test_an_escaped_backslash_before_u0000_is_no_nul_character() -> None:
    assert read_json(b'{"a": "\\\\u0000"}') == {"a": "\\u0000"}
