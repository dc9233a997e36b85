"""Data folders as a first start leaves them: made once in a process of tests, and copied into the folder of each test.

A first start migrates a database and hashes a password, which takes longer than most tests. Every copy holds the same ids and keys, so
a test with two servers that must be strangers to each other makes one of them from nothing.
"""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from mcp_server.settings import DATABASE_FILE, SECRET_KEY_FILE, Settings
from mcp_server.wiring import open_services
from projects.access.caller import Caller, Credential
from projects.access.passwords import Passwords
from projects.services import ProjectServices

FIRST_USER: dict[str, Any] = {"superuser": "ada", "superuser_password": SecretStr("a-long-password")}
# Hashing at the usual cost would be a tenth of the tests' time.
CHEAP_ROUNDS, CHEAP_MEMORY_KIB = 1, 64
# What a first start reads beside the name and the password of the first user.
READ_BY_FIRST_STARTS = ("database_url", "first_project_name", "secret_key", "store_environment_variables")


@dataclass(frozen=True)
class People:
    """Ada, the first user, with a key; Bob, another user, with one of his own."""

    ada: Caller
    ada_key: str
    bob_key: str


@dataclass(frozen=True)
class _Prepared:
    with_first_user: Path
    with_people: Path
    people: People


_prepared: _Prepared | None = None


def cheap_passwords() -> Passwords:
    return Passwords(rounds=CHEAP_ROUNDS, memory_kib=CHEAP_MEMORY_KIB)


async def first_caller(services: ProjectServices) -> Caller:
    user = await services.accounts.find_user_by_name("ada")
    assert user is not None
    return Caller(user.id, user.username, user.is_superuser, Credential.LOCAL)


async def add_people(services: ProjectServices) -> People:
    """A key for Ada, and Bob with his."""
    ada = await first_caller(services)
    bob = await services.accounts.create_user("bob", "another-password", is_active=True)
    _, ada_key = await services.api_keys.create(ada, name="tests")
    _, bob_key = await services.api_keys.create(Caller(bob.id, bob.username, False, Credential.LOCAL), name="tests")
    return People(ada, ada_key, bob_key)


async def prepare_first_user(data_dir: Path, settings: Settings) -> None:
    """A first start's folder, unless there is one already or these settings would make another."""
    if _is_like_prepared(data_dir, settings):
        _copy((await _prepare()).with_first_user, data_dir)


async def prepare_people(data_dir: Path, settings: Settings) -> People | None:
    """The same with `add_people` done; None where it is still to do."""
    if not _is_like_prepared(data_dir, settings):
        return None
    prepared = await _prepare()
    _copy(prepared.with_people, data_dir)
    return prepared.people


def _is_like_prepared(data_dir: Path, settings: Settings) -> bool:
    defaults = Settings.model_fields
    is_usual = all(getattr(settings, name) == defaults[name].default for name in READ_BY_FIRST_STARTS)
    return is_usual and not (data_dir / DATABASE_FILE).exists() and not (data_dir / SECRET_KEY_FILE).exists()


def forget() -> None:
    """Take the folders away; the next test that needs them makes them anew."""
    global _prepared
    if _prepared is not None:
        shutil.rmtree(_prepared.with_people.parent, ignore_errors=True)
        _prepared = None


async def _prepare() -> _Prepared:
    global _prepared
    if _prepared is None:
        root = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="headwater-prepared-"))
        source, with_first_user, with_people = root / "source", root / "with_first_user", root / "with_people"
        async with open_services(Settings(data_dir=source, **FIRST_USER), passwords=cheap_passwords()):
            pass
        _copy(source, with_first_user)
        async with open_services(Settings(data_dir=source, **FIRST_USER), passwords=cheap_passwords()) as services:
            people = await add_people(services)
        _copy(source, with_people)
        _prepared = _Prepared(with_first_user, with_people, people)
    return _prepared


def _copy(source: Path, target: Path) -> None:
    """The database, closed and so in one file, and the key that its secrets are encrypted with."""
    assert not (source / f"{DATABASE_FILE}-wal").exists()
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (DATABASE_FILE, SECRET_KEY_FILE):
        shutil.copy2(source / name, target / name)
