"""Host and Origin headers, read strictly."""

import pytest

from mcp_server.authority import Authority, is_loopback, parse_authority, parse_origin


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", None),
        ("LocalHost:7860", "localhost", 7860),
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("[::1]", "[::1]", None),
        ("[::1]:7860", "[::1]", 7860),
        ("tools.example.org", "tools.example.org", None),
        ("head_water:7860", "head_water", 7860),
    ],
)
def test_a_host_with_or_without_a_port_is_read(text: str, host: str, port: int | None) -> None:
    assert parse_authority(text) == Authority(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "localhost.",
        "localhost:",
        "localhost:x",
        "localhost:0",
        "localhost:65536",
        "127.0.0.1:8000.evil.example",
        "user@localhost",
        "localhost/path",
        "localhost,evil.example",
        "[::1",
        "::1",
        "local host",
        "localhost\n",
        "-",
        "ﬂocalhost",
    ],
)
def test_what_is_no_plain_host_is_nobody(text: str) -> None:
    assert parse_authority(text) is None


@pytest.mark.parametrize(
    "text", ["null", "", "localhost", "file://localhost", "http://localhost/", "http://a@localhost", "javascript:x", "http://"]
)
def test_what_is_no_plain_origin_is_nobody(text: str) -> None:
    assert parse_origin(text) is None


def test_an_origin_keeps_its_scheme() -> None:
    assert parse_origin("https://localhost:8443") == Authority("localhost", 8443, "https")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.9.9.9", True), ("[::1]", True), ("10.0.0.1", False), ("localhost.evil.example", False)],
)
def test_loopback_is_this_machine_and_nothing_that_only_looks_like_it(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
