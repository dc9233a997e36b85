"""API keys: shown once, kept as hashes, and turned into a caller on nearly every request, so that path is a dict lookup."""

import hashlib
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from projects import unit_of_work
from projects.access.caller import Caller, Credential
from projects.errors import InvalidApiKey, InvalidInput, NotFound
from storage import catalogue
from storage.api_keys import ApiKeyRepository
from storage.catalogue import CatalogueCache
from storage.database import Database
from storage.ids import new_id
from storage.run_writer import KeyUse, RunBatch, RunWriter
from storage.tables import ApiKeyRow

PREFIX_CHARACTERS = 8
MAX_KEY_CHARACTERS = 512
MAX_NAME_CHARACTERS = 255


@dataclass(frozen=True)
class ApiKey:
    """A key without its secret. `prefix` is its first characters, to recognise it by."""

    id: str
    name: str | None
    prefix: str
    is_active: bool
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    total_uses: int
    user_id: str


@dataclass(frozen=True, slots=True)
class _GoodKey:
    caller: Caller
    key_id: str
    expires_at: datetime | None


class ApiKeyService:
    """Keys of one user each; what a key may do is what its user may do."""

    def __init__(self, database: Database, writer: RunWriter) -> None:
        self._database = database
        self._writer = writer
        self._good_keys: CatalogueCache[bytes, _GoodKey] = CatalogueCache()

    async def create(self, caller: Caller, *, name: str | None, expires_at: datetime | None = None) -> tuple[ApiKey, str]:
        """A new key and its clear text, which is told this once."""
        if name is not None and (len(name) > MAX_NAME_CHARACTERS or any(unicodedata.category(each) in ("Cc", "Cs") for each in name)):
            raise InvalidInput(f"The name of an API key has at most {MAX_NAME_CHARACTERS} characters, none of them a control character.")
        now = datetime.now(UTC)
        if expires_at is not None:
            expires_at = _in_utc(expires_at)
            if expires_at <= now:
                raise InvalidInput(f"expires_at is in the past: {expires_at.isoformat()}")
        clear = f"sk-{secrets.token_urlsafe(32)}"
        row = ApiKeyRow(
            id=new_id(),
            user_id=caller.user_id,
            name=name,
            key_hash=_digest(clear).hex(),
            prefix=clear[:PREFIX_CHARACTERS],
            is_active=True,
            created_at=now,
            expires_at=expires_at,
            last_used_at=None,
            total_uses=0,
        )
        async with unit_of_work.writing(self._database) as session:
            await catalogue.bump(session)
            await ApiKeyRepository(session).add(row)
        return _to_key(row), clear

    async def list_keys(self, caller: Caller) -> list[ApiKey]:
        """The caller's keys, oldest first, with every use counted that was answered before."""
        await unit_of_work.flush(self._writer)
        async with unit_of_work.reading(self._database) as session:
            return [_to_key(row) for row in await ApiKeyRepository(session).list_owned(owner_id=caller.user_id)]

    async def find_by_secret(self, caller: Caller, key: str) -> ApiKey | None:
        """The caller's own key with this clear text; looking counts as no use."""
        if len(key) > MAX_KEY_CHARACTERS:
            return None
        async with unit_of_work.reading(self._database) as session:
            found = await ApiKeyRepository(session).find_by_hash_with_user(_digest(key).hex())
        return _to_key(found[0]) if found is not None and found[0].user_id == caller.user_id else None

    async def delete(self, caller: Caller, key_id: str) -> None:
        """Revoke a key of the caller's; the next request with it is refused, in every process."""
        async with unit_of_work.writing(self._database) as session:
            await catalogue.bump(session)
            if not await ApiKeyRepository(session).delete(key_id, owner_id=caller.user_id):
                raise NotFound("API key", key_id)

    async def authenticate_key(self, key: str) -> Caller:
        """Who has this key; counts the use. Raises InvalidApiKey for an unknown, expired or revoked key and for an inactive user's."""
        if len(key) > MAX_KEY_CHARACTERS:
            raise InvalidApiKey()
        # Looked up by hash: how far a guess is right cannot be told from the time it takes.
        digest = _digest(key)
        version = await unit_of_work.catalogue_version(self._database)
        good = self._good_keys.find(version, digest)
        if good is None:
            good = await self._read(digest)
            self._good_keys.keep(version, digest, good)
        now = datetime.now(UTC)
        if good.expires_at is not None and good.expires_at <= now:
            raise InvalidApiKey()
        self._writer.write_soon(RunBatch(key_uses=[KeyUse(good.key_id, now)]))
        return good.caller

    async def _read(self, digest: bytes) -> _GoodKey:
        async with unit_of_work.reading(self._database) as session:
            found = await ApiKeyRepository(session).find_by_hash_with_user(digest.hex())
        if found is None:
            raise InvalidApiKey()
        key, user = found
        if not key.is_active or not user.is_active:
            raise InvalidApiKey()
        return _GoodKey(Caller(user.id, user.username, user.is_superuser, Credential.API_KEY, key.id), key.id, key.expires_at)


def _in_utc(moment: datetime) -> datetime:
    """Without a zone it is meant as UTC, like every time that this server tells."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(f"expires_at is outside the years 1 to 9999 in UTC: {moment.isoformat()}") from None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _to_key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        is_active=row.is_active,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        total_uses=row.total_uses,
        user_id=row.user_id,
    )
