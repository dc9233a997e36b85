"""Which processes on this data folder are alive: each holds a lock that the system lets go of when it dies, however it dies.

A process id alone would not do: numbers are used again, and a container always begins at 1.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is known there, and runs left behind are settled when their lease is over
    fcntl = None  # type: ignore[assignment]

FOLDER = "processes"


@contextmanager
def announced(data_dir: Path, process_id: str) -> Iterator[None]:
    """Be known as alive for the length of the block."""
    path = _lock_path(data_dir, process_id)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def dead_among(data_dir: Path, process_ids: Iterable[str]) -> list[str]:
    """Those that hold no lock any more; their lock files are taken away."""
    if fcntl is None:
        return []
    return [process_id for process_id in process_ids if not _is_alive(_lock_path(data_dir, process_id))]


def is_anyone_alive(data_dir: Path) -> bool:
    """Whether a process is announced on this folder."""
    if fcntl is None or not (data_dir / FOLDER).is_dir():
        return False
    return any(_is_alive(path) for path in (data_dir / FOLDER).glob("*.lock"))


def forget_the_dead(data_dir: Path) -> None:
    """Take away the lock files of processes that died without doing so."""
    if fcntl is not None and (data_dir / FOLDER).is_dir():
        for path in (data_dir / FOLDER).glob("*.lock"):
            _is_alive(path)


def _is_alive(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)


def _lock_path(data_dir: Path, process_id: str) -> Path:
    return data_dir / FOLDER / f"{process_id}.lock"
