"""Platforms and homes from what is passed in."""

from pathlib import Path, PurePosixPath

import pytest

from client_configs.locations import Platform, find_platform, find_windows_home, windows_path_in_wsl


@pytest.mark.parametrize(
    ("system", "release", "environment", "expected"),
    [
        ("Linux", "6.8.0-generic", {}, Platform.LINUX),
        ("Darwin", "25.1.0", {}, Platform.MACOS),
        ("Windows", "11", {}, Platform.WINDOWS),
        ("Linux", "5.15.153.1-microsoft-standard-WSL2", {"WSL_DISTRO_NAME": "Ubuntu"}, Platform.WSL),
        ("Linux", "4.4.0-19041-Microsoft", {"WSL_INTEROP": "/run/WSL/1_interop"}, Platform.WSL),
        ("Linux", "5.15.153.1-microsoft-standard-WSL2", {}, Platform.LINUX),
    ],
)
def test_the_platform_is_told_from_what_python_knows(system: str, release: str, environment: dict[str, str], expected: Platform) -> None:
    assert find_platform(system, kernel_release=release, environment=environment) is expected


def test_the_windows_home_is_the_profile_that_windows_passed_on(tmp_path: Path) -> None:
    assert find_windows_home(tmp_path, environment={"USERPROFILE": r"C:\Users\Ann Lee"}) == PurePosixPath("/mnt/c/Users/Ann Lee")


def test_without_a_profile_the_only_persons_folder_is_taken_and_none_in_doubt(tmp_path: Path) -> None:
    for name in ("Public", "Default", "ann"):
        (tmp_path / name / "AppData" / "Roaming").mkdir(parents=True)
    assert find_windows_home(tmp_path, environment={}) == PurePosixPath(tmp_path / "ann")
    (tmp_path / "bob" / "AppData" / "Roaming").mkdir(parents=True)
    assert find_windows_home(tmp_path, environment={}) is None
    assert find_windows_home(tmp_path / "missing", environment={}) is None


def test_paths_without_a_drive_are_not_paths_of_wsl() -> None:
    assert windows_path_in_wsl(r"\\server\share") is None
    assert windows_path_in_wsl("C:relative") is None
    assert windows_path_in_wsl("/mnt/d/x") == PurePosixPath("/mnt/d/x")
