import asyncio
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, update

from projects.access.accounts import AccountService
from projects.access.api_keys import ApiKeyService
from projects.access.caller import Caller, Credential
from projects.errors import InvalidApiKey, InvalidInput, NotFound, Unavailable
from storage.database import Database, DatabaseSettings
from storage.ids import new_id
from storage.run_writer import RunWriter
from storage.tables import ApiKeyRow


@pytest.fixture
async def ada(accounts: AccountService) -> Caller:
    user = await accounts.create_user("Ada", "correct horse", is_superuser=True)
    return Caller(user.id, user.username, True, Credential.LOCAL)


@pytest.fixture
async def bob(accounts: AccountService) -> Caller:
    user = await accounts.create_user("bob", "battery staple")
    return Caller(user.id, user.username, False, Credential.LOCAL)


async def test_a_key_is_shown_once_and_kept_as_a_hash(database: Database, api_keys: ApiKeyService, ada: Caller) -> None:
    key, clear = await api_keys.create(ada, name="laptop")
    assert clear.startswith("sk-")
    assert len(clear) == 46
    assert (key.prefix, key.name, key.user_id, key.total_uses, key.is_active) == (clear[:8], "laptop", ada.user_id, 0, True)
    async with database.reading() as session:
        row = (await session.execute(select(ApiKeyRow))).scalar_one()
    assert row.key_hash == hashlib.sha256(clear.encode()).hexdigest()
    assert clear not in str(vars(row))
    assert clear not in str(await api_keys.list_keys(ada))


async def test_a_key_is_its_users(api_keys: ApiKeyService, ada: Caller, bob: Caller) -> None:
    (key, clear), (_, other) = await api_keys.create(ada, name=None), await api_keys.create(bob, name=None)
    assert await api_keys.authenticate_key(clear) == Caller(ada.user_id, "Ada", True, Credential.API_KEY, key.id)
    assert (await api_keys.authenticate_key(other)).user_id == bob.user_id


@pytest.mark.parametrize("wrong", ["", "sk-", "sk-" + "A" * 43, "x" * 100_000, "sk-\ud800", "sk-\0", "' OR 1=1 --"])
async def test_a_key_of_nobody_is_refused(api_keys: ApiKeyService, ada: Caller, wrong: str) -> None:
    await api_keys.create(ada, name=None)
    with pytest.raises(InvalidApiKey):
        await api_keys.authenticate_key(wrong)


async def test_a_hash_is_no_key(api_keys: ApiKeyService, ada: Caller) -> None:
    _, clear = await api_keys.create(ada, name=None)
    with pytest.raises(InvalidApiKey):
        await api_keys.authenticate_key(hashlib.sha256(clear.encode()).hexdigest())


async def test_a_revoked_key_is_refused_by_the_next_request_in_every_process(
    database_settings: DatabaseSettings, run_writer: RunWriter, api_keys: ApiKeyService, ada: Caller
) -> None:
    key, clear = await api_keys.create(ada, name=None)
    async with Database(database_settings) as elsewhere:
        other_process = ApiKeyService(elsewhere, run_writer)
        for service in (api_keys, other_process):
            await service.authenticate_key(clear)
        await api_keys.delete(ada, key.id)
        for service in (api_keys, other_process):
            with pytest.raises(InvalidApiKey):
                await service.authenticate_key(clear)


async def test_only_the_owner_revokes_a_key(api_keys: ApiKeyService, ada: Caller, bob: Caller) -> None:
    key, clear = await api_keys.create(ada, name=None)
    for strange in (key.id, new_id(), "nonsense"):
        with pytest.raises(NotFound):
            await api_keys.delete(bob, strange)
    assert await api_keys.list_keys(bob) == []
    await api_keys.authenticate_key(clear)


async def test_an_expired_key_is_refused(database: Database, run_writer: RunWriter, api_keys: ApiKeyService, ada: Caller) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    key, clear = await api_keys.create(ada, name=None, expires_at=soon)
    assert key.expires_at == soon
    await api_keys.authenticate_key(clear)
    async with database.transaction() as session:
        await session.execute(update(ApiKeyRow).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    other_process = ApiKeyService(database, run_writer)
    with pytest.raises(InvalidApiKey):
        await other_process.authenticate_key(clear)


async def test_an_inactive_users_keys_are_refused_until_the_user_is_active_again(
    accounts: AccountService, api_keys: ApiKeyService, bob: Caller
) -> None:
    _, clear = await api_keys.create(bob, name=None)
    await api_keys.authenticate_key(clear)
    await accounts.set_active("bob", False)
    with pytest.raises(InvalidApiKey):
        await api_keys.authenticate_key(clear)
    await accounts.set_active("bob", True)
    assert (await api_keys.authenticate_key(clear)).user_id == bob.user_id


async def test_what_a_key_may_do_follows_its_user(accounts: AccountService, api_keys: ApiKeyService, bob: Caller) -> None:
    _, clear = await api_keys.create(bob, name=None)
    assert not (await api_keys.authenticate_key(clear)).is_superuser
    await accounts.set_superuser("bob", True)
    assert (await api_keys.authenticate_key(clear)).is_superuser


async def test_uses_are_counted(api_keys: ApiKeyService, ada: Caller) -> None:
    _, clear = await api_keys.create(ada, name="used")
    await api_keys.create(ada, name="unused")
    before = datetime.now(UTC)
    await asyncio.gather(*(api_keys.authenticate_key(clear) for _ in range(25)))
    used, unused = await api_keys.list_keys(ada)
    assert (used.name, used.total_uses, unused.name, unused.total_uses, unused.last_used_at) == ("used", 25, "unused", 0, None)
    assert used.last_used_at is not None
    assert used.last_used_at >= before


async def test_a_known_key_costs_no_query(api_keys: ApiKeyService, ada: Caller, statements: list[str]) -> None:
    _, clear = await api_keys.create(ada, name=None)
    await api_keys.authenticate_key(clear)
    assert statements
    statements.clear()
    for _ in range(10):
        await api_keys.authenticate_key(clear)
    assert statements == []


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What SQLAlchemy sends, as it sends it."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("name", ["x" * 256, "a\0b", "a\ud800"])
async def test_a_name_that_cannot_be_kept_is_refused(api_keys: ApiKeyService, ada: Caller, name: str) -> None:
    with pytest.raises(InvalidInput):
        await api_keys.create(ada, name=name)


async def test_an_end_in_the_past_is_refused_and_one_without_a_zone_is_utc(api_keys: ApiKeyService, ada: Caller) -> None:
    with pytest.raises(InvalidInput, match="past"):
        await api_keys.create(ada, name=None, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    naive = datetime(2099, 1, 1, 12)
    key, _ = await api_keys.create(ada, name="👩‍💻", expires_at=naive)
    assert key.expires_at == naive.replace(tzinfo=UTC)


async def test_without_a_database_the_answer_is_unavailable(postgresql_settings: DatabaseSettings) -> None:
    nowhere = postgresql_settings.model_copy(update={"url": postgresql_settings.url.replace("headwater_test", "headwater_gone")})
    async with Database(nowhere) as database, RunWriter(postgresql_settings) as writer:
        with pytest.raises(Unavailable):
            await ApiKeyService(database, writer).authenticate_key("sk-" + "A" * 43)
