"""The first moments of a start, while the protocol is still being loaded."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_server import mcp_face
from mcp_server.admission import MODERN_REVISIONS
from mcp_server.mcp_face import load_protocol
from mcp_server.transports import McpTransports
from tests.application import open_application
from tests.mcp_server.conftest import BOTH_TYPES, META

ROOT = Path(mcp_face.__file__).parents[1]
ADDRESS = "/api/v1/mcp/streamable"
MESSAGE = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
HEADERS = {**BOTH_TYPES, "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}
SECONDS = 60


@pytest.fixture
def may_load(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The protocol is loaded once this is set."""
    released = threading.Event()

    def wait_and_load() -> type[McpTransports]:
        assert released.wait(SECONDS)
        return load_protocol()

    monkeypatch.setattr(mcp_face, "load_protocol", wait_and_load)
    yield released
    released.set()


async def test_a_message_that_comes_too_early_waits_while_refusals_and_other_addresses_are_answered(
    tmp_path: Path, may_load: threading.Event
) -> None:
    async with open_application(tmp_path) as application:
        early = asyncio.create_task(application.http.post(ADDRESS, json=MESSAGE, headers=HEADERS))
        assert (await application.nobody.post(ADDRESS, json=MESSAGE, headers=HEADERS)).status_code == 401
        assert (await application.http.get(ADDRESS.replace("/mcp/", "/mcp/project/no-id/"))).status_code == 422
        assert (await application.nobody.get("/health")).status_code == 200
        assert (await application.http.get("/api/v1/flows/")).status_code == 200
        assert not early.done()
        may_load.set()
        answer = await asyncio.wait_for(early, SECONDS)
        assert answer.status_code == 200 and "tools" in answer.text


async def test_who_gives_up_waiting_takes_nothing_from_the_others(tmp_path: Path, may_load: threading.Event) -> None:
    async with open_application(tmp_path) as application:
        first, second = (asyncio.create_task(application.http.post(ADDRESS, json=MESSAGE, headers=HEADERS)) for _ in range(2))
        assert (await application.http.get("/api/v1/flows/")).status_code == 200  # by now both wait
        first.cancel()
        await asyncio.wait({first})
        may_load.set()
        assert (await asyncio.wait_for(second, SECONDS)).status_code == 200


async def test_a_server_that_is_stopped_before_the_protocol_is_there_ends_in_order(tmp_path: Path, may_load: threading.Event) -> None:
    async with open_application(tmp_path) as application:
        asyncio.get_running_loop().call_soon(may_load.set)
    assert not application.app.state.mcp_face.has_session("any")


def test_a_protocol_that_cannot_be_loaded_ends_the_server_and_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "mcp"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('the wheels came off')")
    done = subprocess.run(
        [sys.executable, "-m", "mcp_server", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 1 and "the wheels came off" in done.stderr


def test_the_door_knows_the_revisions_without_sessions_as_the_sdk_does() -> None:
    assert frozenset(MODERN_PROTOCOL_VERSIONS) == MODERN_REVISIONS


def test_what_is_imported_before_a_server_listens_is_without_the_protocol() -> None:
    asked = "import sys, mcp_server.serving; print(sorted({'mcp', 'mcp_types', 'alembic', 'httpx2', 'openai'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True).stdout.strip() == "[]"
