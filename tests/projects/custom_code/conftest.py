"""One application with code of flows allowed for each module's tests, in each of the ways that can run it here."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.application import Application
from tests.code_texts import MODES, open_with_code


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=MODES)
async def running_code(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Application]:
    async with open_with_code(tmp_path_factory.mktemp("code") / "data", request.param) as opened:
        yield opened
