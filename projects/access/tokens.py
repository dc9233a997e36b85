"""Session tokens: short JWTs that name a user and a session. Whether the session still stands is the accounts' question."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from projects.errors import InvalidToken

Algorithm = Literal["HS256", "HS384", "HS512"]

MAX_TOKEN_CHARACTERS = 4_096


class TokenType(StrEnum):
    ACCESS = "access"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a good token says."""

    user_id: str
    session_id: str
    token_id: str
    expires_at: float  # seconds since 1970


class TokenSigner:
    """Signs and reads tokens. Each names the key that signed it, so that a changed key is told apart from a forgery."""

    def __init__(self, secret_key: str, algorithm: Algorithm) -> None:
        if not secret_key:
            raise ValueError("the secret key is empty")
        # Derived: a token's signature says nothing about the key that encrypts variables, and every length of secret is long enough.
        self._key = hashlib.sha512(b"headwater session tokens\0" + secret_key.encode()).digest()
        self._key_id = hashlib.sha256(self._key).hexdigest()[:8]
        self._algorithm = algorithm

    def sign(self, kind: TokenType, claims: TokenClaims, *, issued_at: datetime) -> str:
        payload = {
            "sub": claims.user_id,
            "type": kind.value,
            "sid": claims.session_id,
            "jti": claims.token_id,
            "iat": int(issued_at.timestamp()),
            "exp": int(claims.expires_at),
        }
        import jwt  # with its cryptography 30 ms that only those pay who log in

        return jwt.encode(payload, self._key, algorithm=self._algorithm, headers={"kid": self._key_id})

    def read(self, kind: TokenType, token: str) -> TokenClaims:
        """The claims of a token of this kind that is ours and not expired; InvalidToken otherwise."""
        payload = self._decode(token, check_expiry=True)
        if payload["type"] != kind:
            raise InvalidToken(f"This token is for something else: send the session's {kind} token.")
        return _claims(payload)

    def read_any(self, token: str) -> TokenClaims:
        """The claims of any token of ours, expired or not: enough to end its session."""
        return _claims(self._decode(token, check_expiry=False))

    def _decode(self, token: str, *, check_expiry: bool) -> dict[str, Any]:
        import jwt

        if len(token) > MAX_TOKEN_CHARACTERS:
            raise InvalidToken("This is not a session token: log in again.")
        try:
            if jwt.get_unverified_header(token).get("kid") != self._key_id:
                raise InvalidToken("This session token was signed with another key: log in again.")
            payload: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[self._algorithm],
                options={"require": ["sub", "type", "sid", "jti", "iat", "exp"], "verify_exp": check_expiry},
            )
        except jwt.ExpiredSignatureError as error:
            raise InvalidToken("The session token has expired: refresh it or log in again.") from error
        except (jwt.InvalidTokenError, UnicodeError) as error:
            raise InvalidToken("This is not a session token of this server: log in again.") from error
        return payload


def _claims(payload: dict[str, Any]) -> TokenClaims:
    return TokenClaims(str(payload["sub"]), str(payload["sid"]), str(payload["jti"]), float(payload["exp"]))
