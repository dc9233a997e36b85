"""Requests about files whose answers were seen from Langflow 1.13: the same statuses, keys, types and headers that matter here.

Where Langflow answers a caller's mistake with 500, the status here is the right one of 4xx; these lines say so.
"""

import base64
from dataclasses import dataclass, field
from typing import Any

from pytest import Subtests

from tests.application import Application
from tests.rest_adapter.stored_files import add_flow, upload

NOBODYS = "00000000-0000-4000-8000-000000000000"
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgAAACAAFUok9lAAAAAElFTkSuQmCC")


@dataclass(frozen=True)
class Exchange:
    """`says` is the whole JSON body where it was fixed, `keys` its keys, `entries` the kinds and places of a 422."""

    about: str
    method: str
    path: str
    status: int
    says: Any = None
    keys: str = ""
    entries: list[tuple[str, list[str | int]]] = field(default_factory=list)
    json: Any = None
    file: tuple[str, bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    is_nobody: bool = False


def exchanges(flow: str, note: str, image: str, doc: str, other: str) -> list[Exchange]:
    """In the order in which they were made: later ones find what earlier ones left. `note` and `image` are names, `doc` and `other` ids."""
    v1, text = "/api/v1/files", ("n.txt", b"h")
    return [
        Exchange("upload to nobody's flow", "POST", f"{v1}/upload/{NOBODYS}", 404, keys="detail", file=text),
        Exchange("upload without a form", "POST", f"{v1}/upload/{flow}", 422, keys="detail"),
        Exchange("upload by nobody", "POST", f"{v1}/upload/{flow}", 403, keys="detail", file=text, is_nobody=True),
        Exchange("upload", "POST", f"{v1}/upload/{flow}", 201, keys="flowId file_path", file=("n2.txt", b"hello file")),
        Exchange("list of a flow", "GET", f"{v1}/list/{flow}", 200, keys="files"),
        Exchange("list of nobody's flow", "GET", f"{v1}/list/{NOBODYS}", 404, keys="detail"),
        Exchange("list by nobody", "GET", f"{v1}/list/{flow}", 403, keys="detail", is_nobody=True),
        Exchange("download by nobody", "GET", f"{v1}/download/{flow}/{note}", 403, keys="detail", is_nobody=True),
        Exchange("download of what is not there; 500 there", "GET", f"{v1}/download/{flow}/nope.txt", 404, keys="detail"),
        Exchange("the same without an ending; 500 there", "GET", f"{v1}/download/{flow}/noext", 404, keys="detail"),
        Exchange("download of a path", "GET", f"{v1}/download/{flow}/..%2f..%2fsecret_key", 404, says={"detail": "Not Found"}),
        Exchange(
            "an image",
            "GET",
            f"{v1}/images/{flow}/{image}",
            200,
            headers={"content-type": "image/png", "content-disposition": "attachment", "x-content-type-options": "nosniff"},
        ),
        Exchange("an image to nobody", "GET", f"{v1}/images/{flow}/{image}", 403, keys="detail", is_nobody=True),
        Exchange("a text as an image; 500 there", "GET", f"{v1}/images/{flow}/{note}", 400, keys="detail"),
        Exchange("delete", "DELETE", f"{v1}/delete/{flow}/{note}", 200, says={"message": f"File {note} deleted successfully"}),
        Exchange("delete again", "DELETE", f"{v1}/delete/{flow}/{note}", 200, says={"message": f"File {note} deleted successfully"}),
        Exchange("pictures", "GET", f"{v1}/profile_pictures/list", 200, keys="files", is_nobody=True),
        Exchange("a picture that is not there", "GET", f"{v1}/profile_pictures/People/nope.svg", 404, keys="detail", is_nobody=True),
        Exchange("own upload without a form", "POST", "/api/v2/files", 422, entries=[("missing", ["body", "file"])]),
        Exchange("own upload by nobody", "POST", "/api/v2/files", 403, keys="detail", file=("d.txt", b"x"), is_nobody=True),
        Exchange("own upload under a path", "POST", "/api/v2/files", 400, keys="detail", file=("../../x.txt", b"x")),
        Exchange("own file of nobody", "GET", f"/api/v2/files/{NOBODYS}", 404, keys="detail"),
        Exchange("its text", "GET", f"/api/v2/files/{doc}?return_content=true", 200, says="v2 hello"),
        Exchange("a new name for nobody's", "PUT", f"/api/v2/files/{NOBODYS}?name=r", 404, keys="detail"),
        Exchange("no new name", "PUT", f"/api/v2/files/{doc}", 422, entries=[("missing", ["query", "name"])]),
        Exchange("a new name", "PUT", f"/api/v2/files/{doc}?name=renamed", 200, keys="id name path size provider"),
        Exchange("own delete", "DELETE", f"/api/v2/files/{doc}", 200, says={"detail": "File renamed deleted successfully"}),
        Exchange("own delete again", "DELETE", f"/api/v2/files/{doc}", 404, keys="detail"),
        Exchange("a ZIP of none; 500 there", "POST", "/api/v2/files/batch/", 404, json=[NOBODYS], keys="detail"),
        Exchange("a ZIP of no id", "POST", "/api/v2/files/batch/", 422, json=["x"], entries=[("uuid_parsing", ["body", 0])]),
        Exchange("several deleted", "DELETE", "/api/v2/files/batch/", 200, json=[other], says={"message": "1 files deleted successfully"}),
        Exchange("all deleted", "DELETE", "/api/v2/files", 200, says={"message": "All 1 files deleted successfully"}),
        Exchange("all deleted by nobody", "DELETE", "/api/v2/files", 403, keys="detail", is_nobody=True),
    ]


async def test_every_recorded_exchange_about_files_is_answered_alike(application: Application, subtests: Subtests) -> None:
    http = application.http
    flow = await add_flow(http)
    note, image = [
        (await upload(http, name, content, flow_id=flow))["file_path"].partition("/")[2]
        for name, content in (("note.txt", b"hello file"), ("p.png", PNG))
    ]
    doc, other, _ = [(await upload(http, name, content))["id"] for name, content in DOCUMENTS]
    for exchange in exchanges(flow, note, image, doc, other):
        with subtests.test(exchange.about):
            client = application.nobody if exchange.is_nobody else http
            options: dict[str, Any] = {"files": {"file": exchange.file}} if exchange.file else {}
            if exchange.json is not None:
                options["json"] = exchange.json
            answer = await client.request(exchange.method, exchange.path, **options)
            assert answer.status_code == exchange.status, answer.text
            if exchange.says is not None:
                assert answer.json() == exchange.says
            if exchange.keys:
                assert set(answer.json()) == set(exchange.keys.split())
            if exchange.keys == "detail":
                assert isinstance(answer.json()["detail"], str)
            if exchange.entries:
                assert [(entry["type"], entry["loc"]) for entry in answer.json()["detail"]] == exchange.entries
            for name, value in exchange.headers.items():
                assert answer.headers[name] == value


DOCUMENTS = [("doc.txt", b"v2 hello"), ("doc.txt", b"v2 hello again"), ("k.txt", b"k")]


async def test_the_list_of_own_files_has_the_keys_names_and_moments_that_clients_know(application: Application) -> None:
    for name, content in DOCUMENTS:
        await upload(application.http, name, content)
    listed = (await application.http.get("/api/v2/files/")).json()
    owner = application.caller.user_id
    assert [(file["name"], file["path"], file["size"]) for file in listed] == [
        ("doc", f"{owner}/doc.txt", 8),
        ("doc (1)", f"{owner}/doc (1).txt", 14),
        ("k", f"{owner}/k.txt", 1),
    ]
    for file in listed:
        assert set(file) == {"user_id", "id", "size", "created_at", "name", "path", "provider", "updated_at"}
        assert file["provider"] is None and file["user_id"] == owner
        assert file["created_at"].endswith("Z") and len(file["created_at"]) == len("2026-11-22T00:22:35.198948Z")


async def test_every_profile_picture_is_an_image_that_anybody_may_see(application: Application) -> None:
    listed = (await application.nobody.get("/api/v1/files/profile_pictures/list")).json()["files"]
    assert {name.partition("/")[0] for name in listed} == {"People", "Space"}
    assert "Space/046-rocket.svg" in listed  # what the editor shows for people who chose none
    for name in listed:
        answer = await application.nobody.get(f"/api/v1/files/profile_pictures/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
        assert answer.text.startswith("<svg ") and "script" not in answer.text
    for folder in ("Animals", "..", "%2e%2e", "people"):
        unknown = await application.nobody.get(f"/api/v1/files/profile_pictures/{folder}/046-rocket.svg")
        assert unknown.status_code in (400, 404)
    assert (await application.nobody.get("/api/v1/files/profile_pictures/Animals/a.svg")).status_code == 400
