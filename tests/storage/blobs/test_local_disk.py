import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.blobs import BlobNotFound, BlobTooLarge, new_blob_key
from storage.blobs.local_disk import LocalDisk


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read(disk: LocalDisk, key: str) -> bytes:
    return b"".join([piece async for piece in disk.read(key)])


def everything_in(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


async def test_bytes_come_back_and_go_away(tmp_path: Path) -> None:
    disk, key, data = LocalDisk(tmp_path / "blobs"), new_blob_key(), b"x" * 1_000_000
    assert await disk.write(key, stream(data, b"end"), limit_bytes=2_000_000) == 1_000_003
    assert await read(disk, key) == data + b"end"
    assert [path.stat().st_mode & 0o077 for path in everything_in(tmp_path / "blobs")] == [0, 0]
    assert [found async for found in disk.list_keys(older_than_seconds=-1)] == [key]
    await disk.delete(key)
    await disk.delete(key)
    with pytest.raises(BlobNotFound):
        await read(disk, key)


@pytest.mark.parametrize("key", ["", ".", "..", "../x", "/etc/passwd", "a" * 31, "A" * 32, "a" * 31 + "/", "a" * 32 + "\n", "\x00" * 32])
async def test_only_generated_keys_name_a_blob(tmp_path: Path, key: str) -> None:
    disk = LocalDisk(tmp_path / "blobs")
    with pytest.raises(BlobNotFound):
        await disk.write(key, stream(b"x"), limit_bytes=10)
    with pytest.raises(BlobNotFound):
        await read(disk, key)
    with pytest.raises(BlobNotFound):
        await disk.delete(key)
    assert everything_in(tmp_path) == []


async def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    disk, key = LocalDisk(tmp_path / "blobs"), new_blob_key()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "blobs" / key[:2]).mkdir(parents=True)
    (tmp_path / "blobs" / key[:2] / key).symlink_to(tmp_path / "secret")
    with pytest.raises(BlobNotFound):
        await read(disk, key)


async def test_too_many_bytes_leave_nothing(tmp_path: Path) -> None:
    disk, key = LocalDisk(tmp_path), new_blob_key()
    with pytest.raises(BlobTooLarge):
        await disk.write(key, stream(b"12345", b"67890", b"!"), limit_bytes=10)
    assert [path for path in everything_in(tmp_path) if path.is_file()] == []


async def test_a_blob_is_invisible_until_it_is_whole_and_a_cancelled_one_never_appears(tmp_path: Path) -> None:
    disk, key, begun = LocalDisk(tmp_path), new_blob_key(), asyncio.Event()

    async def never_ending() -> AsyncIterator[bytes]:
        yield b"some"
        begun.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(disk.write(key, never_ending(), limit_bytes=100))
    await asyncio.wait_for(begun.wait(), 10)
    with pytest.raises(BlobNotFound):
        await read(disk, key)
    assert [found async for found in disk.list_keys(older_than_seconds=-1)] == []
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert [path for path in everything_in(tmp_path) if path.is_file()] == []


async def test_part_of_a_blob_is_read_from_where_it_begins(tmp_path: Path) -> None:
    disk, key, data = LocalDisk(tmp_path), new_blob_key(), bytes(range(256)) * 4_000
    await disk.write(key, stream(data), limit_bytes=len(data))
    for start, length in ((0, 10), (5, None), (300_000, 600_000), (len(data) - 1, 5), (len(data), 5), (7, 0)):
        part = b"".join([piece async for piece in disk.read(key, start=start, length=length)])
        assert part == data[start:][:length]
