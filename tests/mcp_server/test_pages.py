"""The pages that connect a client: for who is logged in, with placeholders for secrets, and with nothing that a text could run."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

from client_configs.registry import CLIENTS
from tests.application import ADDRESS, Application, browser, open_application


class Page(HTMLParser):
    """What elements, links and texts a page has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.links: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_who_is_not_logged_in_sees_a_form_and_nothing_of_anybody(application: Application) -> None:
    seen = set()
    for path in ("/connect", f"/connect/{application.project_id}", "/connect/nothing"):
        answer = await application.nobody.get(path)
        assert answer.status_code == 403
        seen.add(answer.text)
    (form,) = seen
    assert "password" in form and "headwater user set-password" in form and "data-keys=" not in form


async def test_a_login_of_the_browser_opens_the_pages(application: Application) -> None:
    async with browser(application.app) as person:
        form = {"username": "ada", "password": "a-long-password"}
        assert (await person.post("/api/v1/login", data=form, headers={"origin": ADDRESS})).status_code == 200
        answer = await person.get("/connect")
        assert answer.status_code == 200
        assert f"/connect/{application.project_id}" in Page(answer.text).links
        assert (await person.get(f"/connect/{application.project_id}")).status_code == 200


async def test_a_project_has_every_client_and_no_key(application: Application) -> None:
    answer = await application.http.get(f"/connect/{application.project_id}", headers={"user-agent": "X (Windows NT 10.0)"})
    page = Page(answer.text)
    assert page.elements.count("details") == len(CLIENTS)
    assert application.key not in answer.text and "YOUR_HEADWATER_API_KEY" in page.text
    assert r"%USERPROFILE%\.cursor\mcp.json" in page.text
    assert ".cursor/mcp.json" not in page.text and ".vscode" not in page.text  # a project's files, which others read too
    path = f"/api/v1/mcp/project/{application.project_id}"
    assert f"{ADDRESS}{path}/streamable" in page.text
    assert {f"{path}/bundle", f"{path}/server.json"} <= set(page.links)
    assert {link.split(":")[0] for link in page.links if not link.startswith("/")} == {"https", "cursor", "vscode", "lmstudio"}
    assert (await application.stranger.get(f"/connect/{application.project_id}")).status_code == 404
    assert (await application.http.get("/connect/nothing")).status_code == 404


async def test_a_project_names_its_tools_or_how_to_add_one(application: Application) -> None:
    page = Page((await application.http.get(f"/connect/{application.project_id}")).text)
    listed = await application.services.tools.list_tools(application.caller, application.project_id)
    assert listed and all(tool.name in page.text for tool in listed)
    empty = (await application.http.post("/api/v1/projects/", json={"name": "Empty"})).json()
    page = Page((await application.http.get(f"/connect/{empty['id']}")).text)
    assert "headwater import FILE --tool" in page.text and "/connect" in page.links


async def test_the_page_asks_the_api_for_a_key_with_the_login_of_its_browser(application: Application) -> None:
    text = (await application.http.get(f"/connect/{application.project_id}")).text
    asked = re.search(r'data-keys="([^"]+)" data-word="YOUR_HEADWATER_API_KEY"', text)
    assert asked is not None
    async with browser(application.app) as person:
        await person.post("/api/v1/login", data={"username": "ada", "password": "a-long-password"}, headers={"origin": ADDRESS})
        foreign = await person.post(asked[1], json={"name": "x"}, headers={"origin": "https://elsewhere.example"})
        assert foreign.status_code == 403
        made = await person.post(asked[1], json={"name": "From the connect page"}, headers={"origin": ADDRESS})
        assert made.status_code == 200
    key = made.json()["api_key"]
    assert (await application.nobody.get("/connect", headers={"x-api-key": key})).status_code == 200
    assert (await application.nobody.post(asked[1], json={"name": "x"}, headers={"origin": ADDRESS})).status_code == 403


async def test_the_name_of_a_project_stays_a_text(application: Application) -> None:
    name = "<script>alert(1)</script>\"'&<img src=x onerror=y>"
    project = (await application.http.post("/api/v1/projects/", json={"name": name})).json()
    for path in ("/connect", f"/connect/{project['id']}"):
        page = Page((await application.http.get(path)).text)
        assert project["name"] in page.text
        assert page.elements.count("script") == 1
        assert "img" not in page.elements and not any(each.startswith("on") for each in page.attributes)


async def test_the_browser_runs_the_pages_own_script_and_no_other(application: Application) -> None:
    answer = await application.http.get("/connect")
    policy = answer.headers["content-security-policy"]
    script = re.search(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert (answer.headers["cache-control"], answer.headers["x-frame-options"]) == ("no-store", "DENY")


async def test_behind_a_prefix_the_links_lead_through_it(tmp_path: Path) -> None:
    async with open_application(tmp_path, public_url="https://tools.example.org/flows") as application:
        page = Page((await application.http.get(f"/connect/{application.project_id}")).text)
        assert f"/flows/api/v1/mcp/project/{application.project_id}/bundle" in page.links
        assert f"/flows/connect/{application.project_id}" in Page((await application.http.get("/connect")).text).links
        assert "/flows/connect" in page.links
        assert 'data-keys="/flows/api/v1/api_key/"' in (await application.http.get(f"/connect/{application.project_id}")).text
        assert 'data-login="/flows/api/v1/login"' in (await application.nobody.get("/connect")).text


async def test_a_project_that_needs_no_key_asks_for_none(application: Application) -> None:
    opened = {"settings": [], "auth_settings": {"auth_type": "none"}}
    await application.http.patch(f"/api/v1/mcp/project/{application.project_id}", json=opened)
    text = (await application.http.get(f"/connect/{application.project_id}")).text
    assert "needs no key" in text and "x-api-key" not in text and "data-keys=" not in text
