"""Accounts over the API: who may make, see, change and delete them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from projects.access.caller import Caller, Credential
from tests.application import Application, browser, open_application

NEW = {"username": "cleo", "password": "Golden-Passw0rd!"}
KEYS = "id username profile_image store_api_key is_active is_superuser create_at updated_at last_login_at optins"


async def made(application: Application, **body: Any) -> dict[str, Any]:
    answer = await application.http.post("/api/v1/users/", json={**NEW, **body})
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json()
    return user


@pytest.fixture
async def bob(application: Application) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    """Another user, logged in."""
    pair = {"username": "bob", "password": "another-password"}
    token = (await application.nobody.post("/api/v1/login", data=pair)).json()["access_token"]
    application.nobody.cookies.clear()
    async with browser(application.app, headers={"Authorization": f"Bearer {token}"}) as http:
        yield (await http.get("/api/v1/users/whoami")).json()["id"], http


async def test_a_superuser_makes_an_account_that_is_not_active_yet(application: Application) -> None:
    answer = await application.http.post("/api/v1/users/", json={**NEW, "is_superuser": True, "is_active": True, "optins": {"x": 1}})
    user = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/api/v1/users/{user['id']}")
    assert " ".join(user) == KEYS
    assert (user["username"], user["is_active"], user["is_superuser"], user["last_login_at"]) == ("cleo", False, False, None)
    taken = await application.http.post("/api/v1/users/", json={**NEW, "username": "CLEO"})
    assert (taken.status_code, list(taken.json())) == (400, ["detail"])
    missing = await application.http.post("/api/v1/users/", json={"username": "x"})
    assert [(entry["type"], entry["loc"]) for entry in missing.json()["detail"]] == [("missing", ["body", "password"])]
    assert (await application.http.post("/api/v1/users/", json={"username": "short", "password": "a"})).status_code == 201
    waiting = await application.nobody.post("/api/v1/login", data=NEW)
    assert waiting.status_code == 400
    assert "approval" in waiting.json()["detail"]
    active = await application.http.patch(f"/api/v1/users/{user['id']}", json={"is_active": True})
    assert active.json()["is_active"] is True
    assert (await application.nobody.post("/api/v1/login", data=NEW)).status_code == 200
    assert (await application.http.patch(f"/api/v1/users/{user['id']}", json={"is_active": False})).json()["last_login_at"]
    assert (await application.nobody.post("/api/v1/login", data=NEW)).status_code == 401


async def test_sign_up_is_closed_unless_a_setting_opens_it(application: Application, tmp_path: Path) -> None:
    for http in (application.nobody, application.stranger):
        assert (await http.post("/api/v1/users/", json=NEW)).status_code == 403
    async with open_application(tmp_path / "open", enable_signup=True, new_user_is_active=True) as other:
        user = await other.nobody.post("/api/v1/users/", json=NEW)
        assert (user.status_code, user.json()["is_active"]) == (201, True)
        token = (await other.nobody.post("/api/v1/login", data=NEW)).json()["access_token"]
        projects = await other.nobody.get("/api/v1/projects/", headers={"Authorization": f"Bearer {token}"})
        assert len(projects.json()) == 1
        other.nobody.cookies.clear()
        statuses = [(await other.nobody.post("/api/v1/users/", json={**NEW, "username": f"u{n}"})).status_code for n in range(5)]
        assert statuses == [201, 201, 201, 201, 429]
        assert (await other.http.post("/api/v1/users/", json={**NEW, "username": "by-ada"})).status_code == 201


async def test_accounts_are_listed_for_superusers(application: Application) -> None:
    for name in ("cleo", "a%_b", "dan"):
        await made(application, username=name)

    async def names(**query: Any) -> list[str]:
        answer = (await application.http.get("/api/v1/users/", params=query)).json()
        assert list(answer) == ["total_count", "users", "deletion_requests"]
        return [user["username"] for user in answer["users"]]

    assert await names() == ["a%_b", "ada", "bob", "cleo", "dan"]
    assert await names(skip=1, limit=2) == ["ada", "bob"]
    assert await names(search="%_") == ["a%_b"]
    assert await names(search="DA") == ["ada", "dan"]
    assert await names(username="ADA") == ["ada"]
    assert await names(username="nobody") == []
    assert (await application.http.get("/api/v1/users/", params={"limit": "x"})).status_code == 422
    assert (await application.http.get("/api/v1/users/", params={"limit": 201})).status_code == 422
    assert (await application.stranger.get("/api/v1/users/")).status_code == 403
    assert (await application.nobody.get("/api/v1/users/")).status_code == 403


async def test_somebody_elses_account_is_refused_alike_whether_it_is_there_or_not(
    application: Application, bob: tuple[str, httpx.AsyncClient]
) -> None:
    bob_id, http = bob
    for user_id in (application.caller.user_id, str(uuid4())):
        refused = [await http.get(f"/api/v1/users/{user_id}"), await http.patch(f"/api/v1/users/{user_id}", json={"username": "x"})]
        refused.append(await http.delete(f"/api/v1/users/{user_id}"))
        assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert (await application.http.get(f"/api/v1/users/{bob_id}")).json()["username"] == "bob"
    assert (await application.http.patch(f"/api/v1/users/{uuid4()}", json={"username": "x"})).status_code == 404
    assert (await application.http.get(f"/api/v1/users/{uuid4()}")).status_code == 404


async def test_nobody_promotes_deactivates_or_deletes_themselves(application: Application, bob: tuple[str, httpx.AsyncClient]) -> None:
    bob_id, http = bob
    path = f"/api/v1/users/{bob_id}"
    assert (await http.patch(path, json={"is_superuser": True})).status_code == 403
    assert (await http.patch(path, json={"is_active": False})).status_code == 403
    assert (await http.patch(path, json={"password": "Other-Passw0rd!"})).status_code == 400
    assert (await http.delete(path)).status_code == 400
    changed = await http.patch(path, json={"username": "bobby", "optins": {"github_starred": True}, "profile_image": "Space/a.svg"})
    assert (changed.status_code, changed.json()["username"], changed.json()["optins"]["github_starred"]) == (200, "bobby", True)
    assert (await http.patch(path, json={"username": "ADA"})).status_code == 400
    assert (await http.patch(path, json={})).status_code == 200
    own = f"/api/v1/users/{application.caller.user_id}"
    assert (await application.http.patch(own, json={"is_active": False})).status_code == 403
    assert (await application.http.patch(own, json={"is_superuser": False})).status_code == 403
    assert (await application.http.delete(own)).status_code == 400


async def test_a_key_sets_no_password(application: Application) -> None:
    user = await made(application)
    assert (await application.http.patch(f"/api/v1/users/{user['id']}", json={"password": "x"})).status_code == 403
    body = {"current_password": "a-long-password", "password": "another-long-one"}
    own = f"/api/v1/users/{application.caller.user_id}/reset-password"
    assert (await application.http.patch(own, json=body)).status_code == 403


async def test_the_own_password_is_changed_with_the_current_one(application: Application, bob: tuple[str, httpx.AsyncClient]) -> None:
    bob_id, http = bob
    path = f"/api/v1/users/{bob_id}/reset-password"
    good = {"current_password": "another-password", "password": "Other-Passw0rd!"}
    other = (await application.nobody.post("/api/v1/login", data={"username": "bob", "password": "another-password"})).json()
    application.nobody.cookies.clear()
    missing = await http.patch(path, json={"password": "x"})
    assert [(entry["type"], entry["loc"]) for entry in missing.json()["detail"]] == [("missing", ["body", "current_password"])]
    assert (await http.patch(path, json={**good, "current_password": "wrong"})).status_code == 400
    assert (await http.patch(path, json={**good, "password": "another-password"})).status_code == 400
    assert (await http.patch(f"/api/v1/users/{application.caller.user_id}/reset-password", json=good)).status_code == 404
    assert (await http.patch(path, json=good)).status_code == 200
    assert (await http.get("/api/v1/users/whoami")).status_code == 200
    ended = await application.nobody.get("/api/v1/users/whoami", headers={"Authorization": f"Bearer {other['access_token']}"})
    assert ended.status_code == 401
    assert (await http.patch(path, json=good)).status_code == 429


async def test_a_deleted_account_is_gone_with_all_it_owned(application: Application) -> None:
    user = await made(application)
    owner = Caller(user["id"], "cleo", False, Credential.LOCAL)
    assert await application.services.projects.list_projects(owner)
    answer = await application.http.delete(f"/api/v1/users/{user['id']}")
    assert (answer.status_code, list(answer.json())) == (202, ["detail", "request_id"])
    assert (await application.http.delete(f"/api/v1/users/{user['id']}")).status_code == 404
    assert await application.services.projects.list_projects(owner) == []


async def test_the_stores_key_is_kept_and_never_shown(application: Application) -> None:
    for key in ("abc-store-key", "another"):
        answer = await application.http.post("/api/v1/api_key/store", json={"api_key": key})
        assert (answer.status_code, answer.json()) == (200, {"detail": "API Key saved"})
        assert answer.headers["set-cookie"].startswith("apikey_tkn_lflw=None;")
    assert (await application.http.get("/api/v1/variables/")).json() == []
    missing = await application.http.post("/api/v1/api_key/store", json={})
    assert [(entry["type"], entry["loc"]) for entry in missing.json()["detail"]] == [("missing", ["body", "api_key"])]
