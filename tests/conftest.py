"""Fixtures every test may use."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples each time: a run that fails here fails for everybody, and one that passed stays passed.
settings.register_profile("steady", derandomize=True)
settings.load_profile("steady")

PLUGIN = Path(__file__).parent / "plugin"
# The tests' components come in by the public door: as an installed package with entry points.
sys.path.insert(0, str(PLUGIN))

from tests import prepared_folders  # noqa: E402 - after the plugin can be found
from tests.application import Application, open_application  # noqa: E402 - after the plugin can be found
from tests.databases import (  # noqa: E402 - as above
    database,
    database_settings,
    empty_database_settings,
    postgresql_server,
    postgresql_settings,
    run_writer,
    sqlite_settings,
    sqlite_template,
)

__all__ = [
    "application",
    "database",
    "database_settings",
    "empty_database_settings",
    "postgresql_server",
    "postgresql_settings",
    "run_writer",
    "sqlite_settings",
    "sqlite_template",
]


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with open_application(tmp_path / "data") as opened:
        yield opened


def pytest_sessionfinish() -> None:
    prepared_folders.forget()
