"""Variables that fill fields of a run by their display names, and those that come from the environment."""

from pathlib import Path
from typing import Any

import pytest

from mcp_server.settings import load_settings
from mcp_server.wiring import open_services
from projects.access.caller import Caller, Credential
from tests import flow_documents as flows
from tests.application import Application, open_application
from tests.services import open_test_services

PAIR = {"username": "bob", "password": "another-password"}


async def keep(application: Application, name: str, value: str, kind: str, *fields: str) -> None:
    body = {"name": name, "value": value, "type": kind, "default_fields": list(fields)}
    assert (await application.http.post("/api/v1/variables/", json=body)).status_code == 201


def template(sender: Any) -> dict[str, Any]:
    """A chat whose answer's sender name is the field that a variable may fill."""
    field = {"value": sender, "load_from_db": False, "display_name": "Sender Name"}
    output = flows.chat_output(sender_name=field)
    return flows.document([flows.chat_input(), output], [flows.edge("ChatInput-in", output["id"], "input_value")])


async def said(application: Application, data: dict[str, Any]) -> str:
    flow = (await application.http.post("/api/v1/flows/", json={"name": "f", "data": data})).json()
    answer = await application.http.post(f"/api/v1/run/{flow['id']}", json={"input_value": "hello"})
    assert answer.status_code == 200, answer.text
    sender: str = answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["sender_name"]
    return sender


async def test_a_variable_fills_an_empty_field_of_its_display_name(application: Application) -> None:
    await keep(application, "WHO", "Cleo", "Generic", "Sender Name", "Input Text")
    assert await said(application, template("")) == "Cleo"
    assert await said(application, template("Dan")) == "Dan"


async def test_a_credential_fills_no_field_that_is_shown(application: Application) -> None:
    await keep(application, "WHO", "s3cret-marker", "Credential", "Sender Name")
    assert await said(application, template("")) != "s3cret-marker"


async def test_listed_names_of_the_environment_become_credentials_at_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LISTED": "one", "TAKEN": "two", "UNLISTED": "three"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEADWATER_VARIABLES_TO_GET_FROM_ENVIRONMENT", "LISTED,TAKEN,MISSING")
    monkeypatch.setenv("LANGFLOW_STORE_ENVIRONMENT_VARIABLES", "true")
    settings, _ = load_settings()
    assert settings.store_environment_variables
    async with open_application(tmp_path / "data", given=settings) as application:
        http = application.stranger  # who came after the start
        body = {"name": "TAKEN", "value": "mine", "type": "Generic", "default_fields": []}
        assert (await http.post("/api/v1/variables/", json=body)).status_code == 201
        assert (await application.nobody.post("/api/v1/login", data=PAIR)).status_code == 200
        listed = (await http.get("/api/v1/variables/")).json()
        assert [(each["name"], each["type"], each["value"]) for each in listed] == [
            ("LISTED", "Credential", None),
            ("TAKEN", "Generic", "mine"),
        ]


async def test_a_start_gives_the_environment_to_whoever_never_logs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTED", "one")
    monkeypatch.setenv("HEADWATER_VARIABLES_TO_GET_FROM_ENVIRONMENT", "LISTED")
    async with open_test_services(tmp_path) as (services, ada):
        bob = await services.accounts.create_user("bob", "another-password", is_active=True)
        assert await services.variables.list_variables(ada) == []
    monkeypatch.setenv("HEADWATER_STORE_ENVIRONMENT_VARIABLES", "true")
    loaded, _ = load_settings()
    given = loaded.model_copy(update={"data_dir": tmp_path, "superuser": "ada"})
    for _ in range(2):
        async with open_services(given) as services:
            for owner in (ada, Caller(bob.id, bob.username, False, Credential.LOCAL)):
                (kept,) = await services.variables.list_variables(owner)
                assert (kept.name, kept.type, kept.value) == ("LISTED", "Credential", None)
                assert (await services.variables.resolve_values(owner.user_id))["LISTED"] == "one"


async def test_nothing_is_imported_unless_it_was_asked_for(application: Application) -> None:
    assert await application.services.variables.import_environment(application.caller) == []
