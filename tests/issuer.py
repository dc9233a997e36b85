"""An authorization server that a test makes up: its metadata, its keys, and tokens that say whatever the test wants."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.web_server import Answer, Hit, WebServer, web_server

SCOPE = "flows:run"


@cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, key_id: str, **more: Any) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name("RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256")
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": key_id, "use": "sig", **more}


def as_json(value: Any) -> Answer:
    return Answer(json.dumps(value), content_type="application/json")


@dataclass
class Issuer:
    """`keys` are what it publishes; `opaque` maps a token to what introspection says of it."""

    web: WebServer
    keys: list[dict[str, Any]] = field(default_factory=list)
    opaque: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return self.web.address

    def settings(self, **more: Any) -> dict[str, Any]:
        """A project's `auth_settings` that trust this issuer."""
        return {"auth_type": "oauth", "oauth_server_url": self.address, "oauth_mcp_scope": SCOPE, **more}

    def asked(self, path: str) -> int:
        return sum(hit.path == path for hit in self.web.hits)

    def token(
        self,
        audience: str | list[str],
        *,
        key: Any = None,
        algorithm: str = "RS256",
        key_id: str | None = "rsa",
        headers: Mapping[str, Any] | None = None,
        without: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        """A good token for the audience, but for what the test changes or leaves out."""
        now = int(time.time())
        said = {"iss": self.address, "aud": audience, "sub": "carol", "scope": f"openid {SCOPE}", "iat": now, "exp": now + 300, **claims}
        payload = {name: value for name, value in said.items() if name not in without}
        chosen = {**({"kid": key_id} if key_id else {}), **(headers or {})}
        return jwt.encode(payload, rsa_key() if key is None else key, algorithm=algorithm, headers=chosen)

    def introspect(self, hit: Hit) -> Answer:
        if hit.headers.get("authorization") != "Basic aGVhZHdhdGVyOnMzY3JldA==":  # headwater:s3cret
            return Answer("who are you", status=401)
        token = hit.body.decode().partition("token=")[2].partition("&")[0]
        return as_json(self.opaque.get(token, {"active": False}))


@asynccontextmanager
async def open_issuer() -> AsyncIterator[Issuer]:
    async with web_server() as web:
        issuer = Issuer(web, keys=[public_jwk(rsa_key(), "rsa"), public_jwk(ec_key(), "ec", alg="ES256")])
        metadata = {
            "issuer": web.address,
            "jwks_uri": f"{web.address}/keys",
            "introspection_endpoint": f"{web.address}/introspect",
            "authorization_endpoint": f"{web.address}/authorize",
            "token_endpoint": f"{web.address}/token",
        }
        web.pages = {
            "/.well-known/openid-configuration": as_json(metadata),
            "/keys": lambda hit: as_json({"keys": issuer.keys}),
            "/introspect": issuer.introspect,
        }
        yield issuer
