"""What uploads and file addresses may be used for by somebody who means harm: nothing."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests import flow_documents as flows
from tests.application import Application, open_application
from tests.rest_adapter.stored_files import PIXEL, TEXT, Stored, add_flow, store, upload

BOUNDARY = "a-boundary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'.encode()
END = f"\r\n--{BOUNDARY}--\r\n".encode()

HOSTILE = [
    "..%2f..%2fsecret_key",
    "%2e%2e%2fsecret_key",
    "..%5c..%5csecret_key",
    "%252e%252e%252fsecret_key",
    "..",
    "....//secret_key",
    "%00",
    "a%00.png",
    "%ff%fe",
    "%e2%80%ae.png",
    "CON",
    "a" * 5_000,
    "*",
    "file:%2f%2f%2fetc%2fpasswd",
    "'%20or%20'1'='1",
    "{file_id}",
    str(uuid4()),
]


def routes_of(stored: Stored) -> list[tuple[str, str]]:
    """Every route that takes the id or name of something stored, with this one's."""
    flow, file = stored.flow_id, stored.flow_file
    return [
        ("GET", f"/api/v1/files/download/{flow}/{file}"),
        ("GET", f"/api/v1/files/images/{flow}/{file}"),
        ("GET", f"/api/v1/files/list/{flow}"),
        ("DELETE", f"/api/v1/files/delete/{flow}/{file}"),
        ("GET", f"/api/v2/files/{stored.own['id']}"),
        ("GET", f"/api/v2/files/{stored.own['id']}?return_content=true"),
        ("PUT", f"/api/v2/files/{stored.own['id']}?name=mine"),
        ("DELETE", f"/api/v2/files/{stored.own['id']}"),
    ]


def everything_in(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


def blobs(tmp_path: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in (tmp_path / "data" / "files").rglob("*") if path.is_file())


async def test_anothers_files_answer_as_missing_ones_and_nobody_gets_past_the_door(application: Application, tmp_path: Path) -> None:
    stored = await store(application, "p.png", PIXEL)
    for method, address in routes_of(stored):
        theirs = await application.stranger.request(method, address)
        assert theirs.status_code == 404, (method, address)
        nobody = await application.nobody.request(method, address)
        assert (nobody.status_code, set(nobody.json())) == (403, {"detail"}), (method, address)
    for method in ("POST", "DELETE"):
        assert (await application.stranger.request(method, "/api/v2/files/batch/", json=[stored.own["id"]])).status_code == 404
    assert (await application.stranger.delete("/api/v2/files")).json() == {"message": "All 0 files deleted successfully"}
    assert (await application.stranger.get("/api/v2/files")).json() == []
    assert blobs(tmp_path) == [PIXEL, PIXEL]


async def test_a_flow_of_mine_opens_no_file_of_anothers_flow(application: Application) -> None:
    stored = await store(application)
    mine = await add_flow(application.stranger, "mine")
    assert (await application.stranger.get(f"/api/v1/files/download/{mine}/{stored.flow_file}")).status_code == 404
    # What the store calls the bytes names nothing at any address.
    file = await application.services.files.get_own(application.caller, stored.own["id"])
    for http in (application.http, application.stranger):
        assert (await http.get(f"/api/v2/files/{file.blob_key}")).status_code == 404
        assert (await http.get(f"/api/v1/files/download/{stored.flow_id}/{file.blob_key}")).status_code == 404


async def test_hostile_names_in_every_address_are_4xx_and_show_nothing(application: Application, tmp_path: Path) -> None:
    stored = await store(application)
    secret = (tmp_path / "data" / "secret_key").read_text().strip()
    for text in HOSTILE:
        for method, address in [
            ("GET", f"/api/v1/files/download/{stored.flow_id}/{text}"),
            ("GET", f"/api/v1/files/download/{text}/a.txt"),
            ("GET", f"/api/v1/files/images/{stored.flow_id}/{text}.png"),
            ("GET", f"/api/v1/files/list/{text}"),
            ("POST", f"/api/v1/files/upload/{text}"),
            ("GET", f"/api/v1/files/profile_pictures/People/{text}"),
            ("GET", f"/api/v1/files/profile_pictures/{text}/046-rocket.svg"),
            ("GET", f"/api/v1/files/profile_pictures/../{text}"),
            ("GET", f"/api/v2/files/{text}"),
            ("PUT", f"/api/v2/files/{text}?name=x"),
            ("DELETE", f"/api/v2/files/{text}"),
        ]:
            answer = await application.http.request(method, address)
            assert 400 <= answer.status_code < 500, (method, address, answer.status_code)
            assert secret not in answer.text
        deleted = await application.http.delete(f"/api/v1/files/delete/{stored.flow_id}/{text}")
        assert deleted.status_code in (200, 400, 404, 422), (text, deleted.status_code)
    assert blobs(tmp_path) == [TEXT, TEXT]
    assert (tmp_path / "data" / "secret_key").read_text().strip() == secret


async def test_a_hostile_file_name_is_refused_or_made_clean_and_never_a_path(application: Application, tmp_path: Path) -> None:
    outside = set((tmp_path / "data").iterdir()) | {tmp_path / "data" / "files"}
    for name in ("../x", "..\\x", "/etc/x", "%2e%2e/x", "a/../../x", "abc\u202egpj.exe", "n" * 4_096, "CON", "con.txt", "dot. ."):
        answer = await application.http.post("/api/v2/files", files={"file": (name, b"x")})
        assert answer.status_code in (201, 400), name
    shown = {Path(file["path"]).name for file in (await application.http.get("/api/v2/files")).json()}
    assert shown == {"abcgpj.exe", "_CON", "_con.txt", "dot"}
    assert set((tmp_path / "data").iterdir()) <= outside
    assert all(len(path.name) == 32 for path in (tmp_path / "data" / "files").rglob("*") if path.is_file())


async def test_a_path_in_a_flows_body_writes_nothing(application: Application, tmp_path: Path) -> None:
    target = tmp_path / "written.json"
    for path in (str(target), "../../written.json"):
        body = {"name": f"writes {path}", "data": flows.echo(), "fs_path": path}
        made = await application.http.post("/api/v1/flows/", json=body)
        assert made.status_code == 201 and "fs_path" not in made.json()
        assert (await application.http.patch(f"/api/v1/flows/{made.json()['id']}", json={"fs_path": path})).status_code == 200
    assert "written.json" not in {path.name for path in everything_in(tmp_path)}


async def test_what_is_no_form_is_415_whatever_it_says_of_a_file(application: Application, tmp_path: Path) -> None:
    flow_id = await add_flow(application.http)
    claims = {"file": {"filepath": "/etc/passwd", "path": "/etc/passwd", "originalFilename": "x"}, "filepath": "/etc/passwd"}
    for address in ("/api/v2/files", f"/api/v1/files/upload/{flow_id}"):
        for media_type in (
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/mixed; boundary=b",
            "text/plain",
            "multipart",
        ):
            answer = await application.http.post(address, content=json.dumps(claims), headers={"Content-Type": media_type})
            assert (answer.status_code, set(answer.json())) == (415, {"detail"}), media_type
    assert not (tmp_path / "data" / "files").exists()


async def test_a_boundary_that_is_none_is_refused(application: Application) -> None:
    for boundary in ("", "b" * 71, "-" * 1_000_000, "a\tb", '"a b"', "ö"):
        headers = {b"Content-Type": b"multipart/form-data; boundary=" + boundary.encode()}
        answer = await application.http.post("/api/v2/files", content=b"x", headers=headers)
        assert answer.status_code == 422, boundary[:80]
    assert (await application.http.post("/api/v2/files", content=b"x", headers={"Content-Type": "multipart/form-data"})).status_code == 422


def part(name: str, value: bytes = b"x") -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"


@pytest.mark.parametrize(
    ("about", "body"),
    [
        ("no end", HEAD + b"x" * 1_000_000),
        ("ten thousand parts", b"".join(part(str(number)) for number in range(10_000)) + HEAD + b"x" + END),
        ("a hundred thousand headers", f"--{BOUNDARY}\r\n".encode() + b"a: b\r\n" * 100_000 + b"\r\nx" + END),
        ("one endless header", f"--{BOUNDARY}\r\na: ".encode() + b"b" * 2_000_000),
        ("a megabyte of hyphens", b"-" * 1_000_000),
        ("boundaries that are almost ones", HEAD + f"\r\n--{BOUNDARY[:-1]}".encode() * 80_000),
        ("a large field", part("text", b"x" * 1_000_000) + HEAD + b"x" + END),
        ("two files", HEAD + b"one\r\n" + HEAD + b"two" + END),
        ("no disposition", f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nx".encode() + END),
        ("nothing", b""),
        ("no form at all", b'{"file": "x"}'),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
async def test_a_form_that_is_made_to_cost_is_refused_and_keeps_nothing(
    application: Application, tmp_path: Path, about: str, body: bytes
) -> None:
    spent = time.process_time()
    answer = await application.http.post("/api/v2/files", content=body, headers=FORM)
    spent = time.process_time() - spent
    assert answer.status_code == 400, (about, answer.text[:200])
    assert set(answer.json()) == {"detail"} and spent < 2, spent
    assert (await application.http.get("/api/v2/files")).json() == []
    assert not (tmp_path / "data" / "files").exists() or blobs(tmp_path) == []


async def test_a_file_under_another_name_is_told_which_field_is_missing(application: Application) -> None:
    content = HEAD.replace(b'name="file"', b'name="other"') + b"x" + END
    for address in ("/api/v2/files", f"/api/v1/files/upload/{await add_flow(application.http)}"):
        answer = await application.http.post(address, content=content, headers=FORM)
        assert answer.status_code == 422
        assert answer.json() == {"detail": [{"type": "missing", "loc": ["body", "file"], "msg": "Field required"}]}
    assert (await application.http.post("/api/v1/flows/upload/", content=content, headers=FORM)).status_code == 400


async def test_fields_beside_the_file_and_what_follows_the_form_do_not_matter(application: Application) -> None:
    for lead, tail in ((part("note"), b""), (b"", b"epilogue" * 10_000), (b"\r\n", b"\r\n")):
        answer = await application.http.post("/api/v2/files", content=lead + HEAD + b"content" + END + tail, headers=FORM)
        assert answer.status_code == 201, answer.text
        assert (await application.http.get(f"/api/v2/files/{answer.json()['id']}")).content == b"content"


async def test_a_form_may_arrive_byte_by_byte_and_hold_what_looks_like_its_boundary(application: Application) -> None:
    content = f"\r\n--{BOUNDARY}x\r\n--\r\r\n-{BOUNDARY}\r\n".encode()
    body = HEAD + content.replace(f"--{BOUNDARY}x".encode(), f"--{BOUNDARY[:-1]}x".encode()) + END

    async def slowly() -> AsyncIterator[bytes]:
        for number in range(len(body)):
            yield body[number : number + 1]

    answer = await application.http.post("/api/v2/files", content=slowly(), headers=FORM)
    assert answer.status_code == 201, answer.text
    assert (await application.http.get(f"/api/v2/files/{answer.json()['id']}")).content == body[len(HEAD) : -len(END)]


async def test_without_a_credential_not_a_byte_of_the_body_is_read(application: Application) -> None:
    flow_id = await add_flow(application.http)
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 1_000

    for address in ("/api/v2/files", f"/api/v1/files/upload/{flow_id}"):
        for headers in ({}, {"x-api-key": "sk-wrong"}):
            answer = await application.nobody.post(address, content=endless(), headers={**FORM, **headers})
            assert answer.status_code == 403
    assert read == 0


async def test_an_upload_is_refused_by_its_declared_length_and_at_the_limit_when_it_declares_none(tmp_path: Path) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        yield HEAD
        while True:
            read += 100_000
            yield b"x" * 100_000

    async with open_application(tmp_path, max_upload_megabytes=1) as application:
        declared = {**FORM, "Content-Length": str(5 * 1024 * 1024)}
        assert (await application.http.post("/api/v2/files", content=endless(), headers=declared)).status_code == 413
        assert read == 0
        assert (await application.http.post("/api/v2/files", content=endless(), headers=FORM)).status_code == 413
        assert read < 2 * 1024 * 1024
        just = await upload(application.http, "just.bin", b"x" * 1024 * 1024)
        assert just["size"] == 1024 * 1024
        assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == 1


async def test_one_user_keeps_at_most_what_the_setting_says_also_with_uploads_at_once(tmp_path: Path) -> None:
    async with open_application(tmp_path, max_files_megabytes_per_user=1) as application:
        half = b"x" * 400_000

        async def attempt(number: int) -> httpx.Response:
            return await application.http.post("/api/v2/files", files={"file": (f"{number}.bin", half)})

        answers = await asyncio.gather(*(attempt(number) for number in range(6)))
        assert sorted(answer.status_code for answer in answers) == [201, 201, 413, 413, 413, 413]
        assert (await application.stranger.post("/api/v2/files", files={"file": ("a", half)})).status_code == 201
        await application.http.delete("/api/v2/files")
        assert (await attempt(7)).status_code == 201


async def test_the_largest_json_body_is_a_setting(tmp_path: Path) -> None:
    async with open_application(tmp_path, max_json_megabytes=1) as application:
        body = {"name": "x", "description": "y" * 1_100_000}
        assert (await application.http.post("/api/v1/flows/", json=body)).status_code == 413


def attaching() -> dict[str, Any]:
    chat = flows.chat_input(files={"value": "", "type": "file", "_input_type": "FileInput", "list": True, "file_path": []})
    return flows.document([chat, flows.chat_output()], [flows.edge("ChatInput-in", "ChatOutput-out", "input_value")])


async def test_a_run_takes_no_file_but_its_owners_uploads(application: Application) -> None:
    stored = await store(application)
    theirs = await upload(application.stranger, "theirs.txt", b"secret")
    own = stored.own["path"]
    await application.http.patch(f"/api/v1/flows/{stored.flow_id}", json={"data": attaching()})
    for wrong in (theirs["path"], theirs["id"], "/etc/passwd", f"{stored.flow_id}/none.txt", "https://example.org/a.png"):
        for files in (wrong, [own, wrong], [{"path": wrong}]):
            tweaks = {"ChatInput-in": {"files": files}}
            refused = await application.http.post(f"/api/v1/run/{stored.flow_id}", json={"input_value": "x", "tweaks": tweaks})
            assert refused.status_code == 422, refused.text
            (problem,) = refused.json()["detail"]
            assert (problem["loc"], wrong in problem["msg"]) == (["body", "tweaks", "ChatInput-in", "files"], True)
        started = await application.http.post("/api/v1/runs", json={"flow": stored.flow_id, "tweaks": {"ChatInput-in": {"files": wrong}}})
        assert started.status_code == 422
        built = await application.http.post(f"/api/v1/build/{stored.flow_id}/flow", json={"files": [wrong]})
        assert built.status_code == 422
    assert (await application.http.get("/api/v1/monitor/messages", params={"flow_id": stored.flow_id})).json() == []


async def test_a_run_takes_its_owners_uploads_by_path_or_id(application: Application) -> None:
    stored = await store(application)
    await application.http.patch(f"/api/v1/flows/{stored.flow_id}", json={"data": attaching()})
    files = [stored.own["path"], stored.own["id"], f"{stored.flow_id}/{stored.flow_file}"]
    body = {"input_value": "x", "output_type": "debug", "tweaks": {"ChatInput-in": {"files": files}}}
    answer = await application.http.post(f"/api/v1/run/{stored.flow_id}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["files"] == files
