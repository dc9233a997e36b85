"""Answers are written whatever is in them."""

from rest_adapter.stored_json import StoredJson, write_json


def test_half_of_a_surrogate_pair_becomes_a_question_mark_and_what_is_stored_stays_as_it_is() -> None:
    content = {"a\ud800": ("b\udfff", 1, StoredJson('{"c": 2}'), None), "d": StoredJson("[]")}
    assert write_json(content) == b'{"a?":["b?",1,{"c": 2},null],"d":[]}'
