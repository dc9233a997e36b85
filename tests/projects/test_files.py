import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from projects.access.caller import Caller
from projects.errors import NotFound, TooLarge
from projects.file_names import clean_name
from projects.files import FileLimits, FileService
from projects.flows.library import FlowChanged
from projects.lifecycle import ProjectService
from storage.blobs.local_disk import LocalDisk
from storage.database import Database
from tests.owners import add_flow, add_owner


@pytest.fixture
async def ada(database: Database) -> Caller:
    return await add_owner(database, "ada")


@pytest.fixture
async def bob(database: Database) -> Caller:
    return await add_owner(database, "bob")


@pytest.fixture
def jail(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "files"


@pytest.fixture
def service(database: Database, jail: Path) -> FileService:
    return FileService(database, LocalDisk(jail), FileLimits(file_bytes=1_000, user_bytes=2_500))


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def content(service: FileService, caller: Caller, file_id: str) -> bytes:
    return await service.read(caller.user_id, file_id, limit_bytes=10_000)


def kept_in(jail: Path) -> list[Path]:
    return [path for path in jail.rglob("*") if path.is_file()]


async def test_a_stream_is_kept_and_read_back(service: FileService, ada: Caller) -> None:
    file = await service.save(ada, None, "Notes.TXT", stream(b"hello ", b"", b"world"))
    assert (file.name, file.media_type, file.size_bytes, file.flow_id) == ("Notes.TXT", "text/plain", 11, None)
    assert await content(service, ada, file.id) == b"hello world"
    assert await service.list_files(ada) == [file]
    await service.delete(ada, file.id)
    assert await service.list_files(ada) == []
    with pytest.raises(NotFound):
        await content(service, ada, file.id)


async def test_files_of_a_flow_are_listed_with_the_flow(service: FileService, database: Database, ada: Caller, bob: Caller) -> None:
    flow_id = await add_flow(database, ada)
    file = await service.save(ada, flow_id, "a.png", stream(b"x"))
    assert await service.list_files(ada, flow_id=flow_id) == [file]
    assert await service.list_files(ada) == []
    for attempt in (
        service.list_files(bob, flow_id=flow_id),
        service.save(bob, flow_id, "a", stream(b"x")),
        service.list_files(ada, flow_id="\x00"),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_a_foreign_file_is_answered_like_a_missing_one(service: FileService, ada: Caller, bob: Caller, jail: Path) -> None:
    file = await service.save(ada, None, "a.txt", stream(b"x"))
    for file_id in (file.id, str(uuid4()), kept_in(jail)[0].name, "../secret.txt", "\x00"):
        for attempt in (service.get_own(bob, file_id), service.delete(bob, file_id), service.rename(bob, file_id, "b")):
            with pytest.raises(NotFound) as refusal:
                await attempt
            assert (refusal.value.kind, refusal.value.identifier) == ("file", file_id)
    assert await content(service, ada, file.id) == b"x"


async def test_a_file_over_the_limit_leaves_nothing_behind(service: FileService, ada: Caller, jail: Path) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 100
            yield b"x" * 100

    with pytest.raises(TooLarge):
        await service.save(ada, None, "a", endless())
    assert read <= 1_100
    assert kept_in(jail) == []
    assert await service.list_files(ada) == []


async def test_a_user_may_keep_only_so_much(service: FileService, ada: Caller, bob: Caller, jail: Path) -> None:
    for _ in range(2):
        await service.save(ada, None, "a", stream(b"x" * 1_000))
    with pytest.raises(TooLarge):
        await service.save(ada, None, "a", stream(b"x" * 501))
    await service.save(ada, None, "a", stream(b"x" * 500))
    with pytest.raises(TooLarge):
        await service.save(ada, None, "a", stream(b"x"))
    await service.save(bob, None, "a", stream(b"x"))
    assert sum(path.stat().st_size for path in kept_in(jail)) == 2_501


async def test_uploads_at_once_do_not_pass_the_limit_together(service: FileService, ada: Caller, jail: Path) -> None:
    ends = await asyncio.gather(*(service.save(ada, None, "a", stream(b"x" * 900)) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(end, TooLarge) for end in ends) == 3
    assert len(kept_in(jail)) == 2


async def test_a_broken_upload_leaves_nothing_behind(service: FileService, ada: Caller, jail: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await service.save(ada, None, "a", broken())
    assert kept_in(jail) == []


async def test_bytes_of_a_deleted_flow_are_found_and_deleted(service: FileService, database: Database, ada: Caller, jail: Path) -> None:
    projects = ProjectService(database, told.append)
    project = await projects.create(ada, name="P")
    await service.save(ada, await add_flow(database, ada, project_id=project.id), "a", stream(b"x"))
    kept = await service.save(ada, None, "b", stream(b"kept"))
    await projects.delete(ada, project.id)
    assert await service.delete_unreferenced_blobs(older_than_seconds=3_600) == 0
    assert await service.delete_unreferenced_blobs(older_than_seconds=-1) == 1
    assert len(kept_in(jail)) == 1
    assert await content(service, ada, kept.id) == b"kept"


told: list[FlowChanged] = []


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("../x", "x"),
        ("..\\x", "x"),
        ("/etc/passwd", "passwd"),
        ("a/../../x.txt", "x.txt"),
        ("%2e%2e/x", "x"),
        ("a\x00b.txt", "ab.txt"),
        ("a\nb\tc.txt", "abc.txt"),
        ("abc\u202egpj.exe", "abcgpj.exe"),
        ("zero\u200bwidth", "zerowidth"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("con.tar.gz", "_con.tar.gz"),
        ("name. . .", "name"),
        ("..", "file"),
        ("", "file"),
        (" ", "file"),
        ("a/", "file"),
        ("\ud800", "file"),
        ('a<b>:"|?*.txt', "ab.txt"),
        (".env", ".env"),
        ("Übung 1.PDF", "Übung 1.PDF"),
        ("x" * 4_000 + ".pdf", "x" * 251 + ".pdf"),
        ("é" * 200 + ".pdf", "é" * 125 + ".pdf"),
        ("a." + "x" * 4_000, "a." + "x" * 253),
    ],
)
async def test_names_are_made_clean(given: str, clean: str) -> None:
    assert clean_name(given) == clean


async def test_a_hostile_name_changes_nothing_but_the_shown_name(service: FileService, ada: Caller, tmp_path: Path, jail: Path) -> None:
    file = await service.save(ada, None, "../../secret.txt", stream(b"x"))
    assert file.name == "secret.txt"
    assert (tmp_path / "secret.txt").read_text() == "secret"
    assert [path.parent.parent for path in kept_in(jail)] == [jail]
