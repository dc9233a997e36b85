"""The machine that this process runs on, as `client_configs` wants to be told of it."""

import os
import platform
import shutil
import sys
from pathlib import Path

from client_configs.locations import Machine, Platform, find_platform, find_windows_home

CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
CONTAINER_VARIABLE = "KUBERNETES_SERVICE_HOST"
WINDOWS_USERS = Path("/mnt/c/Users")


def this_machine() -> Machine:
    environment = dict(os.environ)
    kind = find_platform(platform.system(), kernel_release=platform.release(), environment=environment)
    windows_home = find_windows_home(WINDOWS_USERS, environment=environment) if kind is Platform.WSL else None
    return Machine(kind, Path.home(), environment, windows_home)


def own_executable() -> Path | None:
    """The `headwater` command of this installation; None when it was started in a way that leaves none to name."""
    name = "headwater.exe" if os.name == "nt" else "headwater"
    beside = Path(sys.executable).parent / name
    if beside.is_file():
        return beside
    found = shutil.which("headwater")
    return Path(found).absolute() if found else None


def is_in_container() -> bool:
    return any(Path(mark).exists() for mark in CONTAINER_MARKS) or CONTAINER_VARIABLE in os.environ
