"""Files come back as they were sent: whole, in ranges, as an image, as a text, several in a ZIP."""

import re
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from projects.runs.events import files_topic
from rest_adapter.downloads import ByteRange, NoSuchRange, byte_range
from tests.application import Application
from tests.rest_adapter.stored_files import PIXEL, TEXT, add_flow, store, upload

SIZE = len(TEXT)


@pytest.mark.parametrize("which", ["flow_address", "own_address"])
async def test_a_download_is_an_attachment_that_no_page_can_run(application: Application, which: str) -> None:
    address = getattr(await store(application, "Übersicht 1.svg"), which)
    answer = await application.http.get(address, headers={"Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.content) == (200, TEXT)
    headers = answer.headers
    assert headers["content-type"] == "application/octet-stream"
    assert (headers["content-length"], headers["accept-ranges"]) == (str(SIZE), "bytes")
    assert "content-encoding" not in headers
    assert headers["content-disposition"].startswith('attachment; filename="')
    assert "_bersicht 1.svg\"; filename*=UTF-8''" in headers["content-disposition"]
    assert headers["content-disposition"].endswith("%C3%9Cbersicht%201.svg")
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"] and "default-src 'none'" in headers["content-security-policy"]
    assert "private" in headers["cache-control"]


@pytest.mark.parametrize("which", ["flow_address", "own_address"])
async def test_head_tells_what_get_would_without_the_bytes(application: Application, which: str) -> None:
    address = getattr(await store(application), which)
    got, head = await application.http.get(address), await application.http.head(address)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "last-modified", "accept-ranges", "content-disposition"):
        assert head.headers[name] == got.headers[name]
    part = await application.http.head(address, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.headers["content-length"], part.content) == (206, "10", b"")


async def test_a_range_is_answered_with_its_bytes_alone(application: Application) -> None:
    stored = await store(application)
    for address in (stored.flow_address, stored.own_address):
        for asked, start, end in [
            ("bytes=0-0", 0, 1),
            ("bytes=10-19", 10, 20),
            ("bytes=10-", 10, SIZE),
            ("bytes=-5", SIZE - 5, SIZE),
            (f"bytes=-{SIZE * 2}", 0, SIZE),
            (f"bytes={SIZE - 1}-{SIZE * 3}", SIZE - 1, SIZE),
        ]:
            answer = await application.http.get(address, headers={"Range": asked})
            assert (answer.status_code, answer.content) == (206, TEXT[start:end]), asked
            assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
            assert answer.headers["content-length"] == str(end - start)


async def test_a_range_after_the_end_is_416_with_the_size(application: Application) -> None:
    stored = await store(application)
    for asked in (f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0", "bytes=999999999999-"):
        answer = await application.http.get(stored.own_address, headers={"Range": asked})
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{SIZE}"), asked
        assert set(answer.json()) == {"detail"}


async def test_a_range_that_is_no_single_range_is_answered_with_the_whole(application: Application) -> None:
    stored = await store(application)
    for asked in ("bytes=5-2", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5", "bytes=" + "9" * 4_000 + "-", ""):
        answer = await application.http.get(stored.own_address, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (200, TEXT), asked[:20]


def test_nothing_is_in_range_of_an_empty_file() -> None:
    for asked in ("bytes=0-", "bytes=-1"):
        with pytest.raises(NoSuchRange):
            byte_range(asked, 0)
    assert byte_range("BYTES = 0 - 3", 3) == ByteRange(0, 3)


async def test_an_empty_file_comes_back_empty(application: Application) -> None:
    answer = await application.http.get((await store(application, content=b"")).own_address)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


async def test_a_tag_saves_the_bytes_and_guards_a_range(application: Application) -> None:
    stored = await store(application, "log.txt")
    first = await application.http.get(stored.own_address)
    tag, date = first.headers["etag"], first.headers["last-modified"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await application.http.get(stored.own_address, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert (await application.http.get(stored.own_address, headers={"If-None-Match": '"other"'})).status_code == 200
    for condition, status in [(tag, 206), (date, 206), ('"other"', 200), (f"W/{tag}", 200), ("yesterday", 200)]:
        answer = await application.http.get(stored.own_address, headers={"Range": "bytes=0-3", "If-Range": condition})
        assert answer.status_code == status, condition
    await upload(application.http, "log.txt", b"more", query="?append=true")
    changed = await application.http.get(stored.own_address, headers={"Range": "bytes=0-3", "If-Range": tag})
    assert (changed.status_code, changed.content) == (200, TEXT + b"more")
    assert changed.headers["etag"] != tag


async def test_an_image_is_shown_under_its_own_type_and_nothing_else_is(application: Application) -> None:
    flow_id = await add_flow(application.http)
    shown = {"p.png": "image/png", "p.JPG": "image/jpeg", "drawing.svg": "image/svg+xml"}
    for name, media_type in shown.items():
        file_name = (await upload(application.http, name, PIXEL, flow_id=flow_id))["file_path"].partition("/")[2]
        answer = await application.http.get(f"/api/v1/files/images/{flow_id}/{file_name}")
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PIXEL, media_type)
        assert answer.headers["content-disposition"] == "attachment"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
    page = (await upload(application.http, "page.html", b"<script>", flow_id=flow_id))["file_path"].partition("/")[2]
    assert (await application.http.get(f"/api/v1/files/images/{flow_id}/{page}")).status_code == 400
    assert (await application.http.get(f"/api/v1/files/images/{flow_id}/none.png")).status_code == 404


async def test_the_text_of_a_file_comes_as_a_json_text(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    file = await upload(application.http, "a.txt", "zwei Wörter\n".encode())
    answer = await application.http.get(f"/api/v2/files/{file['id']}?return_content=true")
    assert (answer.status_code, answer.json()) == (200, "zwei Wörter\n")
    binary = await upload(application.http, "b.bin", b"\xff\xfe")
    refused = await application.http.get(f"/api/v2/files/{binary['id']}?return_content=true")
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["query", "return_content"])
    monkeypatch.setattr("rest_adapter.v2.files.MAX_TEXT_BYTES", 3)
    assert (await application.http.get(f"/api/v2/files/{file['id']}?return_content=true")).status_code == 413


async def test_several_files_come_as_one_zip_with_names_of_their_own(application: Application) -> None:
    http = application.http
    one, other, third = [await upload(http, name, content) for name, content in (("a.txt", b"1"), ("b.txt", TEXT), ("c.txt", b""))]
    for file, name in ((other, "A"), (third, "a")):
        assert (await http.put(f"/api/v2/files/{file['id']}", params={"name": name})).status_code == 200
    strange = await upload(application.stranger, "d.txt", b"theirs")
    answer = await http.post("/api/v2/files/batch/", json=[one["id"], other["id"], third["id"], strange["id"], one["id"]])
    assert answer.status_code == 200
    assert re.fullmatch(r'attachment; filename="\d{8}_\d{6}_langflow_files\.zip"; .*', answer.headers["content-disposition"])
    with ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert [archive.read(name) for name in archive.namelist()] == [b"1", TEXT, b""]
        assert archive.namelist() == ["a.txt", f"A_{other['id']}_1.txt", f"a_{third['id']}_1.txt"]


async def test_a_zip_of_nothing_is_404(application: Application) -> None:
    strange = await upload(application.stranger, "d.txt", b"theirs")
    for ids in ([strange["id"]], ["00000000-0000-4000-8000-000000000000"], []):
        for method in ("POST", "DELETE"):
            answer = await application.http.request(method, "/api/v2/files/batch/", json=ids)
            assert (answer.status_code, set(answer.json())) == (404, {"detail"})


async def test_bytes_that_are_gone_from_the_disk_are_404_and_no_answer_cut_short(application: Application, tmp_path: Path) -> None:
    stored = await store(application)
    for blob in (tmp_path / "data" / "files").rglob("*"):
        if blob.is_file():
            blob.unlink()
    assert (await application.http.get(stored.own_address)).status_code == 404
    assert (await application.http.get(stored.flow_address)).status_code == 404


async def test_a_renamed_file_keeps_its_ending_and_the_path_that_flows_know(application: Application) -> None:
    http = application.http
    file = await upload(http, "report.v1.txt", b"first")
    renamed = await http.put(f"/api/v2/files/{file['id']}", params={"name": "final"})
    assert renamed.json() == {**file, "name": "final"}
    assert [each["name"] for each in (await http.get("/api/v2/files")).json()] == ["final"]
    assert "final.txt" in (await http.get(f"/api/v2/files/{file['id']}")).headers["content-disposition"]
    # The old name is still what the first file's path ends in, so a new file of that name gets a path of its own.
    other = await upload(http, "report.v1.txt", b"second")
    assert other["path"] != file["path"]
    owner = application.caller.user_id
    for path, content in ((file["path"], b"first"), (other["path"], b"second")):
        assert await application.services.files.read(owner, path, limit_bytes=100) == content
    for bad in ("../x", "a/b", "a\\b", "..", "", " ", "x" * 256, "a\nb"):
        assert (await http.put(f"/api/v2/files/{file['id']}", params={"name": bad})).status_code in (400, 422), bad


async def test_files_are_deleted_one_by_one_several_or_all_and_a_flows_files_stay(application: Application, tmp_path: Path) -> None:
    http = application.http
    flow_id = await add_flow(http)
    flow_file = (await upload(http, "kept.txt", b"x", flow_id=flow_id))["file_path"].partition("/")[2]
    files = [await upload(http, f"{number}.txt", b"x") for number in range(5)]
    assert (await http.delete(f"/api/v2/files/{files[0]['id']}")).json() == {"detail": "File 0 deleted successfully"}
    assert (await http.delete(f"/api/v2/files/{files[0]['id']}")).status_code == 404
    answer = await http.request("DELETE", "/api/v2/files/batch/", json=[files[1]["id"], files[2]["id"], files[0]["id"]])
    assert answer.json() == {"message": "2 files deleted successfully"}
    assert (await http.delete("/api/v2/files")).json() == {"message": "All 2 files deleted successfully"}
    assert (await http.delete("/api/v2/files/")).json() == {"message": "All 0 files deleted successfully"}
    assert (await http.get(f"/api/v1/files/list/{flow_id}")).json() == {"files": [flow_file]}
    for _ in range(2):
        gone = await http.delete(f"/api/v1/files/delete/{flow_id}/{flow_file}")
        assert (gone.status_code, gone.json()) == (200, {"message": f"File {flow_file} deleted successfully"})
    assert (await http.get(f"/api/v1/files/list/{flow_id}")).json() == {"files": []}
    assert [path for path in (tmp_path / "data" / "files").rglob("*") if path.is_file()] == []


async def test_appending_goes_on_with_the_file_and_its_id_or_begins_one(application: Application) -> None:
    http = application.http
    first = await upload(http, "log.txt", b"one\n", query="?append=true")
    again = await upload(http, "log.txt", b"two\n", query="?append=true")
    assert (again["id"], again["path"], again["size"]) == (first["id"], first["path"], 8)
    assert (await http.get(f"/api/v2/files/{first['id']}")).content == b"one\ntwo\n"
    other = await upload(http, "log.txt", b"three\n")
    assert other["id"] != first["id"] and other["name"] == "log (1)"


async def test_the_owner_hears_of_every_change_of_files(application: Application) -> None:
    http, flow_id = application.http, await add_flow(application.http)
    with application.services.events.subscribe(files_topic(application.caller.user_id)) as changes:
        file = await upload(http, "a.txt", b"x")
        await changes.get()
        flow_file = (await upload(http, "b.txt", b"x", flow_id=flow_id))["file_path"].partition("/")[2]
        await changes.get()
        for method, address in [
            ("PUT", f"/api/v2/files/{file['id']}?name=c"),
            ("DELETE", f"/api/v2/files/{file['id']}"),
            ("DELETE", f"/api/v1/files/delete/{flow_id}/{flow_file}"),
        ]:
            assert not changes.has_unread
            assert (await http.request(method, address)).status_code == 200
            await changes.get()
        await http.delete(f"/api/v1/files/delete/{flow_id}/{flow_file}")
        assert not changes.has_unread
