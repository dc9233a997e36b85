"""Accounts and keys on a real database, with passwords that are cheap to hash."""

import pytest

from projects.access.accounts import AccessSettings, AccountService
from projects.access.api_keys import ApiKeyService
from storage.database import Database
from storage.run_writer import RunWriter

CHEAP = AccessSettings(secret_key="a secret of the tests", password_rounds=1, password_memory_kib=64)


@pytest.fixture
def accounts(database: Database) -> AccountService:
    return AccountService(database, CHEAP)


@pytest.fixture
def api_keys(database: Database, run_writer: RunWriter) -> ApiKeyService:
    return ApiKeyService(database, run_writer)
