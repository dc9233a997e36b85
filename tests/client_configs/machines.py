"""Machines and connections for the tests; nothing of the real machine comes in."""

from pathlib import PurePath, PurePosixPath, PureWindowsPath

from client_configs.connection import Connection
from client_configs.locations import Machine, Platform

KEY = "sk-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
PATH = "/api/v1/mcp/project/0190d3b0-6a4e-7cc1-b5a0-2f2f3f0c9d11"
HTTP_URL = f"http://127.0.0.1:7860{PATH}/streamable"
SSE_URL = f"http://127.0.0.1:7860{PATH}/sse"
EXECUTABLE = PurePosixPath("/opt/headwater/bin/headwater")

LINUX = Machine(Platform.LINUX, PurePosixPath("/home/ann"))
MACOS = Machine(Platform.MACOS, PurePosixPath("/Users/ann"))
WINDOWS = Machine(Platform.WINDOWS, PureWindowsPath(r"C:\Users\ann"), {"APPDATA": r"D:\Roaming"})
WSL = Machine(Platform.WSL, PurePosixPath("/home/ann"), {"WSL_DISTRO_NAME": "Debian"}, PurePosixPath("/mnt/c/Users/Ann"))


def connection(
    *, key: str | None = KEY, executable: PurePath | None = EXECUTABLE, needs_key: bool = True, http_url: str = HTTP_URL
) -> Connection:
    return Connection("hw-orders", http_url, SSE_URL, executable=executable, key=key, needs_key=needs_key)


def machine_at(home: PurePath) -> Machine:
    return Machine(Platform.LINUX, home)
