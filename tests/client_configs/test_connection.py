"""Names, addresses and keys that every client takes."""

import re
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_configs.connection import NAME_PATTERN, Connection, is_public, make_server_name
from client_configs.problems import InvalidConnection
from tests.client_configs.machines import HTTP_URL, KEY, SSE_URL, connection

IDENTITY = "0190d3b0-6a4e-7cc1-b5a0-2f2f3f0c9d11"


@given(st.text(max_size=60), st.sets(st.text(max_size=26), max_size=4))
def test_any_project_gets_a_name_that_clients_take(project_name: str, taken: set[str]) -> None:
    name = make_server_name(project_name, taken=taken, project_id=IDENTITY)
    assert NAME_PATTERN.fullmatch(name)
    assert len(name) <= 26
    taken.add(name)
    other = make_server_name(project_name, taken=taken, project_id=IDENTITY)
    assert other not in taken
    assert NAME_PATTERN.fullmatch(make_server_name(project_name, taken=taken | {other}, project_id=IDENTITY))


@pytest.mark.parametrize(
    ("project_name", "expected"),
    [
        ("Orders", "hw-orders"),
        ("Café  Zoë (2)", "hw-cafe-zoe-2"),
        ("日本", "hw-3f0c9d11"),
        ("A very long name of a project", "hw-a-very-long-name-of-a-p"),
    ],
)
def test_the_name_says_which_project(project_name: str, expected: str) -> None:
    assert make_server_name(project_name, project_id=IDENTITY) == expected


def test_the_key_is_not_in_the_representation() -> None:
    assert KEY not in repr(connection())


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "with space"},
        {"key": "new\nline"},
        {"key": ""},
        {"variable": "a-b"},
        {"header": "x: y"},
        {"executable": PurePosixPath("headwater")},
        {"sse_url": "http://h/?key=1"},
    ],
)
def test_what_cannot_be_written_safely_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidConnection):
        Connection("hw-a", HTTP_URL, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "same", [HTTP_URL, HTTP_URL + "/", HTTP_URL.replace("127.0.0.1", "localhost"), HTTP_URL.replace("127.0.0.1", "[::1]"), SSE_URL]
)
def test_one_server_has_many_spellings(same: str) -> None:
    assert connection().has_address(same)


@pytest.mark.parametrize(
    "other", [HTTP_URL.replace("7860", "7861"), HTTP_URL.replace("127.0.0.1", "10.0.0.1"), "", "text", "http://[", "http://127.0.0.1:7860"]
)
def test_another_address_is_another_server(other: str) -> None:
    assert not connection().has_address(other)


def test_only_https_names_of_the_internet_are_public() -> None:
    assert is_public("https://tools.example.org/mcp")
    for address in (
        "http://tools.example.org",
        "https://10.0.0.4",
        "https://localhost",
        "https://nas",
        "https://nas.local",
        "https://[::1]/",
    ):
        assert not is_public(address)


def test_the_public_bridge_allows_plain_http_only_where_it_must() -> None:
    plain = connection(executable=None, http_url="http://10.0.0.4:7860/mcp").public_command()
    assert "--allow-http" in plain.arguments
    assert "--allow-http" not in connection(executable=None).public_command().arguments
    assert not re.search(r"\s", " ".join(plain.arguments[-1:]))
