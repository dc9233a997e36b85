"""Bytes of deleted flows and users leave the disk by themselves."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from projects.files import FileLimits, FileService
from projects.unused_files import UnusedFiles
from storage.blobs.local_disk import LocalDisk
from storage.database import Database
from storage.files import FileRepository
from tests import flow_documents as flows
from tests.application import Application, open_application
from tests.owners import add_owner


class WatchedFiles(FileService):
    """Tells of each sweep; the first `failures` of them fail."""

    failures = 0

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database, LocalDisk(folder), FileLimits())
        self.sweeps: asyncio.Queue[int] = asyncio.Queue()

    async def delete_unreferenced_blobs(self, *, older_than_seconds: float) -> int:
        if self.failures:
            self.failures -= 1
            self.sweeps.put_nowait(-1)
            raise OSError("the disk is away")
        deleted = await super().delete_unreferenced_blobs(older_than_seconds=older_than_seconds)
        self.sweeps.put_nowait(deleted)
        return deleted


async def stream(content: bytes) -> AsyncIterator[bytes]:
    yield content


def blobs_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def age(paths: list[Path], *, seconds: float) -> None:
    for path in paths:
        os.utime(path, (time.time() - seconds,) * 2)


async def forget(database: Database, owner_id: str, file_id: str) -> None:
    async with database.transaction() as session:
        await FileRepository(session).delete(file_id, owner_id=owner_id)


async def test_a_sweep_takes_what_nothing_names_and_leaves_what_is_young_or_named(database: Database, tmp_path: Path) -> None:
    ada = await add_owner(database, "ada")
    files = WatchedFiles(database, tmp_path / "files")
    old, kept, young = [await files.save(ada, None, name, stream(name.encode())) for name in ("old", "kept", "young")]
    age(blobs_in(tmp_path / "files"), seconds=1_000)
    for file in (old, young):
        await forget(database, ada.user_id, file.id)
    age([path for path in blobs_in(tmp_path / "files") if path.read_bytes() == b"young"], seconds=10)
    async with UnusedFiles(files, youngest_seconds=600) as unused, asyncio.timeout(30):
        unused.sweep_soon()
        assert await files.sweeps.get() == 1
    assert sorted(path.read_bytes() for path in blobs_in(tmp_path / "files")) == [b"kept", b"young"]
    assert [file.id for file in await files.list_files(ada)] == [kept.id]


async def test_sweeps_go_on_by_themselves_also_after_one_that_failed(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = WatchedFiles(database, tmp_path / "files")
    files.failures = 1
    async with UnusedFiles(files, interval_seconds=0.001, pause_seconds=0), asyncio.timeout(30):
        assert [await files.sweeps.get() for _ in range(3)] == [-1, 0, 0]
    assert "Unused files could not be deleted." in caplog.text


async def test_many_bytes_are_looked_up_in_portions(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projects.files._LOOKED_UP_AT_ONCE", 2)
    ada = await add_owner(database, "ada")
    files = WatchedFiles(database, tmp_path / "files")
    made = [await files.save(ada, None, f"{number}", stream(b"x")) for number in range(5)]
    for file in made[:4]:
        await forget(database, ada.user_id, file.id)
    assert await files.delete_unreferenced_blobs(older_than_seconds=-1) == 4
    assert len(blobs_in(tmp_path / "files")) == 1


async def upload(application: Application) -> str:
    created = await application.http.post("/api/v1/flows/", json={"name": "with a file", "data": flows.echo()})
    flow_id = str(created.json()["id"])
    uploaded = await application.http.post(f"/api/v1/files/upload/{flow_id}", files={"file": ("a.txt", b"bytes")})
    assert uploaded.status_code == 201, uploaded.text
    return flow_id


async def until_empty(folder: Path) -> None:
    async with asyncio.timeout(30):
        while await asyncio.to_thread(blobs_in, folder):
            pass


async def test_the_files_of_a_deleted_flow_leave_the_servers_disk(tmp_path: Path) -> None:
    async with open_application(tmp_path) as application:
        flow_id = await upload(application)
        assert len(blobs_in(tmp_path / "files")) == 1
        age(blobs_in(tmp_path / "files"), seconds=3_600)
        assert (await application.http.delete(f"/api/v1/flows/{flow_id}")).status_code == 200
        await until_empty(tmp_path / "files")


async def test_the_files_of_a_deleted_user_leave_the_servers_disk(tmp_path: Path) -> None:
    async with open_application(tmp_path) as application:
        uploaded = await application.stranger.post("/api/v2/files", files={"file": ("b.txt", b"bytes")})
        assert uploaded.status_code == 201, uploaded.text
        age(blobs_in(tmp_path / "files"), seconds=3_600)
        users = (await application.http.get("/api/v1/users/")).json()["users"]
        (bob,) = [user["id"] for user in users if user["username"] == "bob"]
        assert (await application.http.delete(f"/api/v1/users/{bob}")).is_success
        await until_empty(tmp_path / "files")
