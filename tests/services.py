"""The real use cases on a real SQLite file, for tests below the faces."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp_server.settings import Settings
from mcp_server.wiring import open_services
from projects.access.caller import Caller, Credential
from projects.services import ProjectServices


@asynccontextmanager
async def open_test_services(data_dir: Path, **settings: Any) -> AsyncIterator[tuple[ProjectServices, Caller]]:
    """Services as `headwater serve` builds them, and the first user as caller."""
    async with open_services(Settings(data_dir=data_dir, superuser="ada", superuser_password="a-long-password", **settings)) as services:
        user = await services.accounts.find_user_by_name("ada")
        assert user is not None
        yield services, Caller(user.id, user.username, user.is_superuser, Credential.LOCAL)


def to_text(document: Mapping[str, Any]) -> str:
    return json.dumps(document)
