"""The program inside a sandbox: gives up what it does not need, then lets `service.py` run texts for one run until it is killed.

Started as a file by `process.py`, with its bounds as JSON in the only argument and the server at the other end of file 0.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import sys

_OPEN_FILES = 256
_PROCESSES = 256  # threads, that is: more than one process the filter does not allow
_NICENESS = 5


def main() -> None:
    bounds = json.loads(sys.argv[1])
    sys.path[:] = [*[path for path in sys.path if path.startswith("/python")], "/app", *bounds["packages"]]
    line = socket.socket(fileno=os.dup(0))
    silent = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(silent, number)
    become_nobody(bounds["uid"])
    limit(bounds)
    # What runs texts is read while this process may still do everything.
    from projects.custom_code.sandbox import service, system_calls

    os.chdir(bounds["folder"])
    system_calls.confine()
    os.dup2(silent, 2)  # until here the server reads why there is no sandbox
    asyncio.run(service.serve(line))


def become_nobody(uid: int | None) -> None:
    """An id that no account has. None where the namespace is a user's own already and this is nobody in it."""
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def limit(bounds: dict[str, int]) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, bounds["memory_bytes"]),
        (resource.RLIMIT_CPU, bounds["cpu_seconds"]),
        (resource.RLIMIT_FSIZE, bounds["file_bytes"]),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, _PROCESSES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    os.nice(_NICENESS)


if __name__ == "__main__":
    main()
