"""Projects in OAuth mode: where clients are sent for a token, whose tokens are good, and what they are good for."""

import hashlib
import hmac
import logging
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from mcp_server.issuers import SECONDS_BETWEEN_ASKING, Issuers, metadata_addresses
from mcp_server.telemetry import redact
from projects.access.caller import Caller, Credential
from projects.access.project_access import AuthType, ProjectAccess
from projects.errors import InvalidToken
from projects.outgoing.clients import GuardedHttp
from projects.outgoing.guard import Guard
from tests.application import open_application
from tests.issuer import SCOPE, Issuer, as_json, ec_key, open_issuer, public_jwk, rsa_key
from tests.mcp_server.conftest import BOTH_TYPES, TLS, Served, greeting_by_variable, serve
from tests.web_server import Answer, redirect

METADATA = "/.well-known/oauth-protected-resource"


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with open_issuer() as opened:
        yield opened


@pytest.fixture
async def served(tmp_path: Path, issuer: Issuer) -> AsyncIterator[Served]:
    """The first project trusts the issuer, and many bad tokens may be tried."""
    allowed = [f"127.0.0.1:{issuer.web.port}"]
    async with (
        open_application(tmp_path / "data", allowed_addresses=allowed, bad_keys_per_minute=1_000) as application,
        serve(application) as running,
    ):
        await set_mode(running, issuer.settings())
        yield running


async def set_mode(served: Served, settings: dict[str, Any], *, project_id: str | None = None) -> httpx2.Response:
    address = f"{served.address}/api/v1/mcp/project/{project_id or served.application.project_id}"
    return await served.http.patch(address, json={"settings": [], "auth_settings": settings}, headers={"x-api-key": served.application.key})


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_without_a_token_the_challenge_leads_to_metadata_that_names_the_issuer(served: Served, issuer: Issuer) -> None:
    for transport in ("streamable", "sse"):
        address = served.project_address(transport)
        answer = await served.http.request("POST" if transport == "streamable" else "GET", address, headers=BOTH_TYPES)
        where = f"{served.address}{METADATA}/api/v1/mcp/project/{served.application.project_id}/{transport}"
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == f'Bearer resource_metadata="{where}", scope="{SCOPE}"'
        assert (await served.http.get(where)).json() == {
            "resource": address,
            "authorization_servers": [issuer.address],
            "scopes_supported": [SCOPE],
            "bearer_methods_supported": ["header"],
        }


async def test_metadata_is_there_for_projects_in_that_mode_only(served: Served) -> None:
    where = f"{served.address}{METADATA}/api/v1/mcp/project/{served.application.project_id}/streamable"
    assert (await served.http.get(where, headers={"origin": "https://evil.example"})).status_code == 403
    for path in ("", "/api/v1/mcp/streamable", "/api/v1/mcp/project/nonsense/streamable", f"/api/v1/mcp/project/{'0' * 32}/streamable"):
        assert (await served.http.get(f"{served.address}{METADATA}{path}")).status_code == 404
    for kind in ("apikey", "none"):
        assert (await set_mode(served, {"auth_type": kind})).status_code == 200
        assert (await served.http.get(where)).status_code == 404
    assert (await set_mode(served, {"auth_type": "apikey"})).status_code == 200
    answer = await served.post("tools/list", headers={"a": "b"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
async def test_a_good_token_lists_and_calls_with_the_owners_variables_in_its_own_sessions(
    served: Served, issuer: Issuer, algorithm: str
) -> None:
    services, owner = served.application.services, served.application.caller
    await services.variables.create(owner, name="GREETING", value="hello from the owner", type="Generic")
    await served.add_tool("greet", greeting_by_variable())
    token = issuer.token(
        served.project_address(),
        algorithm=algorithm,
        key=ec_key() if algorithm == "ES256" else None,
        key_id="ec" if algorithm == "ES256" else "rsa",
    )
    async with (
        httpx2.AsyncClient(headers=bearer(token), timeout=30, verify=TLS) as http,
        Client(streamable_http_client(served.project_address(), http_client=http)) as client,
    ):
        assert "greet" in {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("greet", {"session_id": "mine"})
    assert result.content[0].text == "hello from the owner"  # type: ignore[union-attr]
    assert result.meta is not None
    assert result.meta["headwater/session-id"].startswith("oauth:")
    assert result.meta["headwater/session-id"].endswith(":carol:mine")
    assert await services.messages.list_messages(owner, session_id="mine") == []


async def test_bad_tokens_are_401_and_a_missing_scope_is_403(served: Served, issuer: Issuer) -> None:
    address, now = served.project_address(), int(time.time())
    public = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body, _ = issuer.token(address).split(".")
    unsigned = urlsafe_b64encode(b'{"alg":"none","kid":"rsa"}').rstrip(b"=").decode()
    swapped = urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa"}').rstrip(b"=").decode()
    signature = urlsafe_b64encode(hmac.new(public, f"{swapped}.{body}".encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
    bad = {
        "another audience": issuer.token("https://elsewhere.example/mcp"),
        "the server, not the project": issuer.token(served.address),
        "a slash more": issuer.token(address + "/"),
        "no audience": issuer.token(address, without=("aud",)),
        "another issuer": issuer.token(address, iss="https://evil.example"),
        "no issuer": issuer.token(address, without=("iss",)),
        "expired": issuer.token(address, exp=now - 60),
        "no expiry": issuer.token(address, without=("exp",)),
        "not yet": issuer.token(address, nbf=now + 600),
        "nobody": issuer.token(address, without=("sub",)),
        "another key": issuer.token(address, key=rsa_key(1)),
        "another kind of key": issuer.token(address, key=ec_key(), algorithm="ES256", key_id="rsa"),
        "no signature": f"{unsigned}.{body}.",
        "the public key as a shared secret": f"{swapped}.{body}.{signature}",
        "a critical extension": issuer.token(address, headers={"crit": ["b64"], "b64": True}),
        "something else's token": issuer.token(address, headers={"typ": "logout+jwt"}),
        "cut": f"{head}.{body}",
        "opaque": "abcdef",
        "long": "a." * 10_000,
        "our own key that is none": "sk-nothing",
    }
    for what, token in bad.items():
        answer = await served.post("tools/list", headers=bearer(token))
        assert answer.status_code == 401, what
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token", resource_metadata="'), what
    for scope in ("", "flows:read", f"{SCOPE}x"):
        answer = await served.post("tools/list", headers=bearer(issuer.token(address, scope=scope)))
        assert answer.status_code == 403
        assert answer.headers["www-authenticate"].startswith(
            f'Bearer error="insufficient_scope", resource_metadata="{served.address}{METADATA}/'
        )
        assert answer.headers["www-authenticate"].endswith(f', scope="{SCOPE}"')
    assert (await served.post("tools/list", headers=bearer(issuer.token(address, scope=None, scp=[SCOPE])))).status_code == 200
    assert (await served.post("tools/list", headers=bearer(issuer.token(["x", address])))).status_code == 200


async def test_bad_tokens_count_like_bad_keys_and_tokens_that_were_good_go_on(tmp_path: Path, issuer: Issuer) -> None:
    allowed = [f"127.0.0.1:{issuer.web.port}"]
    async with (
        open_application(tmp_path / "data", allowed_addresses=allowed, bad_keys_per_minute=3) as application,
        serve(application) as served,
    ):
        await set_mode(served, issuer.settings())
        address = served.project_address()
        good, too_weak = issuer.token(address), issuer.token(address, scope="flows:read")
        assert (await served.post("tools/list", headers=bearer(good))).status_code == 200
        for _ in range(5):
            assert (await served.post("tools/list", headers=bearer(too_weak))).status_code == 403
        tried = [issuer.token("elsewhere"), "opaque", issuer.token(address, key=rsa_key(1)), issuer.token("elsewhere"), "sk-key"]
        assert [(await served.post("tools/list", headers=bearer(token))).status_code for token in tried] == [401, 401, 401, 429, 429]
        assert (await served.post("tools/list", headers=bearer(good))).status_code == 200
        assert (await served.post("tools/list", headers={"a": "b"})).status_code == 401


async def test_a_token_opens_its_own_project_and_nothing_else(served: Served, issuer: Issuer) -> None:
    services, owner = served.application.services, served.application.caller
    token = bearer(issuer.token(served.project_address()))
    other = await services.projects.create(owner, name="Other", auth_settings=issuer.settings())
    plain = await services.projects.create(owner, name="Plain")
    for project in (other, plain):
        assert (await served.post("tools/list", address=served.project_address(project_id=project.id), headers=token)).status_code == 401
    assert (await served.post("tools/list", address=f"{served.address}/api/v1/mcp/streamable", headers=token)).status_code == 401
    for path in ("/api/v1/flows/", "/api/v1/users/whoami", f"/api/v1/mcp/project/{served.application.project_id}"):
        assert (await served.http.get(f"{served.address}{path}", headers=token)).status_code == 401
    refused = await served.post(
        "tools/call",
        {"name": "evaluate_expression", "arguments": {"input_value": "1"}},
        headers={**token, "x-langflow-global-var-openai_base_url": "http://evil.example"},
    )
    assert refused.json()["result"]["isError"] is True


async def test_keys_and_logins_of_the_owner_stay_good_but_no_key_in_an_address(served: Served) -> None:
    key = served.application.key
    tokens = await served.application.services.accounts.log_in("ada", "a-long-password")
    for headers in ({"x-api-key": key}, bearer(key), bearer(tokens.access_token)):
        assert (await served.post("tools/list", headers=headers)).status_code == 200
    answer = await served.post("tools/list", address=f"{served.project_address()}?x-api-key={key}", headers={"a": "b"})
    assert answer.status_code == 401
    assert "resource_metadata=" in answer.headers["www-authenticate"]
    assert key not in answer.text
    strange = await served.post("tools/list", headers={"x-api-key": served.application.stranger.headers["x-api-key"]})
    assert strange.status_code == 404


async def test_a_session_belongs_to_the_subject_and_ends_with_the_mode(served: Served, issuer: Issuer) -> None:
    address = served.project_address()
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
    carol = {**BOTH_TYPES, **bearer(issuer.token(address))}
    opened = await served.http.post(address, json={"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}, headers=carol)
    session = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-06-18"}
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert (await served.http.post(address, json=listing, headers={**carol, **session})).status_code == 200
    dave = {**BOTH_TYPES, **bearer(issuer.token(address, sub="dave"))}
    owner = {**BOTH_TYPES, "x-api-key": served.application.key}
    for other in (dave, owner):
        assert (await served.http.post(address, json=listing, headers={**other, **session})).status_code == 404
        assert (await served.http.delete(address, headers={**other, **session})).status_code == 404
    await set_mode(served, {"auth_type": "apikey"})
    assert (await served.http.post(address, json=listing, headers={**carol, **session})).status_code == 401


async def test_a_rotated_key_is_learned_and_unknown_keys_do_not_make_us_ask_without_end(issuer: Issuer) -> None:
    now = 1_000.0
    issuers, access = make_issuers(issuer, clock=lambda: now), access_by(issuer)
    await issuers.check(issuer.token("here"), access, ["here"])
    issuer.keys = [public_jwk(rsa_key(1), "new")]
    token = issuer.token("here", key=rsa_key(1), key_id="new")
    for _ in range(5):
        with pytest.raises(InvalidToken):
            await issuers.check(token, access, ["here"])
    assert issuer.asked("/keys") == 1
    now += SECONDS_BETWEEN_ASKING
    assert (await issuers.check(token, access, ["here"])).subject == "carol"
    assert issuer.asked("/keys") == 2
    with pytest.raises(InvalidToken):
        await issuers.check(issuer.token("here"), access, ["here"])


def make_issuers(issuer: Issuer, **options: Any) -> Issuers:
    return Issuers(GuardedHttp(Guard([f"127.0.0.1:{issuer.web.port}"]), max_bytes=100_000), **options)


def access_by(issuer: Issuer, **more: Any) -> ProjectAccess:
    return ProjectAccess("project", "owner", "ada", AuthType.OAUTH, issuer=issuer.address, scopes=(SCOPE,), **more)


async def test_an_opaque_token_is_asked_about_with_the_projects_own_credentials(issuer: Issuer) -> None:
    known = {"active": True, "aud": "here", "sub": "carol", "scope": SCOPE, "exp": time.time() + 60}
    issuer.opaque = {"good": known, "foreign": {**known, "aud": "there"}, "old": {**known, "exp": 1}, "nameless": {**known, "sub": ""}}
    issuers, access = make_issuers(issuer), access_by(issuer, client_id="headwater", client_secret="s3cret")
    for _ in range(3):
        assert (await issuers.check("good", access, ["here"])).scopes == {SCOPE}
    assert issuer.asked("/introspect") == 1
    for token in ("foreign", "old", "nameless", "unknown"):
        with pytest.raises(InvalidToken):
            await issuers.check(token, access, ["here"])
    with pytest.raises(InvalidToken):
        await issuers.check("good", access_by(issuer), ["here"])
    with pytest.raises(InvalidToken):
        await issuers.check("good", access_by(issuer, client_id="headwater", client_secret="wrong"), ["here"])


async def test_an_issuer_that_lies_moves_or_is_not_allowed_is_not_believed(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    good = {"issuer": issuer.address, "jwks_uri": f"{issuer.address}/keys"}
    pages = issuer.web.pages
    broken: list[Any] = [
        as_json({**good, "issuer": "https://evil.example"}),
        as_json({**good, "jwks_uri": "file:///etc/passwd"}),
        as_json([1]),
        Answer("x" * 200_000),
        Answer("no", status=500),
        redirect(f"{issuer.address}/elsewhere"),
    ]
    for page in broken:
        issuer.web.pages = {**pages, "/.well-known/openid-configuration": page, "/elsewhere": as_json(good)}
        with pytest.raises(InvalidToken):
            await make_issuers(issuer).check(issuer.token("here"), access_by(issuer), ["here"])
    issuer.web.pages, issuer.web.hits = pages, []
    with pytest.raises(InvalidToken):
        await Issuers(GuardedHttp(Guard())).check(issuer.token("here"), access_by(issuer), ["here"])
    assert issuer.web.hits == []
    assert "allowed_addresses" in caplog.text


async def test_keys_and_tokens_never_reach_a_log(served: Served, issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    address = served.project_address()
    tokens = [issuer.token(address), issuer.token("elsewhere"), issuer.token(address, key=rsa_key(1)), "opaque-marker-token"]
    for token in tokens:
        await served.post("tools/list", headers=bearer(token))
    await served.post("tools/list", address=f"{address}?x-api-key={served.application.key}", headers={"a": "b"})
    # The line of the request itself is made safe as it is written; everything else must not hold a secret in the first place.
    records = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    said = [redact(record.getMessage()) if record.name == "uvicorn.access" else record.getMessage() for record in records]
    ours = "\n".join(said)
    for secret in (*tokens, served.application.key):
        assert secret not in ours


async def test_settings_that_nobody_could_keep_are_refused_by_name(served: Served, issuer: Issuer) -> None:
    good = issuer.settings()
    for change, field in (
        ({"oauth_server_url": None}, "oauth_server_url"),
        ({"oauth_server_url": "javascript:alert(1)"}, "oauth_server_url"),
        ({"oauth_server_url": "http://issuer.example"}, "oauth_server_url"),
        ({"oauth_server_url": "https://user@issuer.example"}, "oauth_server_url"),
        ({"oauth_server_url": "https://issuer.example/#x"}, "oauth_server_url"),
        ({"oauth_server_url": "https://issuer.example:port"}, "oauth_server_url"),
        ({"oauth_mcp_scope": " "}, "oauth_mcp_scope"),
        ({"oauth_mcp_scope": 'a"b'}, "oauth_mcp_scope"),
        ({"oauth_auth_url": "calculator://x"}, "oauth_auth_url"),
        ({"auth_type": "magic"}, "auth_type"),
        ({"auth_type": None}, "auth_type"),
    ):
        answer = await set_mode(served, {**good, **change})
        assert answer.status_code == 422, change
        assert answer.json()["detail"][0]["loc"][-2:] == ["auth_settings", field], change
        projects = f"{served.address}/api/v1/projects/"
        answer = await served.http.post(
            projects, json={"name": "x", "auth_settings": {**good, **change}}, headers={"x-api-key": served.application.key}
        )
        assert answer.status_code == 422, change


async def test_a_client_secret_is_kept_encrypted_and_shown_to_nobody(served: Served, issuer: Issuer) -> None:
    http, path = served.application.http, f"/api/v1/projects/{served.application.project_id}"
    await set_mode(served, issuer.settings(oauth_client_id="headwater", oauth_client_secret="s3cret"))
    read = await http.get(path)
    assert read.json()["auth_settings"]["oauth_client_secret"] == "*" * 7
    changed = await http.patch(path, json={"auth_settings": {**read.json()["auth_settings"], "oauth_mcp_scope": "other"}})
    assert "s3cret" not in read.text + changed.text
    access = await served.application.services.project_access.find(served.application.project_id)
    assert access is not None
    assert (access.client_secret, access.scopes, "s3cret" in repr(access)) == ("s3cret", ("other",), False)


async def test_oauth_needs_an_address_that_tokens_can_be_made_out_to(tmp_path: Path, issuer: Issuer) -> None:
    async with open_application(tmp_path / "a", host="0.0.0.0") as application:
        answer = await application.http.patch(
            f"/api/v1/mcp/project/{application.project_id}", json={"settings": [], "auth_settings": issuer.settings()}
        )
        assert answer.status_code == 422
        assert "public_url" in answer.json()["detail"][0]["msg"]
    public = "https://tools.example.org/flows"
    allowed = [f"127.0.0.1:{issuer.web.port}"]
    async with open_application(tmp_path / "b", host="0.0.0.0", public_url=public, allowed_addresses=allowed) as application:
        path = f"/api/v1/mcp/project/{application.project_id}"
        await application.http.patch(path, json={"settings": [], "auth_settings": issuer.settings()})
        answer = await application.nobody.post(f"{path}/streamable")
        where = f"https://tools.example.org{METADATA}/flows{path}/streamable"
        assert f'resource_metadata="{where}"' in answer.headers["www-authenticate"]
        for asked in (f"{METADATA}/flows{path}/streamable", f"{METADATA}{path}/streamable"):
            assert (await application.nobody.get(asked)).json()["resource"] == f"{public}{path}/streamable"
        token = issuer.token(f"http://127.0.0.1:7860{path}/streamable")
        assert (await application.nobody.post(f"{path}/streamable", headers=bearer(token))).status_code == 401


def test_metadata_is_looked_for_where_the_standards_put_it() -> None:
    assert metadata_addresses("https://as.example") == (
        "https://as.example/.well-known/oauth-authorization-server",
        "https://as.example/.well-known/openid-configuration",
    )
    assert metadata_addresses("https://as.example/tenant/") == (
        "https://as.example/.well-known/oauth-authorization-server/tenant",
        "https://as.example/.well-known/openid-configuration/tenant",
        "https://as.example/tenant/.well-known/openid-configuration",
    )


def test_two_subjects_never_share_a_principal() -> None:
    access = ProjectAccess("project", "owner", "ada", AuthType.OAUTH, issuer="https://as.example")
    subjects = ["carol", "carol:x", "carol:", "x" * 500, "x" * 501, "jürgen", "carol\n", ""]
    principals = [access.token_holder(subject).principal for subject in subjects]
    assert len(set(principals)) == len(subjects)
    assert all(len(principal) <= 128 and principal.count(":") == 2 for principal in principals)
    assert Caller("owner", "ada", False, Credential.LOCAL).is_confined is False
