"""The whole application: what stands before both faces, and what start-up makes and settles."""

import json
import re
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from client_configs.registry import CLIENTS
from mcp_server.first_start import FirstStart, greeting, told_at_start, welcome
from mcp_server.own_command import OwnCommand
from mcp_server.settings import Settings, SettingsProblem
from mcp_server.wiring import database_settings, open_services
from storage.database import Database
from storage.ids import new_id
from storage.runs import RunRepository
from storage.tables import RunRow
from tests.application import Application, open_application


async def test_the_start_page_says_what_this_is_and_loads_nothing(application: Application) -> None:
    answer = await application.nobody.get("/")
    assert answer.status_code == 200 and "MCP" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert not re.search(r"<script|src=|https?://", answer.text)


async def test_an_unknown_path_answers_like_every_other_refusal(application: Application) -> None:
    answer = await application.nobody.get("/api/v1/nothing")
    assert answer.status_code == 404 and set(answer.json()) == {"detail"}


async def test_every_answer_carries_a_request_id_and_nosniff(application: Application) -> None:
    for path in ("/", "/health", "/api/v1/nothing", "/api/v1/flows/"):
        headers = (await application.nobody.get(path)).headers
        assert headers["x-request-id"] and headers["x-content-type-options"] == "nosniff"


async def test_another_host_name_is_refused_on_loopback(application: Application) -> None:
    assert (await application.http.get("/health", headers={"host": "evil.example"})).status_code == 421


async def test_a_host_name_that_was_listed_is_answered(tmp_path: Path) -> None:
    async with open_application(tmp_path, allowed_hosts=["tools.example.org"]) as application:
        assert (await application.http.get("/health", headers={"host": "tools.example.org"})).status_code == 200
        assert (await application.http.get("/health", headers={"host": "evil.example"})).status_code == 421


async def test_only_listed_origins_are_told_that_they_may_call(tmp_path: Path) -> None:
    async with open_application(tmp_path, cors_origins=["https://app.example.org"]) as application:
        asked = {"access-control-request-method": "POST"}
        good = await application.nobody.options("/api/v1/flows/", headers={"origin": "https://app.example.org", **asked})
        bad = await application.nobody.options("/api/v1/flows/", headers={"origin": "https://evil.example", **asked})
    assert good.headers["access-control-allow-origin"] == "https://app.example.org"
    assert "access-control-allow-origin" not in bad.headers


async def test_without_listed_origins_none_is_told(application: Application) -> None:
    answer = await application.http.get("/api/v1/flows/", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


async def test_a_long_answer_is_compressed_for_who_takes_it(application: Application) -> None:
    assert (await application.http.get("/api/v1/flows/")).headers.get("content-encoding") == "gzip"
    plain = await application.http.get("/api/v1/flows/", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers


async def test_the_first_start_makes_things_once(tmp_path: Path) -> None:
    told: list[FirstStart] = []
    for _ in range(2):
        async with open_services(Settings(data_dir=tmp_path), on_first_start=told.append) as services:
            caller = await services.accounts.local_caller()
            assert len(await services.flows.list_flows(caller)) == 4
            assert len(await services.api_keys.list_keys(caller)) == 1
    assert len(told) == 1 and told[0].password and told[0].api_key


async def test_a_password_given_by_setting_is_not_told_and_works(tmp_path: Path) -> None:
    told: list[FirstStart] = []
    settings = Settings(data_dir=tmp_path, superuser="grace", superuser_password="given-by-setting")
    async with open_services(settings, on_first_start=told.append) as services:
        assert await services.accounts.log_in("grace", "given-by-setting")
    assert told[0].password is None and "given-by-setting" not in told_at_start(settings, told[0])


def test_the_welcome_holds_all_a_newcomer_needs_in_plain_ascii() -> None:
    first = FirstStart("admin", "pass-word", "sk-key", "the-project", "Starter Project")
    text = welcome(first, "http://127.0.0.1:7860", OwnCommand())
    address = "http://127.0.0.1:7860/api/v1/mcp/project/the-project/streamable"
    assert text.isascii()
    for part in ("admin", "pass-word", address, "headwater install claude-code", "http://127.0.0.1:7860/connect", "curl -s"):
        assert part in text
    assert f'"url": "{address}"' in text and '"x-api-key": "sk-key"' in text
    clients = set(re.findall(r"headwater install ([a-z-]+)", text)) - {"--list"}
    assert clients and clients <= {client.id for client in CLIENTS}


def test_later_starts_tell_no_secret() -> None:
    text = greeting("http://127.0.0.1:7860", OwnCommand())
    assert "sk-" not in text and "key create" in text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_the_secret_key_is_for_its_owner_only(tmp_path: Path) -> None:
    async with open_services(Settings(data_dir=tmp_path / "data")):
        assert stat.S_IMODE((tmp_path / "data" / "secret_key").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


async def test_an_empty_secret_key_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("")
    with pytest.raises(SettingsProblem, match="secret key"):
        async with open_services(Settings(data_dir=tmp_path)):
            pass


async def test_a_database_address_that_is_none_stops_the_start_without_repeating_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsProblem, match="HEADWATER_DATABASE_URL") as problem:
        async with open_services(Settings(data_dir=tmp_path, database_url="mysql://user:marker@host/name")):
            pass
    assert "marker" not in str(problem.value)


async def test_runs_of_a_dead_process_are_settled_at_start_and_those_of_a_living_one_go_on(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with open_services(settings) as services:
        caller = await services.accounts.local_caller()
        flow = (await services.flows.list_flows(caller))[0]
        living = services.invocations._settings.process_id
        async with Database(database_settings(settings)) as database:
            now = datetime.now(UTC)
            dead_run, living_run = (
                RunRow(
                    id=new_id(),
                    owner_id=caller.user_id,
                    principal=caller.principal,
                    kind="background",
                    flow_id=flow.id,
                    flow_version=flow.version,
                    session_id="s",
                    state="running",
                    attempt=1,
                    lease_owner=owner,
                    lease_expires_at=now + timedelta(seconds=60),
                    created_at=now,
                )
                for owner in ("4711-of-a-dead-one", living)
            )
            ids = dead_run.id, living_run.id
            async with database.transaction() as session:
                session.add_all([dead_run, living_run])
            async with open_services(settings), database.reading() as session:  # a second process starts beside it
                rows = [await RunRepository(session).find(id, owner_id=caller.user_id) for id in ids]
    assert [row.state for row in rows if row is not None] == ["interrupted", "running"]
    assert rows[0] is not None and json.loads(rows[0].error or "")["code"] == "interrupted"
