"""Where programs keep their files on this machine. Platform, home and environment are passed in; nothing here reads the process."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

WINDOWS_SYSTEM_FOLDERS = frozenset({"All Users", "Default", "Default User", "Public", "WDAGUtilityAccount", "desktop.ini"})


class Platform(StrEnum):
    LINUX = "linux"
    MACOS = "macos"
    WINDOWS = "windows"
    WSL = "wsl"


class Side(StrEnum):
    """Where a client runs on WSL: command line programs in Linux, desktop programs in Windows."""

    HERE = "here"
    DESKTOP = "desktop"


def find_platform(system: str, *, kernel_release: str, environment: Mapping[str, str]) -> Platform:
    """From `platform.system()` and `platform.release()`. Containers within WSL share its kernel's name, but are plain Linux."""
    if system == "Windows":
        return Platform.WINDOWS
    if system == "Darwin":
        return Platform.MACOS
    if environment.get("WSL_DISTRO_NAME") or ("microsoft" in kernel_release.lower() and "WSL_INTEROP" in environment):
        return Platform.WSL
    return Platform.LINUX


def find_windows_home(users_folder: Path, *, environment: Mapping[str, str]) -> PurePosixPath | None:
    """The Windows home as WSL sees it: USERPROFILE when Windows passed it on, else the one folder that is a person's. None in doubt."""
    if profile := environment.get("USERPROFILE"):
        return windows_path_in_wsl(profile)
    try:
        people = [folder for folder in users_folder.iterdir() if folder.is_dir() and folder.name not in WINDOWS_SYSTEM_FOLDERS]
    except OSError:
        return None
    people = [folder for folder in people if (folder / "AppData" / "Roaming").is_dir()]
    return PurePosixPath(people[0]) if len(people) == 1 else None


def windows_path_in_wsl(path: str) -> PurePosixPath | None:
    """`C:\\Users\\ann` as `/mnt/c/Users/ann`; a path that is already one of Linux stays."""
    if path.startswith("/"):
        return PurePosixPath(path)
    windows = PureWindowsPath(path)
    if not re.fullmatch(r"[A-Za-z]:", windows.drive) or not windows.root:
        return None
    return PurePosixPath("/mnt", windows.drive[0].lower(), *windows.parts[1:])


@dataclass(frozen=True, slots=True)
class Machine:
    """The computer a client is configured on."""

    platform: Platform
    home: PurePath
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    windows_home: PurePath | None = None
    """On WSL, the Windows user's home under /mnt; None when it was not found."""

    def folder_named_by(self, variable: str) -> PurePath | None:
        """The folder an environment variable names, if it is absolute (XDG asks to ignore others)."""
        value = self.environment.get(variable)
        if not value:
            return None
        folder = type(self.home)(value)
        return folder if folder.is_absolute() else None

    def home_of(self, side: Side) -> PurePath | None:
        return self.windows_home if self.platform is Platform.WSL and side is Side.DESKTOP else self.home

    def is_windows(self, side: Side) -> bool:
        return self.platform is Platform.WINDOWS or (self.platform is Platform.WSL and side is Side.DESKTOP)

    def configuration_folder(self, side: Side) -> PurePath | None:
        """`~/.config` and its like: APPDATA on Windows, XDG_CONFIG_HOME or ~/.config elsewhere (macOS included)."""
        if self.is_windows(side):
            return self._roaming_folder(side)
        return self.folder_named_by("XDG_CONFIG_HOME") or self.home / ".config"

    def application_folder(self, side: Side) -> PurePath | None:
        """Where desktop programs keep their data: as above, but Application Support on macOS."""
        if self.platform is Platform.MACOS:
            return self.home / "Library" / "Application Support"
        return self.configuration_folder(side)

    def vs_code_folder(self) -> PurePath | None:
        """VS Code's folder of user settings; its extensions keep theirs in `globalStorage` below."""
        base = self.application_folder(Side.DESKTOP)
        return None if base is None else base / "Code" / "User"

    def _roaming_folder(self, side: Side) -> PurePath | None:
        if self.platform is Platform.WINDOWS:
            return self.folder_named_by("APPDATA") or self.home / "AppData" / "Roaming"
        home = self.home_of(side)
        return None if home is None else home / "AppData" / "Roaming"
