"""The secret key is replaced: what was encrypted stays readable, under the new key alone, and every login ends."""

import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from mcp_server.settings import Settings, SettingsProblem
from mcp_server.wiring import open_services, rotate_secret_key
from projects.invocation import Invocation
from storage.encryption import CannotDecrypt, SecretBox, replace_secrets
from tests.application import Application, open_application
from tests.commands import headwater
from tests.mcp_server.test_cli import refusal
from tests.rest_adapter.test_background_runs import asking
from tests.services import open_test_services

PAIR = {"username": "ada", "password": "a-long-password"}
OAUTH = {
    "auth_type": "oauth",
    "oauth_server_url": "https://issuer.example.org",
    "oauth_mcp_scope": "mcp",
    "oauth_client_id": "us",
    "oauth_client_secret": "s3cret-of-the-client",
}
CIPHERTEXT = re.compile(r"gAAAA[\w-]{60,}={0,2}")


def settings(data_dir: Path, **given: Any) -> Settings:
    return Settings(data_dir=data_dir, superuser="ada", superuser_password=SecretStr("a-long-password"), **given)


def ciphertexts(data_dir: Path) -> list[str]:
    """Every piece of ciphertext in the whole database, whichever column it is in."""
    with closing(sqlite3.connect(data_dir / "headwater.db")) as database:
        return [found for line in database.iterdump() for found in CIPHERTEXT.findall(line)]


def keep_mcp_server(data_dir: Path, owner_id: str, config: str) -> None:
    row = (str(uuid4()), owner_id, "outside", config, 0, 0)
    with closing(sqlite3.connect(data_dir / "headwater.db")) as database, database:
        database.execute("INSERT INTO mcp_servers (id, owner_id, name, config, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)", row)


def drafts(data_dir: Path) -> list[Path]:
    """What a replaced key file may have left beside itself."""
    return list(data_dir.glob("secret_key.*"))


def can_open(ciphertext: str, key: str) -> bool:
    try:
        SecretBox(key).decrypt(ciphertext)
    except CannotDecrypt:
        return False
    return True


async def keep_secrets_everywhere(application: Application) -> str:
    """A variable, a project's OAuth secret, a run that waits; the run's id."""
    variable = {"name": "K", "value": "s3cret-value", "type": "Credential", "default_fields": []}
    assert (await application.http.post("/api/v1/variables/", json=variable)).status_code == 201
    project = await application.http.patch(f"/api/v1/projects/{application.project_id}", json={"auth_settings": OAUTH})
    assert project.status_code == 200, project.text
    flow = (await application.http.post("/api/v1/flows/", json={"name": "asks", "data": asking()})).json()
    invocation = Invocation(input_value="a letter", output_type="any", request_variables={"T": "s3cret-of-the-request"})
    waiting = await application.services.invocations.invoke(application.caller, flow["id"], invocation)
    assert waiting.state == "waiting"
    return waiting.run_id


async def test_everything_kept_is_readable_under_the_new_key_and_nothing_under_the_old(tmp_path: Path) -> None:
    async with open_application(tmp_path) as application:
        run_id = await keep_secrets_everywhere(application)
        token = (await application.nobody.post("/api/v1/login", data=PAIR)).json()["access_token"]
        key = application.key
    file = tmp_path / "secret_key"
    old = file.read_text().strip()
    keep_mcp_server(tmp_path, application.caller.user_id, SecretBox(old).encrypt('{"headers": {}}'))
    before = ciphertexts(tmp_path)
    assert len(before) == 4
    assert all(can_open(each, old) for each in before)

    assert await rotate_secret_key(settings(tmp_path)) == len(before)

    new, after = file.read_text().strip(), ciphertexts(tmp_path)
    assert new != old and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not drafts(tmp_path)
    assert len(after) == len(before)
    assert all(can_open(each, new) and not can_open(each, old) for each in after)
    async with open_test_services(tmp_path) as (services, caller):
        assert (await services.variables.resolve_values(caller.user_id))["K"] == "s3cret-value"
        project = await services.projects.default_project(caller)
        access = await services.project_access.find(project.id)
        assert access is not None and access.client_secret == "s3cret-of-the-client"
        assert (await services.api_keys.authenticate_key(key)).user_id == caller.user_id
        with pytest.raises(Exception, match="signed with another key"):
            await services.accounts.authenticate_token(token)
        assert (await services.runs.get(caller, run_id)).state == "waiting"


def test_the_command_says_how_much_it_encrypted_anew(tmp_path: Path) -> None:
    for words in (("projects",), ("key", "rotate-secret")):
        done = headwater(*words, "--data-dir", tmp_path)
        assert done.returncode == 0, done.stderr
    assert done.stdout == "Encrypted 0 values under the new secret key; every login has ended.\n"
    given = {"HEADWATER_SECRET_KEY": "a key from the environment"}
    assert "HEADWATER_OLDER_SECRET_KEYS" in refusal(headwater("key", "rotate-secret", "--data-dir", tmp_path, environment=given))


async def test_a_rotation_that_was_cut_off_leaves_everything_readable(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        await services.variables.create(caller, name="K", value="s3cret-value")
    file = tmp_path / "secret_key"
    replace_secrets(file, ["a new key that nothing is encrypted with yet", file.read_text().strip()])
    async with open_test_services(tmp_path) as (services, caller):
        assert (await services.variables.resolve_values(caller.user_id))["K"] == "s3cret-value"
    assert await rotate_secret_key(settings(tmp_path)) == 1
    assert len(file.read_text().split()) == 1
    async with open_test_services(tmp_path) as (services, caller):
        assert (await services.variables.resolve_values(caller.user_id))["K"] == "s3cret-value"


async def test_a_key_from_a_setting_is_replaced_by_its_setter_and_its_values_follow(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, secret_key="the first one") as (services, caller):
        await services.variables.create(caller, name="K", value="s3cret-value")
    with pytest.raises(SettingsProblem, match="HEADWATER_OLDER_SECRET_KEYS"):
        await rotate_secret_key(settings(tmp_path, secret_key="the first one"))
    both = settings(tmp_path, secret_key="the second one", older_secret_keys=["the first one"])
    assert "the first one" not in repr(both)
    async with open_services(both) as services:
        assert (await services.variables.resolve_values(caller.user_id))["K"] == "s3cret-value"
    assert await rotate_secret_key(both) == 1
    async with open_test_services(tmp_path, secret_key="the second one") as (services, caller):
        assert (await services.variables.resolve_values(caller.user_id))["K"] == "s3cret-value"


async def test_a_key_that_a_living_server_uses_is_not_replaced(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as _:
        before = (tmp_path / "secret_key").read_text()
        with pytest.raises(SettingsProblem, match="stop it first"):
            await rotate_secret_key(settings(tmp_path))
        assert (tmp_path / "secret_key").read_text() == before
