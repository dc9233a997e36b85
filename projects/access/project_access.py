"""How callers of one project's MCP server prove themselves: the setting, checked before it is kept and read for each request.

Settings keep the names of the Langflow API. Of those for OAuth, `oauth_server_url` is the issuer and `oauth_mcp_scope` the scopes that
a token needs; `oauth_client_id` and `oauth_client_secret` are for asking the issuer about opaque tokens. The others are only kept.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import from_json

from projects import unit_of_work
from projects.access.caller import Caller, Credential
from projects.errors import FieldProblem, InvalidInput
from storage.catalogue import CatalogueCache
from storage.database import Database
from storage.encryption import CannotDecrypt, SecretBox
from storage.projects import ProjectRepository

SECRET_SETTING = "oauth_client_secret"
SECRET_MASK = "*" * 7
_ADDRESSES = ("oauth_server_url", "oauth_auth_url", "oauth_token_url", "oauth_callback_url")
_SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: +[\x21\x23-\x5b\x5d-\x7e]+)*")
_PLAIN_SUBJECT = re.compile(r"[A-Za-z0-9_.@|-]{1,64}")


class AuthType(StrEnum):
    API_KEY = "apikey"
    NONE = "none"
    OAUTH = "oauth"


@dataclass(frozen=True, slots=True)
class ProjectAccess:
    """Who may use a project beside its owner. `issuer` and what follows it belong to OAuth."""

    project_id: str
    owner_id: str
    owner_name: str
    auth_type: AuthType
    issuer: str = ""
    scopes: tuple[str, ...] = ()
    client_id: str = ""
    client_secret: str = field(default="", repr=False)

    def guest(self, conversation: str = "") -> Caller:
        """Somebody who proved nothing."""
        return Caller(self.owner_id, self.owner_name, False, Credential.GUEST, self.project_id, self.project_id, conversation)

    def token_holder(self, subject: str) -> Caller:
        """The subject of a good token; a name that is long or unusual is told by its hash."""
        plain = subject if _PLAIN_SUBJECT.fullmatch(subject) else hashlib.sha256(subject.encode("utf-8", "replace")).hexdigest()[:40]
        issuer = hashlib.sha256(self.issuer.encode()).hexdigest()[:16]
        return Caller(self.owner_id, self.owner_name, False, Credential.OAUTH, f"{issuer}:{plain}", self.project_id)


class ProjectAccessService:
    """The one question about a project that is asked before it is known who asks."""

    def __init__(self, database: Database, secret_box: SecretBox) -> None:
        self._database = database
        self._secret_box = secret_box
        self._kept: CatalogueCache[str, tuple[ProjectAccess | None]] = CatalogueCache(10_000)

    async def find(self, project_id: str) -> ProjectAccess | None:
        """None for a project that does not exist or whose owner is not active. A change is seen by the next request."""
        version = await unit_of_work.catalogue_version(self._database)
        kept = self._kept.find(version, project_id)
        if kept is None:
            kept = (await self._read(project_id),)
            self._kept.keep(version, project_id, kept)
        return kept[0]

    async def _read(self, project_id: str) -> ProjectAccess | None:
        async with unit_of_work.reading(self._database) as session:
            found = await ProjectRepository(session).find_with_owner(project_id)
        if found is None:
            return None
        project, owner = found
        if not owner.is_active:
            return None
        settings = from_json(project.auth_settings) if project.auth_settings is not None else {}
        auth_type = auth_type_of(settings)
        if auth_type is not AuthType.OAUTH:
            return ProjectAccess(project.id, owner.id, owner.username, auth_type)
        return ProjectAccess(
            project.id,
            owner.id,
            owner.username,
            auth_type,
            issuer=_text(settings, "oauth_server_url"),
            scopes=tuple(_text(settings, "oauth_mcp_scope").split()),
            client_id=_text(settings, "oauth_client_id"),
            client_secret=self._clear(_text(settings, SECRET_SETTING)),
        )

    def _clear(self, ciphertext: str) -> str:
        try:
            return self._secret_box.decrypt(ciphertext) if ciphertext else ""
        except CannotDecrypt:
            return ""  # kept under another secret key: opaque tokens are refused until it is set again


def auth_type_of(settings: Mapping[str, Any] | None) -> AuthType:
    """What stored settings mean: a key, unless they plainly say otherwise."""
    given = settings.get("auth_type") if isinstance(settings, Mapping) else None
    return AuthType(given) if given in (AuthType.NONE, AuthType.OAUTH) else AuthType.API_KEY


def check_auth_settings(settings: Mapping[str, Any], *, has_known_address: bool) -> None:
    """Raise InvalidInput, naming the field, for settings that nobody could keep.

    `has_known_address`: whether others know the server by an address that a token can be made out to.
    """
    given = settings.get("auth_type")
    if not isinstance(given, str) or given not in tuple(AuthType):
        raise _refused("auth_type", "auth_type must be said: 'apikey', 'none' or 'oauth'.", "literal_error")
    for name in _ADDRESSES:
        if (address := settings.get(name)) not in (None, ""):
            _check_address(name, address)
    if given != AuthType.OAUTH:
        return
    issuer, scope = settings.get("oauth_server_url"), settings.get("oauth_mcp_scope")
    if not issuer:
        raise _refused("oauth_server_url", "OAuth needs oauth_server_url, the issuer whose tokens are good here.", "missing")
    if not isinstance(scope, str) or not scope.strip():
        raise _refused("oauth_mcp_scope", "OAuth needs oauth_mcp_scope, the scopes that a token must have.", "missing")
    if len(scope) > 1_000 or _SCOPES.fullmatch(scope.strip()) is None:
        raise _refused("oauth_mcp_scope", "oauth_mcp_scope holds scopes with spaces between them, at most 1,000 characters.")
    if not has_known_address:
        raise _refused("auth_type", "OAuth needs the server's address, for tokens are made out to it: the operator sets public_url.")


def _check_address(name: str, address: object) -> None:
    shown = f"{name} must be an https:// address, or an http:// address of this machine"
    if not isinstance(address, str) or len(address) > 2_000 or not address.isascii() or not address.isprintable() or " " in address:
        raise _refused(name, f"{shown}.")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise _refused(name, f"{shown}.") from None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or parts.fragment:
        raise _refused(name, f"{shown}, without user or fragment.")
    if name == "oauth_server_url" and parts.query:
        raise _refused(name, f"{shown}, without a query.")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise _refused(name, f"{shown}: over http anybody on the way could hand out tokens.")


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _text(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    return value.strip() if isinstance(value, str) else ""


def _refused(name: str, message: str, kind: str = "value_error") -> InvalidInput:
    return InvalidInput(message, problems=[FieldProblem(("auth_settings", name), message, kind)])
