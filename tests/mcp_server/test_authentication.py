"""Which credential decides, and which pages may lend a browser's own."""

from typing import Any

import pytest
from starlette.requests import HTTPConnection

from mcp_server.authentication import AccessPolicy, authenticate, is_own_origin
from projects.access.caller import Credential
from projects.errors import CredentialsMissing, InvalidApiKey, InvalidToken, NotPermitted
from tests.application import Application

GOOD = AccessPolicy()


def request(headers: dict[str, str] | None = None, *, method: str = "POST", query: str = "", scheme: str = "http") -> HTTPConnection:
    sent = {"host": "127.0.0.1:7860", **(headers or {})}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in sent.items()]
    return HTTPConnection({"type": "http", "method": method, "scheme": scheme, "path": "/", "query_string": query.encode(), "headers": raw})


async def test_a_key_is_good_as_bearer_in_the_query_and_as_header(application: Application) -> None:
    key = application.key
    for good in (
        request({"authorization": f"Bearer {key}"}),
        request({"authorization": f"bearer   {key} "}),
        request({"x-api-key": key}),
        request(query=f"a=b&x-api-key={key}"),
        request(query=f"x%2Dapi%2Dkey={key}"),
    ):
        caller = await authenticate(good, application.services, GOOD)
        assert (caller.user_id, caller.via) == (application.caller.user_id, Credential.API_KEY)


async def test_a_login_is_good_as_bearer_and_as_cookie_until_it_is_ended(application: Application) -> None:
    tokens = await application.services.accounts.log_in("ada", "a-long-password")
    bearer, cookie = {"authorization": f"Bearer {tokens.access_token}"}, {"cookie": f"x=y; access_token_lf={tokens.access_token}"}
    for headers in (bearer, cookie):
        assert (await authenticate(request(headers), application.services, GOOD)).via is Credential.SESSION
    await application.services.accounts.log_out(tokens.access_token)
    for headers in (bearer, cookie):
        with pytest.raises(InvalidToken):
            await authenticate(request(headers), application.services, GOOD)


async def test_the_first_credential_decides_and_a_good_one_does_not_rescue_a_bad_one(application: Application) -> None:
    key = application.key
    with pytest.raises(InvalidToken):
        await authenticate(request({"authorization": "Bearer a.b.c", "x-api-key": key}), application.services, GOOD)
    with pytest.raises(InvalidApiKey):
        await authenticate(request({"x-api-key": key}, query="x-api-key=sk-bad"), application.services, GOOD)
    assert await authenticate(request({"x-api-key": key, "cookie": "access_token_lf=old"}), application.services, GOOD)
    assert await authenticate(request({"x-api-key": key, "authorization": "Basic YTpi"}), application.services, GOOD)


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer "}, {"authorization": "Bearer"}, {"x-api-key": " "}, {"cookie": "access_token_lf="}]
)
async def test_nothing_presented_is_missing_and_no_error_of_a_credential(application: Application, headers: dict[str, str]) -> None:
    with pytest.raises(CredentialsMissing):
        await authenticate(request(headers), application.services, GOOD)


async def test_anonymous_access_is_for_our_own_pages_and_programs_only(application: Application) -> None:
    anonymous = AccessPolicy(anonymous_access=True, trusted_origins=frozenset({"https://app.example"}))
    for fine in ({}, {"origin": "http://127.0.0.1:7860"}, {"origin": "https://app.example"}, {"sec-fetch-site": "same-origin"}):
        assert (await authenticate(request(fine), application.services, anonymous)).via is Credential.AUTOMATIC
    for refused in (
        {"origin": "http://localhost:7861"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        with pytest.raises(NotPermitted):
            await authenticate(request(refused), application.services, anonymous)


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "expected"),
    [
        ("http://tools.example", "tools.example", "http", True),
        ("http://tools.example:80", "tools.example", "http", True),
        ("https://tools.example", "tools.example", "http", True),  # a proxy took the TLS off
        ("https://tools.example:443", "tools.example", "https", True),
        ("http://tools.example", "tools.example", "https", False),
        ("http://tools.example:8080", "tools.example", "http", False),
        ("http://evil.example", "tools.example", "http", False),
        ("http://tools.example.evil.example", "tools.example", "http", False),
        ("null", "tools.example", "http", False),
        ("", "tools.example", "http", False),
    ],
)
def test_an_origin_is_ours_when_host_and_port_are_and_tls_is_not_lost(origin: str, host: str, scheme: str, expected: bool) -> None:
    scope: Any = request({"host": host}, scheme=scheme).scope
    assert is_own_origin(scope, origin, GOOD) is expected
