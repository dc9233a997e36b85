"""What authorization servers say: their metadata, their keys, and whether a token of theirs is good.

An issuer's address was written by the owner of a project, so every call goes through the guard for outgoing calls, follows no redirect,
and is bounded in time and size. What was learned is kept for a while; a token with an unknown key makes us ask again, but not often.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, time
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import quote_plus, urlsplit

from projects.access.project_access import ProjectAccess
from projects.errors import HeadwaterError, InvalidToken

if TYPE_CHECKING:
    from projects.run_resources import OutgoingHttp

logger = logging.getLogger(__name__)

MAX_TOKEN_CHARACTERS = 8_192
MAX_KEYS = 100
ISSUERS_KEPT = 200
KEPT_SECONDS = 3_600.0
SECONDS_BETWEEN_ASKING = 30.0
INTROSPECTION_KEPT_SECONDS = 30.0
INTROSPECTIONS_KEPT = 5_000
TIMEOUT_SECONDS = 5.0
CLOCK_DIFFERENCE_SECONDS = 30.0

# Asymmetric ones only: with a shared secret whoever may check a token could make one. Key type, and the curve where one is fixed.
ALGORITHMS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", "")),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
_TOKEN_TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a good token says, as far as it matters here."""

    subject: str
    scopes: frozenset[str]


@dataclass(slots=True)
class _Issuer:
    """What is known of one issuer, and when it was last asked."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    metadata: Mapping[str, Any] | None = None
    keys: Sequence[Mapping[str, Any]] = ()
    asked_at: float = float("-inf")
    learned_at: float = float("-inf")
    failure: str = ""


class Issuers:
    """One for the process. `clock` counts seconds of no particular beginning."""

    def __init__(self, outgoing: OutgoingHttp, *, clock: Callable[[], float] = monotonic) -> None:
        self._outgoing = outgoing
        self._clock = clock
        self._known: OrderedDict[str, _Issuer] = OrderedDict()
        self._introspected: OrderedDict[bytes, tuple[float, Mapping[str, Any]]] = OrderedDict()

    async def check(self, token: str, access: ProjectAccess, audiences: Sequence[str]) -> TokenClaims:
        """What a token of the project's issuer says that is made out to one of the audiences. Raises InvalidToken."""
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            raise InvalidToken("This is no access token.")
        header = _header_of(token)
        if header is not None:
            claims = await self._signed_claims(token, header, access.issuer)
        elif access.client_id and access.client_secret:
            claims = await self._introspected_claims(token, access)
        else:
            raise InvalidToken("This is no signed token, and others cannot be checked here.")
        return _checked(claims, audiences)

    # --- signed tokens

    async def _signed_claims(self, token: str, header: Mapping[str, Any], issuer: str) -> Mapping[str, Any]:
        import jwt  # with its cryptography 30 ms that only projects in this mode pay

        algorithm, key_id = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise InvalidToken("The token is signed in a way that is not accepted here.")
        if "crit" in header or str(header.get("typ") or "").lower() not in _TOKEN_TYPES:
            raise InvalidToken("This kind of token is not accepted here.")
        known = await self._learn(issuer)
        keys = _fitting(known.keys, algorithm, key_id)
        if not keys:
            known = await self._learn(issuer, again=True)
            keys = _fitting(known.keys, algorithm, key_id)
        metadata = known.metadata or {}
        for key in keys[:3]:
            try:
                public = jwt.get_algorithm_by_name(algorithm).from_jwk(dict(key))
                if hasattr(public, "private_bytes"):
                    continue  # a key that everybody has proves nothing
                claims: Mapping[str, Any] = jwt.decode(
                    token,
                    public,
                    algorithms=[algorithm],
                    issuer=metadata["issuer"],
                    leeway=CLOCK_DIFFERENCE_SECONDS,
                    options={"require": ["exp", "iss", "aud"], "verify_aud": False, "verify_sub": False, "verify_iat": False},
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError:
                raise InvalidToken("The token has expired.") from None
            except jwt.ImmatureSignatureError:
                raise InvalidToken("The token is not good yet.") from None
            except jwt.InvalidIssuerError:
                raise InvalidToken("The token is of another issuer.") from None
            except (jwt.PyJWTError, ValueError, TypeError, KeyError):
                raise InvalidToken("The token cannot be read.") from None
            return claims
        raise InvalidToken("The token is not signed by a key of the issuer.")

    # --- opaque tokens

    async def _introspected_claims(self, token: str, access: ProjectAccess) -> Mapping[str, Any]:
        """RFC 7662. An answer is kept for a short time, and a token that was withdrawn is good for no longer than that."""
        asks = "\0".join((access.issuer, access.client_id, access.client_secret, token))
        digest = hashlib.sha256(asks.encode()).digest()
        if (kept := self._introspected.get(digest)) is not None and self._clock() - kept[0] < INTROSPECTION_KEPT_SECONDS:
            return kept[1]
        metadata = (await self._learn(access.issuer)).metadata or {}
        endpoint = metadata.get("introspection_endpoint")
        if not isinstance(endpoint, str) or not _is_callable(endpoint, access.issuer):
            raise InvalidToken("This is no signed token, and the issuer offers no way to ask about others.")
        credentials = (quote_plus(access.client_id), quote_plus(access.client_secret))  # RFC 6749 §2.3.1
        try:
            async with self._outgoing.client(timeout_seconds=TIMEOUT_SECONDS, follow_redirects=False) as client:
                answer = await client.post(endpoint, data={"token": token, "token_type_hint": "access_token"}, auth=credentials)
            claims = answer.json() if answer.status_code == 200 else None
        except Exception as error:
            _log(access.issuer, "cannot be asked about a token", error)
            raise InvalidToken("The issuer cannot be asked about this token now.") from None
        if not isinstance(claims, dict):
            logger.warning("The issuer %s answers %s when asked about a token", _shown(access.issuer), answer.status_code)
            raise InvalidToken("The issuer does not answer about this token.")
        if claims.get("active") is not True:
            claims = {}
        elif claims.get("iss", metadata.get("issuer")) != metadata.get("issuer"):
            raise InvalidToken("The token is of another issuer.")
        self._introspected[digest] = (self._clock(), claims)
        if len(self._introspected) > INTROSPECTIONS_KEPT:
            self._introspected.popitem(last=False)
        return claims

    # --- what an issuer says of itself

    async def _learn(self, issuer: str, *, again: bool = False) -> _Issuer:
        """What is known of the issuer, asked for when it is not known, is old, or with `again` unless it was asked just now.

        Raises InvalidToken: nobody is let in on the word of an issuer that does not answer.
        """
        known = self._known.pop(issuer, None) or _Issuer()
        self._known[issuer] = known  # moved to the end
        if len(self._known) > ISSUERS_KEPT:
            self._known.popitem(last=False)
        async with known.lock:
            now = self._clock()
            is_good = known.metadata is not None and now - known.learned_at < KEPT_SECONDS
            if (not is_good or again) and now - known.asked_at >= SECONDS_BETWEEN_ASKING:
                known.asked_at = now
                try:
                    known.metadata, known.keys = await self._ask(issuer)
                    known.learned_at = now
                    known.failure = ""
                except Exception as error:
                    # A boundary: whatever an issuer does, the token is what cannot be checked.
                    known.failure = "cannot be asked for its keys"
                    _log(issuer, known.failure, error)
                is_good = known.metadata is not None and now - known.learned_at < KEPT_SECONDS
        if not is_good:
            raise InvalidToken("The issuer of this project's tokens cannot be asked for its keys now.")
        return known

    async def _ask(self, issuer: str) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
        async with self._outgoing.client(timeout_seconds=TIMEOUT_SECONDS, follow_redirects=False) as client:
            metadata: Mapping[str, Any] | None = None
            for address in metadata_addresses(issuer):
                answer = await client.get(address, headers={"accept": "application/json"})
                if answer.status_code == 200 and isinstance(found := _json(answer.content), dict):
                    metadata = found
                    break
            if metadata is None:
                raise ValueError("it has no metadata at its well-known addresses")
            said = metadata.get("issuer")
            if not isinstance(said, str) or said.rstrip("/") != issuer.rstrip("/"):
                raise ValueError("its metadata names another issuer")
            where = metadata.get("jwks_uri")
            if not isinstance(where, str):
                return metadata, ()  # it may give opaque tokens only
            if not _is_callable(where, issuer):
                raise ValueError("its jwks_uri is no https address")
            answer = await client.get(where, headers={"accept": "application/json"})
            keys = _json(answer.content) if answer.status_code == 200 else None
        listed = keys.get("keys") if isinstance(keys, dict) else None
        if not isinstance(listed, list):
            raise ValueError("its jwks_uri holds no keys")
        return metadata, tuple(key for key in listed[:MAX_KEYS] if isinstance(key, dict))


def metadata_addresses(issuer: str) -> tuple[str, ...]:
    """Where RFC 8414 and OpenID Connect Discovery put the metadata, in the order in which MCP clients try them."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    addresses = (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )
    return tuple(dict.fromkeys(addresses))


def _header_of(token: str) -> Mapping[str, Any] | None:
    """The header of a token in three parts; None for a token of any other shape."""
    from base64 import urlsafe_b64decode

    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        header = json.loads(urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    except (ValueError, RecursionError):
        return None
    return header if isinstance(header, dict) else None


def _fitting(keys: Sequence[Mapping[str, Any]], algorithm: str, key_id: object) -> list[Mapping[str, Any]]:
    """The keys that a token with this header may be signed by. A key of one kind is never used as another."""
    type_, curve = ALGORITHMS[algorithm]
    return [
        key
        for key in keys
        if key.get("kty") == type_
        and (not curve or key.get("crv") == curve)
        and key.get("use") in (None, "sig")
        and key.get("alg") in (None, algorithm)
        and (key_id is None or key.get("kid") == key_id)
    ]


def _checked(claims: Mapping[str, Any], audiences: Sequence[str]) -> TokenClaims:
    """Rules for signed tokens and the answers of introspection alike. Raises InvalidToken."""
    now = time()
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if not claims or not _is_number(expires) or expires + CLOCK_DIFFERENCE_SECONDS <= now:
        raise InvalidToken("The token has expired or was withdrawn.")
    if not _is_number(begins) or begins > now + CLOCK_DIFFERENCE_SECONDS:
        raise InvalidToken("The token is not good yet.")
    made_out_to = claims.get("aud")
    listed = [made_out_to] if isinstance(made_out_to, str) else made_out_to
    if not isinstance(listed, list) or not any(each in audiences for each in listed if isinstance(each, str)):
        raise InvalidToken("The token is made out to something else than this project.")
    subject = claims.get("sub") or claims.get("client_id")
    if not isinstance(subject, str) or not subject:
        raise InvalidToken("The token names nobody.")
    return TokenClaims(subject, frozenset(_words(claims.get("scope")) | _words(claims.get("scp"))))


def _words(value: object) -> set[str]:
    if isinstance(value, str):
        return set(value.split())
    return {each for each in value if isinstance(each, str)} if isinstance(value, list) else set()


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _is_callable(address: str, issuer: str) -> bool:
    """An address that an issuer names: over http only where the issuer itself is reached so, which is on this machine alone."""
    scheme = urlsplit(address).scheme
    return scheme == "https" or (scheme == "http" and urlsplit(issuer).scheme == "http")


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _log(issuer: str, what: str, error: Exception) -> None:
    """One line for the operator. The error's own text may hold what was sent, unless it is ours."""
    reason = error.message if isinstance(error, HeadwaterError) else str(error) if type(error) is ValueError else type(error).__name__
    logger.warning("The issuer %s %s: %s", _shown(issuer), what, reason)


def _shown(issuer: str) -> str:
    return issuer if len(issuer) <= 200 else issuer[:200] + "…"
