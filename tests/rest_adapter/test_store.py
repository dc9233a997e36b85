"""The store: what the users of one server share with each other."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests import flow_documents as flows
from tests.application import Application, open_application

STORE = "/api/v1/store"
LISTED = (
    "id name description liked_by_count liked_by_user is_component metadata user_created tags downloads_count last_tested_version private"
)


@pytest.fixture(params=["sqlite", "postgresql"])
async def application(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Application]:
    """What sorts, searches and counts is the database, so each kind is asked."""
    further: dict[str, Any] = {}
    if request.param == "postgresql":
        further["database_url"] = request.getfixturevalue("postgresql_settings").url
    async with open_application(tmp_path, **further) as opened:
        yield opened


async def share(application: Application, name: str, *, by: str = "http", **given: Any) -> str:
    body = {"name": name, "description": "", "data": flows.echo(), "tags": [], "is_component": False, "private": False, **given}
    answer = await getattr(application, by).post(f"{STORE}/components/", json=body)
    assert (answer.status_code, set(answer.json())) == (201, {"id"}), answer.text
    return str(answer.json()["id"])


async def names(application: Application, *, by: str = "http", **query: Any) -> list[str]:
    answer = await getattr(application, by).get(f"{STORE}/components/", params={"sort": "name", **query})
    assert (answer.status_code, set(answer.json())) == (200, {"count", "authorized", "results"}), answer.text
    return [each["name"] for each in answer.json()["results"]]


async def test_the_store_is_there_and_wants_no_key_of_its_own(application: Application) -> None:
    assert (await application.nobody.get(f"{STORE}/check/")).json() == {"enabled": True}
    assert (await application.http.get(f"{STORE}/check/api_key")).json() == {"has_api_key": True, "is_valid": True}
    tags = (await application.nobody.get(f"{STORE}/tags")).json()
    assert tags and all(set(tag) == {"id", "name"} for tag in tags)


async def test_what_is_shared_is_seen_and_copied_by_others(application: Application) -> None:
    tags = (await application.http.get(f"{STORE}/tags")).json()
    id = await share(application, "Echo", description="Says it again.", tags=[tags[0]["id"], "data"], last_tested_version="1.0")
    answer = (await application.stranger.get(f"{STORE}/components/")).json()
    (listed,) = answer["results"]
    assert (answer["count"], answer["authorized"], list(listed)) == (1, True, LISTED.split())
    assert (listed["id"], listed["user_created"], listed["private"]) == (id, {"username": "ada"}, False)
    assert [tag["name"] for tag in listed["tags"]] == [tags[0]["name"], "Data"]
    read = (await application.stranger.get(f"{STORE}/components/{id}")).json()
    assert list(read) == ["id", "name", "description", "data", "is_component", "metadata"]
    copied = await application.stranger.post("/api/v1/flows/", json={"name": read["name"], "data": read["data"]})
    run = await application.stranger.post(f"/api/v1/run/{copied.json()['id']}", json={"input_value": "hi"})
    assert run.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"] == "hi"
    await application.http.get(f"{STORE}/components/{id}")
    assert (await application.http.get(f"{STORE}/components/")).json()["results"][0]["downloads_count"] == 1


async def test_a_private_entry_is_its_owners_alone(application: Application) -> None:
    id = await share(application, "Mine", private=True)
    assert (await names(application), await names(application, by="stranger")) == (["Mine"], [])
    assert (await application.http.get(f"{STORE}/components/{id}")).status_code == 200
    for method, path in (("GET", f"components/{id}"), ("POST", f"users/likes/{id}")):
        assert (await application.stranger.request(method, f"{STORE}/{path}")).status_code == 404
    body = {"name": "x", "description": "", "data": {}, "tags": [], "is_component": False, "parent": id}
    assert (await application.stranger.post(f"{STORE}/components/", json=body)).status_code == 422
    assert (await application.stranger.patch(f"{STORE}/components/{id}", json={**body, "parent": None})).status_code == 404


async def test_somebody_elses_public_entry_cannot_be_changed(application: Application) -> None:
    id = await share(application, "Public")
    body = {"name": "Taken", "description": "", "data": {}, "tags": [], "is_component": False, "private": False}
    assert (await application.stranger.patch(f"{STORE}/components/{id}", json=body)).status_code == 404
    changed = await application.http.patch(f"{STORE}/components/{id}", json={**body, "name": "New", "private": True})
    assert (changed.status_code, changed.json()) == (201, {"id": id})
    assert (await names(application), await names(application, by="stranger")) == (["New"], [])


async def test_secrets_stay_behind_and_what_a_copy_needs_is_named(application: Application, tmp_path: Path) -> None:
    variable = {"name": "MY_KEY", "value": "sk-kept-secret", "type": "Credential", "default_fields": []}
    await application.http.post("/api/v1/variables/", json=variable)
    fields = {
        "api_key": {"value": "MY_KEY", "password": True, "load_from_db": True, "_input_type": "SecretStrInput"},
        "openai_api_key": {"value": "sk-plain-secret", "password": True, "_input_type": "SecretStrInput"},
    }
    model = flows.node("LanguageModelComponent", "LanguageModelComponent-m", fields, outputs=("text_output",))
    odd = flows.node("NoSuchComponentAnywhere", "NoSuch-n")
    id = await share(application, "With a key", data=flows.document([model, odd], []))
    read = await application.stranger.get(f"{STORE}/components/{id}")
    assert "sk-plain-secret" not in read.text and "sk-kept-secret" not in read.text
    assert read.json()["metadata"] == {
        "nodes": {"LanguageModelComponent": 1, "NoSuchComponentAnywhere": 1},
        "variables": ["MY_KEY"],
        "cannot_run": ["NoSuchComponentAnywhere"],
    }
    assert not any(b"sk-plain-secret" in content for content in contents(tmp_path))


def contents(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*") if file.is_file()]


async def test_entries_are_searched_filtered_sorted_and_paged(application: Application) -> None:
    first = await share(application, "alpha", description="100% wool", tags=["Chat"])
    await share(application, "Beta", is_component=True, tags=["Data", "Chat"])
    await share(application, "gamma", by="stranger", parent=first)
    assert await names(application) == ["alpha", "Beta", "gamma"]
    assert await names(application, sort="-name") == ["gamma", "Beta", "alpha"]
    assert await names(application, sort="-date_created") == ["gamma", "Beta", "alpha"]
    assert await names(application, search="BET") == ["Beta"]
    assert await names(application, search="100%") == ["alpha"]
    assert await names(application, search="1_0") == []
    assert await names(application, tags="data,unknown") == ["Beta"]
    assert await names(application, tags="unknown") == []
    assert await names(application, is_component="true") == ["Beta"]
    assert await names(application, filter_by_user="true") == ["alpha", "Beta"]
    assert await names(application, private="true") == []
    assert await names(application, component_id=first) == ["alpha"]
    assert await names(application, page=2, limit=2) == ["gamma"]
    assert (await application.http.get(f"{STORE}/components/", params={"limit": 101})).status_code == 422


async def test_a_like_is_given_and_taken_back(application: Application) -> None:
    id = await share(application, "Liked")
    await share(application, "Other")
    path = f"{STORE}/users/likes/{id}"
    assert (await application.stranger.post(path)).json() == {"likes_count": 1, "liked_by_user": True}
    assert (await application.http.post(path)).json() == {"likes_count": 2, "liked_by_user": True}
    assert (await application.http.get(f"{STORE}/users/likes")).json() == [{"likes_count": 2, "liked_by_user": True}]
    assert await names(application, liked="true") == ["Liked"]
    assert await names(application, sort="-likes") == ["Liked", "Other"]
    assert (await application.http.post(path)).json() == {"likes_count": 1, "liked_by_user": False}
    assert await names(application, liked="true") == []
    assert (await application.http.post(f"{STORE}/users/likes/{uuid4()}")).status_code == 404


async def test_a_like_is_taken_back_by_its_name_too_however_often(application: Application) -> None:
    id = await share(application, "Liked")
    path = f"{STORE}/users/likes/{id}"
    for http in (application.http, application.stranger):
        await http.post(path)
    for _ in range(2):
        answer = await application.stranger.delete(path)
        assert (answer.status_code, answer.json()) == (200, {"likes_count": 1, "liked_by_user": False})
    assert (await application.http.get(f"{STORE}/users/likes")).json() == [{"likes_count": 1, "liked_by_user": True}]
    private = await share(application, "Private", private=True)
    for missing in (private, uuid4()):
        assert (await application.stranger.delete(f"{STORE}/users/likes/{missing}")).status_code == 404


async def test_likes_are_paged(application: Application) -> None:
    for number in range(3):
        id = await share(application, f"Entry {number}")
        for http in (application.http, application.stranger)[: 1 + number % 2]:
            await http.post(f"{STORE}/users/likes/{id}")

    async def counts(**query: int) -> list[int]:
        answer = await application.http.get(f"{STORE}/users/likes", params=query)
        assert answer.status_code == 200, answer.text
        return [each["likes_count"] for each in answer.json()]

    assert (await counts(), await counts(limit=2), await counts(limit=2, page=2)) == ([1, 2, 1], [1, 2], [1])
    assert (await application.http.get(f"{STORE}/users/likes", params={"limit": 101})).status_code == 422


async def test_wrong_values_are_named(application: Application) -> None:
    missing = await application.http.post(f"{STORE}/components/", json={})
    assert [entry["loc"][-1] for entry in missing.json()["detail"]] == ["name", "description", "data", "tags", "is_component"]
    body = {"name": "x", "description": "", "data": {}, "tags": [], "is_component": False}
    for wrong in ({"name": " "}, {"name": "x" * 1_001}, {"tags": ["nonsense"]}, {"parent": str(uuid4())}, {"description": "a\x00"}):
        answer = await application.http.post(f"{STORE}/components/", json={**body, **wrong})
        assert (answer.status_code, next(iter(wrong)) in answer.text) == (422, True), answer.text


async def test_what_a_user_shared_goes_with_the_user(application: Application) -> None:
    id = await share(application, "Theirs", by="stranger")
    child = await share(application, "Made from it", parent=id)
    user = await application.services.accounts.find_user_by_name("bob")
    assert user is not None
    assert (await application.http.delete(f"/api/v1/users/{user.id}")).status_code in (200, 202)
    assert await names(application) == ["Made from it"]
    assert (await application.http.get(f"{STORE}/components/{child}")).status_code == 200
