import pytest

from projects.free_names import free_endpoint_name, free_name


@pytest.mark.parametrize(
    ("wanted", "taken", "free"),
    [
        ("a", [], "a"),
        ("a", ["a"], "a (1)"),
        ("a", ["a", "a (1)", "a (5)"], "a (6)"),
        ("a", ["a", "a (x)", "a (1) (9)", "b (7)"], "a (1)"),
        ("a (1)", ["a (1)"], "a (1) (1)"),
        ("a.*", ["a.*", "abc (7)"], "a.* (1)"),
        ("a", ["a", "a (999999999)", "a (1000000000)"], "a (1000000001)"),
        ("a", ["a", "a (" + "9" * 5_000 + ")"], "a (1)"),
        ("a", ["a", "a (٣)"], "a (1)"),
    ],
)
def test_the_next_name_is_one_above_the_highest(wanted: str, taken: list[str], free: str) -> None:
    assert free_name(wanted, taken) == free


def test_endpoint_names_are_numbered_with_a_hyphen() -> None:
    assert free_endpoint_name("a", ["a", "a-2", "a-x", "a-1-7"]) == "a-3"
