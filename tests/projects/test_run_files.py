"""Files as runs see them: only uploads, looked up; never the server's disk."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from projects.access.caller import Caller
from projects.errors import InvalidInput, NotFound, TooLarge
from projects.files import FileLimits, FileService
from projects.run_files import FilesOfRun, RunFiles
from projects.storage_paths import find_storage_path
from storage.blobs.local_disk import LocalDisk
from storage.database import Database
from storage.ids import new_id
from tests.owners import add_flow, add_owner


async def stream(content: bytes) -> AsyncIterator[bytes]:
    yield content


@pytest.fixture
async def ada(database: Database) -> Caller:
    return await add_owner(database, "ada")


@pytest.fixture
async def bob(database: Database) -> Caller:
    return await add_owner(database, "bob")


@pytest.fixture
def service(database: Database, tmp_path: Path) -> FileService:
    (tmp_path / "secret.txt").write_text("secret")
    return FileService(database, LocalDisk(tmp_path / "files"), FileLimits(file_bytes=10_000, user_bytes=20_000))


def run_of(service: FileService, caller: Caller, flow_id: str) -> FilesOfRun:
    return RunFiles(service, saved_bytes=5_000).for_run(owner_id=caller.user_id, flow_id=flow_id, run_id=new_id())


async def test_uploads_are_read_by_both_kinds_of_paths_and_by_id(database: Database, service: FileService, ada: Caller) -> None:
    flow_id = await add_flow(database, ada)
    of_flow = await service.save(ada, flow_id, "a b.txt", stream(b"of the flow"))
    own = await service.save(ada, None, "notes.txt", stream(b"my own"))
    run = run_of(service, ada, flow_id)
    assert of_flow.path == f"{flow_id}/a b.txt" and own.path == f"{ada.user_id}/notes.txt"
    assert await run.read(of_flow.path) == b"of the flow"
    assert await run.read(own.path) == await run.read(own.id) == b"my own"
    assert await run.list_paths() == [of_flow.path, own.path]


async def test_a_second_upload_of_a_name_gets_a_number_and_its_own_path(service: FileService, ada: Caller) -> None:
    first = await service.save(ada, None, "doc.tar.gz", stream(b"1"))
    second = await service.save(ada, None, "doc.tar.gz", stream(b"2"))
    third = await service.save(ada, None, "doc.tar.gz", stream(b"3"))
    assert [file.name for file in (first, second, third)] == ["doc.tar.gz", "doc.tar (1).gz", "doc.tar (2).gz"]
    assert await run_of(service, ada, new_id()).read(second.path) == b"2"


async def test_another_users_file_answers_as_a_missing_one(database: Database, service: FileService, ada: Caller, bob: Caller) -> None:
    flow_id = await add_flow(database, ada)
    theirs = [await service.save(ada, flow_id, "a.txt", stream(b"secret")), await service.save(ada, None, "b.txt", stream(b"secret"))]
    run = run_of(service, bob, flow_id)
    for path in [file.path for file in theirs] + [file.id for file in theirs] + [f"{bob.user_id}/a.txt", f"{flow_id}/b.txt"]:
        with pytest.raises(InvalidInput, match="There is no uploaded file"):
            await run.read(path)
    assert await run.list_paths() == []


SERVER_PATHS = [
    "/etc/hostname",
    "/etc/passwd",
    "file:///etc/hostname",
    "../secret.txt",
    "../../secret.txt",
    "secret.txt",
    "C:\\secret.txt",
    "~/secret.txt",
    "{user}/../secret.txt",
    "{user}/..",
    "{user}/.",
    "{user}/",
    "{user}//etc/hostname",
    "{user}/a/b.txt",
    "{user}\\a.txt",
    "{user}/a\x00.txt",
    "{user}/a\n.txt",
    "{user}",
    "",
    "x" * 5_000,
    "%2e%2e/secret.txt",
]


@pytest.mark.parametrize("path", SERVER_PATHS)
async def test_what_is_no_upload_is_refused(service: FileService, ada: Caller, path: str) -> None:
    run = run_of(service, ada, new_id())
    with pytest.raises(InvalidInput, match="uploaded file"):
        await run.read(path.replace("{user}", ada.user_id))


async def test_a_link_put_among_the_blobs_is_not_followed(database: Database, service: FileService, ada: Caller, tmp_path: Path) -> None:
    file = await service.save(ada, None, "a.txt", stream(b"mine"))
    (blob,) = [path for path in (tmp_path / "files").glob("*/*") if path.is_file()]
    blob.unlink()
    blob.symlink_to(tmp_path / "secret.txt")
    with pytest.raises(InvalidInput, match="no uploaded file"):
        await run_of(service, ada, new_id()).read(file.path)


async def test_what_a_flow_saves_is_its_file_and_replaces_the_one_before(database: Database, service: FileService, ada: Caller) -> None:
    flow_id = await add_flow(database, ada)
    run = run_of(service, ada, flow_id)
    path = await run.save("report.txt", b"first")
    assert path == f"{flow_id}/report.txt"
    assert await run.save("report.txt", b"second") == path
    assert await run.read(path) == b"second" and await run.list_paths() == [path]
    assert await run.save("../../up.txt", b"x") == f"{flow_id}/up.txt"


async def test_files_are_bounded_both_ways(database: Database, service: FileService, ada: Caller) -> None:
    flow_id = await add_flow(database, ada)
    run = run_of(service, ada, flow_id)
    file = await service.save(ada, None, "big.txt", stream(b"x" * 9_000))
    with pytest.raises(TooLarge):
        await run.read(file.path, limit_bytes=8_999)
    with pytest.raises(TooLarge):
        await run.save("big.txt", b"x" * 5_001)
    with pytest.raises(NotFound):
        await run_of(service, ada, new_id()).save("a.txt", b"x")


def test_a_storage_path_never_leads_out_of_its_folder() -> None:
    assert find_storage_path(f"{new_id()}/..") is None
