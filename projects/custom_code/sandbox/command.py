"""The command line that makes a sandbox: which namespaces, and which parts of this machine are in it, all for reading.

Inside are the interpreter with its standard library, the shared libraries of the system, the installed packages, the modules of ours that
run texts, four devices and one folder in memory that is gone with the process. No other program, no settings, no data folder.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from projects.custom_code.sandbox import system_calls

PROGRAM = "bwrap"
FOLDER = "/run-folder"  # the run's own, in memory
# What a worker imports of ours. Code, not data, but what is not needed is not there.
_OURS = ("__init__.py", "errors.py", "components", "custom_code", "engine", "models")
_SYSTEM = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_FOLDERS = ("/app", "/app/projects", "/dev", "/packages", "/python", "/python/bin", "/python/lib", "/usr")
_NOBODY = "65534"
_FIRST_UID, _UIDS = 1_600_000_000, 400_000_000  # beyond accounts and what containers are usually given


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one worker, which serves one run. `seconds` is for one component, and what it waits for of the server does not count."""

    seconds: float = 60
    memory_bytes: int = 1024 * 1024 * 1024
    folder_bytes: int = 64 * 1024 * 1024

    @property
    def cpu_seconds(self) -> int:
        return max(1, round(self.seconds * 10))


class SandboxUnavailable(Exception):
    """No sandbox can be made here; the text says why and what to do."""


def program() -> str:
    """Where bubblewrap is. Raises SandboxUnavailable."""
    if sys.platform != "linux":
        raise SandboxUnavailable("Code of flows can be sandboxed on Linux only.")
    if not system_calls.is_known(platform.machine()):
        raise SandboxUnavailable(f"Code of flows can be sandboxed on x86_64 and aarch64 only, not on {platform.machine()}.")
    found = shutil.which(PROGRAM)
    if found is None:
        raise SandboxUnavailable("The code of flows needs a sandbox, and bubblewrap (the program bwrap) is not installed.")
    return found


def command_line(bounds: Bounds) -> list[str]:
    """Raises SandboxUnavailable."""
    line = [program(), "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    uid = None
    if os.geteuid() == 0:
        # An id of its own in this machine's count: limits on processes do not hold for root, under whatever name.
        uid = _FIRST_UID + secrets.randbelow(_UIDS)
        line += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        line += ["--unshare-user", "--uid", _NOBODY, "--gid", _NOBODY, "--cap-drop", "ALL"]
    line += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--clearenv"]
    for name, value in _environment().items():
        line += ["--setenv", name, value]
    for folder in _FOLDERS:
        line += ["--perms", "0755", "--dir", folder]
    packages = _packages()
    line += [*_libraries(), *_interpreter(), *_packages_bound(packages), *_modules()]
    for device in _DEVICES:
        line += ["--dev-bind", device, device]
    line += ["--perms", "1777", "--size", str(bounds.folder_bytes), "--tmpfs", FOLDER, "--remount-ro", "/", "--chdir", FOLDER]
    given = {
        "uid": uid,
        "folder": FOLDER,
        "packages": [f"/packages/{number}" for number in range(len(packages))],
        "memory_bytes": bounds.memory_bytes,
        "cpu_seconds": bounds.cpu_seconds,
        "file_bytes": bounds.folder_bytes,
    }
    worker = "/app/projects/custom_code/sandbox/worker.py"
    return [*line, "--", f"/python/bin/{_version()}", "-I", "-S", "-B", worker, json.dumps(given)]


def _version() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _environment() -> dict[str, str]:
    return {
        "HOME": FOLDER,
        "TMPDIR": FOLDER,
        "LANG": "C.UTF-8",
        "LD_LIBRARY_PATH": "/python/lib",
        "MALLOC_ARENA_MAX": "2",  # each reserves 64 MB of what the process may have
        "OMP_NUM_THREADS": "1",  # memory of a thread of these counts even when it sleeps
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def _libraries() -> list[str]:
    line: list[str] = []
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            line += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            line += ["--ro-bind", name, name]
    return line


def _interpreter() -> list[str]:
    """At an address of its own, so that nothing is told of where it lies; a virtual environment is left out."""
    executable = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    standard = Path(sysconfig.get_path("stdlib"))
    line = ["--ro-bind", str(executable), f"/python/bin/{_version()}", "--ro-bind", str(standard), f"/python/lib/{_version()}"]
    shared = sysconfig.get_config_var("INSTSONAME")
    if sysconfig.get_config_var("Py_ENABLE_SHARED") and shared:
        # An interpreter that was moved still names the folder that it was built for.
        for folder in (Path(sys.base_prefix) / "lib", Path(sysconfig.get_config_var("LIBDIR") or "/")):
            if os.access(folder / shared, os.R_OK):
                line += ["--ro-bind", str(folder / shared), f"/python/lib/{shared}"]
                break
    return line


def _packages() -> list[Path]:
    found = dict.fromkeys(Path(path).resolve() for path in sys.path if Path(path).name in ("site-packages", "dist-packages"))
    return [path for path in found if path.is_dir()]


def _packages_bound(packages: list[Path]) -> list[str]:
    return [part for number, path in enumerate(packages) for part in ("--ro-bind", str(path), f"/packages/{number}")]


def _modules() -> list[str]:
    ours = Path(__file__).resolve().parents[2]
    return [part for name in _OURS for part in ("--ro-bind", str(ours / name), f"/app/projects/{name}")]
