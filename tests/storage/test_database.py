import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import func, select, text

from storage import catalogue
from storage.catalogue import CatalogueCache
from storage.database import Conflict, Database, DatabaseSettings, DatabaseUnavailable, MissingReference
from storage.ids import new_id
from storage.tables import ProjectRow, UserRow
from tests.storage.rows import NOW, a_user


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite:////data/a.db", "sqlite+aiosqlite:////data/a.db"),
        ("sqlite+aiosqlite:////data/a.db", "sqlite+aiosqlite:////data/a.db"),
        ("postgres://u:p%40ss@host/name", "postgresql+psycopg://u:p%40ss@host/name"),
        ("postgresql://u@/name?host=%2Ftmp", "postgresql+psycopg://u@/name?host=%2Ftmp"),
    ],
)
def test_an_address_gets_the_driver_that_is_installed(given: str, used: str) -> None:
    assert DatabaseSettings(url=given).url == used


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/name", "postgresql+asyncpg://host/name", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        DatabaseSettings(url=url)


def test_settings_do_not_show_the_password() -> None:
    assert "hunter2" not in repr(DatabaseSettings(url="postgresql://u:hunter2@host/name"))


async def test_a_transaction_commits_and_a_failed_one_leaves_nothing(database: Database) -> None:
    async with database.transaction() as session:
        session.add(a_user("ada"))
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as session:
            session.add(a_user("bob"))
            await session.flush()
            raise ZeroDivisionError
    async with database.reading() as session:
        assert (await session.execute(select(UserRow.username))).scalars().all() == ["ada"]


async def test_reading_changes_nothing(database: Database) -> None:
    async with database.reading() as session:
        session.add(a_user("ada"))
        await session.flush()
    async with database.reading() as session:
        assert (await session.execute(select(func.count()).select_from(UserRow))).scalar_one() == 0


async def test_times_come_back_as_they_went_in(database: Database) -> None:
    async with database.transaction() as session:
        session.add(a_user("ada", last_login_at=None))
    async with database.reading() as session:
        row = (await session.execute(select(UserRow))).scalar_one()
    assert row.created_at == NOW
    assert row.created_at.tzinfo is not None
    assert row.last_login_at is None


async def test_a_taken_value_is_a_conflict_that_names_the_constraint(database: Database) -> None:
    user = a_user("ada")
    async with database.transaction() as session:
        session.add(user)
    with pytest.raises(Conflict) as taken:
        async with database.transaction() as session:
            session.add(a_user("ada"))
    assert taken.value.constraint == "uq_users_username_key"
    with pytest.raises(Conflict) as same_id:
        async with database.transaction() as session:
            session.add(a_user("bob", id=user.id))
    assert same_id.value.constraint == "pk_users"
    for expected in (None, "uq_projects_owner_id_name"):
        project = ProjectRow(id=new_id(), owner_id=user.id, name="same", created_at=NOW, updated_at=NOW)
        if expected is None:
            async with database.transaction() as session:
                session.add(project)
        else:
            with pytest.raises(Conflict) as same_name:
                async with database.transaction() as session:
                    session.add(project)
            assert same_name.value.constraint == expected


async def test_a_row_of_nobody_is_refused(database: Database) -> None:
    with pytest.raises(MissingReference):
        async with database.transaction() as session:
            session.add(ProjectRow(id=new_id(), owner_id=new_id(), name="x", created_at=NOW, updated_at=NOW))


async def test_the_catalogue_version_grows_with_the_transaction_that_bumps_it(database: Database) -> None:
    before = await database.catalogue_version()
    async with database.transaction() as session:
        await catalogue.bump(session)
        assert await database.catalogue_version() == before
    assert await database.catalogue_version() == before + 1


async def test_another_process_sees_the_new_version_and_the_new_rows(database_settings: DatabaseSettings) -> None:
    async with Database(database_settings) as one, Database(database_settings) as other:
        # Every connection of the other one has read before, so a snapshot that is kept open would show.
        before = await other.catalogue_version()
        async with other.reading() as session:
            await session.execute(select(UserRow))
        async with one.transaction() as session:
            session.add(a_user("ada"))
            await catalogue.bump(session)
        assert await other.catalogue_version() == before + 1
        async with other.reading() as session:
            assert (await session.execute(select(UserRow.username))).scalars().all() == ["ada"]


async def test_many_questions_for_the_version_at_once_are_all_answered(database: Database) -> None:
    async def change() -> int:
        async with database.transaction() as session:
            await catalogue.bump(session)
        return await database.catalogue_version()

    answers = await asyncio.gather(*(change() for _ in range(10)), *(database.catalogue_version() for _ in range(200)))
    assert sorted(answers[:10])[-1] == 10
    assert all(0 <= answer <= 10 for answer in answers)


async def test_writers_that_read_first_never_lose_a_change(database: Database) -> None:
    """The trap of deferred transactions: two read the same value, and one of the two writes is lost or fails."""
    user = a_user("ada")
    async with database.transaction() as session:
        session.add(user)

    async def append() -> None:
        async with database.transaction() as session:
            row = await session.get_one(UserRow, user.id, with_for_update=True)
            row.password_hash += "x"

    await asyncio.gather(*(append() for _ in range(20)))
    async with database.reading() as session:
        assert len((await session.get_one(UserRow, user.id)).password_hash) == 21


async def test_a_cancelled_transaction_leaves_nothing_and_frees_its_connection(database: Database) -> None:
    inside = asyncio.Event()

    async def write_for_ever() -> None:
        async with database.transaction() as session:
            session.add(a_user(f"user {new_id()}"))
            await session.flush()
            inside.set()
            await asyncio.Event().wait()

    for _ in range(database.settings.pool_size * 3):
        inside.clear()
        task = asyncio.create_task(write_for_ever())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with database.transaction() as session:
        assert (await session.execute(select(func.count()).select_from(UserRow))).scalar_one() == 0


async def test_every_sqlite_connection_is_prepared(sqlite_settings: DatabaseSettings) -> None:
    async with Database(sqlite_settings) as database:
        for opened in (database.reading, database.transaction):
            async with opened() as session:
                names = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
                values = [(await session.execute(text(f"PRAGMA {name}"))).scalar_one() for name in names]
                assert values == ["wal", 1, 1, sqlite_settings.busy_timeout_seconds * 1_000]


async def test_a_locked_database_is_unavailable_after_the_busy_timeout(sqlite_settings: DatabaseSettings) -> None:
    hasty = sqlite_settings.model_copy(update={"busy_timeout_seconds": 0.1})
    async with Database(sqlite_settings) as holder, Database(hasty) as other, holder.transaction() as session:
        session.add(a_user("ada"))
        await session.flush()
        with pytest.raises(DatabaseUnavailable):
            async with other.transaction() as blocked:
                blocked.add(a_user("bob"))


async def test_a_transaction_that_waits_too_long_for_its_turn_is_unavailable(sqlite_settings: DatabaseSettings) -> None:
    async with Database(sqlite_settings.model_copy(update={"busy_timeout_seconds": 0.1})) as database, database.transaction():
        with pytest.raises(DatabaseUnavailable):
            async with database.transaction():
                pass


async def test_a_database_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with Database(DatabaseSettings(url=f"sqlite:///{tmp_path}/missing/headwater.db")):
            pass
    nowhere = DatabaseSettings(url=f"postgresql://nobody@/none?host={tmp_path}", busy_timeout_seconds=1)
    async with Database(nowhere) as database:
        assert not await database.is_reachable()
        with pytest.raises(DatabaseUnavailable):
            async with database.reading() as session:
                await session.execute(select(UserRow))


async def test_a_defect_of_ours_is_not_called_unavailable(database: Database) -> None:
    with pytest.raises(Exception, match="no_such_table") as raised:
        async with database.reading() as session:
            await session.execute(text("SELECT 1 FROM no_such_table"))
    assert not isinstance(raised.value, DatabaseUnavailable)


def test_a_cache_keeps_nothing_that_was_read_at_another_version() -> None:
    cache: CatalogueCache[str, str] = CatalogueCache(capacity=2)
    assert cache.find(1, "a") is None
    cache.keep(1, "a", "one")
    assert cache.find(1, "a") == "one"
    assert cache.find(2, "a") is None
    cache.keep(1, "a", "late")  # its reading began before version 2
    assert cache.find(2, "a") is None
    assert cache.find(1, "a") is None
    cache.keep(2, "a", "two")
    assert cache.find(2, "a") == "two"
    cache.keep(2, "b", "x")
    cache.keep(2, "c", "x")
    assert [cache.find(2, key) for key in "abc"] == [None, "x", "x"]


async def test_a_remembered_version_still_shows_every_change_made_here(database_settings: DatabaseSettings) -> None:
    async with Database(database_settings.model_copy(update={"version_memory_seconds": 3600.0})) as remembering:
        before = await remembering.catalogue_version()
        async with remembering.transaction() as session:
            await catalogue.bump(session)
        assert await remembering.catalogue_version() == before + 1


async def test_a_remembered_version_shows_changes_of_others_after_its_time(database_settings: DatabaseSettings) -> None:
    async with (
        Database(database_settings.model_copy(update={"version_memory_seconds": 3600.0})) as remembering,
        Database(database_settings.model_copy(update={"version_memory_seconds": 0.0})) as exact,
        Database(database_settings) as other,
    ):
        before = await remembering.catalogue_version()
        async with other.transaction() as session:
            await catalogue.bump(session)
        assert await exact.catalogue_version() == before + 1
        assert await remembering.catalogue_version() == before
