"""Fixtures every test may use."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, and no word about how long they take: a run that fails here fails for everybody, and one that passed
# stays passed.
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

# The servers of the tests are on this machine, which a proxy that the environment names does not reach.
for name in ("NO_PROXY", "no_proxy"):
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost,::1")))
# What models and terminals the person has who tests is seen by nothing here; tests set their own.
for name in [name for name in os.environ if name.endswith("_API_KEY") or name in ("OPENAI_BASE_URL", "COLUMNS")]:
    del os.environ[name]

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
