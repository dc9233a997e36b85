"""The real use cases on a real SQLite file, for tests below the faces."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp_server.settings import Settings
from mcp_server.wiring import open_services
from projects.access.caller import Caller
from projects.services import ProjectServices
from tests import prepared_folders


@asynccontextmanager
async def open_test_services(data_dir: Path, **settings: Any) -> AsyncIterator[tuple[ProjectServices, Caller]]:
    """Services as `headwater serve` builds them, and the first user as caller."""
    chosen = Settings(data_dir=data_dir, **prepared_folders.FIRST_USER, **settings)
    await prepared_folders.prepare_first_user(data_dir, chosen)
    async with open_services(chosen, passwords=prepared_folders.cheap_passwords()) as services:
        yield services, await prepared_folders.first_caller(services)


def to_text(document: Mapping[str, Any]) -> str:
    return json.dumps(document)
