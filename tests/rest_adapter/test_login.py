"""Logging in and out: tokens, cookies, and what they are good for."""

from pathlib import Path

import pytest

from tests.application import Application, open_application

PAIR = {"username": "ada", "password": "a-long-password"}


def cookies_of(answer_headers: list[str]) -> dict[str, str]:
    return {line.split("=", 1)[0]: line for line in answer_headers}


async def test_a_login_gives_tokens_and_cookies(application: Application) -> None:
    answer = await application.nobody.post("/api/v1/login", data=PAIR)
    assert answer.status_code == 200
    assert list(answer.json()) == ["access_token", "refresh_token", "token_type"]
    assert answer.json()["token_type"] == "bearer"
    cookies = cookies_of(answer.headers.get_list("set-cookie"))
    assert list(cookies) == ["refresh_token_lf", "access_token_lf", "apikey_tkn_lflw"]
    for line in cookies.values():
        assert "HttpOnly" in line
        assert "Path=/" in line
        assert "SameSite=lax" in line
    assert "expires=" in cookies["refresh_token_lf"]
    assert "expires=" in cookies["access_token_lf"]
    assert "expires=" not in cookies["apikey_tkn_lflw"]


@pytest.mark.parametrize("pair", [{"username": "ada", "password": "nope"}, {"username": "nobody", "password": "nope"}])
async def test_a_wrong_pair_is_401_and_says_not_which_half(application: Application, pair: dict[str, str]) -> None:
    answer = await application.nobody.post("/api/v1/login", data=pair)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json() == {"detail": "Incorrect username or password"}


async def test_a_login_without_a_form_names_what_is_missing(application: Application) -> None:
    for answer in (await application.nobody.post("/api/v1/login", json=PAIR), await application.nobody.post("/api/v1/login", data={})):
        assert answer.status_code == 422
        assert [(entry["type"], entry["loc"]) for entry in answer.json()["detail"]] == [
            ("missing", ["body", "username"]),
            ("missing", ["body", "password"]),
        ]


async def test_a_login_may_be_a_multipart_form_too(application: Application) -> None:
    """As browsers send a `FormData`."""
    fields = {name: (None, value) for name, value in PAIR.items()}
    answer = await application.nobody.post("/api/v1/login", files=fields)
    assert (answer.status_code, answer.json()["token_type"]) == (200, "bearer")
    for content, status in ((b"no form", 400), (b"--b\r\nContent-Disposition: form-data; name=username\r\n\r\nada\r\n--b--", 422)):
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        assert (await application.nobody.post("/api/v1/login", content=content, headers=headers)).status_code == status
    with_a_file = await application.nobody.post("/api/v1/login", data=PAIR, files={"file": ("a.txt", b"x")})
    assert with_a_file.status_code == 400


async def test_the_sixth_login_in_a_minute_is_429(application: Application) -> None:
    for _ in range(5):
        await application.nobody.post("/api/v1/login", data={"username": "x", "password": "y"})
    answer = await application.nobody.post("/api/v1/login", data=PAIR)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert (list(answer.json()), answer.json()["retry_after"]) == (["detail", "retry_after"], "60")


async def test_the_cookie_and_the_token_say_who_is_there(application: Application) -> None:
    browser = application.nobody
    token = (await browser.post("/api/v1/login", data=PAIR)).json()["access_token"]
    session = (await browser.get("/api/v1/session")).json()
    assert list(session) == ["authenticated", "user", "store_api_key"]
    assert (session["authenticated"], session["user"]["username"], session["store_api_key"]) == (True, "ada", None)
    browser.cookies.clear()
    assert (await browser.get("/api/v1/session")).json() == {"authenticated": False, "user": None, "store_api_key": None}
    user = (await browser.get("/api/v1/users/whoami", headers={"Authorization": f"Bearer {token}"})).json()
    assert user["username"] == "ada"
    assert user["create_at"].endswith("Z")
    assert user["optins"] == {"github_starred": False, "dialog_dismissed": False, "discord_clicked": False}


async def test_a_logout_ends_the_tokens(application: Application) -> None:
    browser = application.nobody
    tokens = (await browser.post("/api/v1/login", data=PAIR)).json()
    answer = await browser.post("/api/v1/logout")
    assert (answer.status_code, list(answer.json())) == (200, ["message"])
    assert all("Max-Age=0" in line for line in answer.headers.get_list("set-cookie"))
    assert len(answer.headers.get_list("set-cookie")) == 3
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert (await browser.get("/api/v1/users/whoami", headers={"Authorization": f"Bearer {token}"})).status_code == 401
    assert (await browser.post("/api/v1/refresh", headers={"Cookie": f"refresh_token_lf={tokens['refresh_token']}"})).status_code == 401


async def test_anybody_may_log_out(application: Application) -> None:
    assert (await application.nobody.post("/api/v1/logout")).status_code == 200
    assert (await application.nobody.post("/api/v1/logout", headers={"Authorization": "Bearer nonsense"})).status_code == 200


async def test_a_refresh_cookie_gives_new_tokens(application: Application) -> None:
    browser = application.nobody
    assert (await browser.post("/api/v1/refresh")).status_code == 401
    old = (await browser.post("/api/v1/login", data=PAIR)).json()
    answer = await browser.post("/api/v1/refresh")
    assert answer.status_code == 200
    assert answer.json()["refresh_token"] != old["refresh_token"]
    assert list(cookies_of(answer.headers.get_list("set-cookie"))) == ["refresh_token_lf", "access_token_lf"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example:7860"])
async def test_a_page_of_another_site_cannot_use_the_cookies(application: Application, origin: str) -> None:
    browser = application.nobody
    await browser.post("/api/v1/login", data=PAIR)
    for path in ("/api/v1/refresh", "/api/v1/logout", "/api/v1/api_key/"):
        assert (await browser.post(path, headers={"Origin": origin}, json={})).status_code == 403, path
    assert (await browser.get("/api/v1/session")).json()["authenticated"] is True
    assert (await browser.post("/api/v1/refresh", headers={"Origin": "http://127.0.0.1:7860"})).status_code == 200


async def test_automatic_login_is_off_by_default(application: Application) -> None:
    answer = await application.nobody.get("/api/v1/auto_login")
    assert answer.status_code == 403
    assert answer.json()["detail"]["auto_login"] is False
    assert "set-cookie" not in answer.headers
    assert (await application.nobody.get("/api/v1/users/whoami")).status_code == 403


async def test_automatic_login_gives_tokens_where_it_is_allowed(tmp_path: Path) -> None:
    async with open_application(tmp_path / "data", auto_login=True) as application:
        answer = await application.nobody.get("/api/v1/auto_login")
        assert (answer.status_code, list(answer.json())) == (200, ["access_token", "refresh_token", "token_type"])
        cookies = cookies_of(answer.headers.get_list("set-cookie"))
        assert "expires=" not in cookies["access_token_lf"]
        assert (await application.nobody.get("/api/v1/users/whoami")).json()["is_superuser"] is True
