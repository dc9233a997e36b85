"""The filter as the kernel reads it, for both kinds of processors: run here by a reader of its few instructions."""

from __future__ import annotations

import struct

import pytest

from projects.custom_code.sandbox import system_calls

ALLOWED, NOT_PERMITTED, NOT_THERE, KILLED = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
THREAD = 0x3D0F00  # what the C library gives clone for a thread

CASES = {
    "x86_64": {"read": 0, "open": 2, "futex": 202, "socket": 41, "connect": 42, "execve": 59, "fork": 57, "ptrace": 101, "clone3": 435}
    | {"clone": 56, "io_uring_setup": 425, "unshare": 272, "mount": 165},
    "aarch64": {"read": 63, "futex": 98, "socket": 198, "connect": 203, "execve": 221, "ptrace": 117, "clone3": 435}
    | {"clone": 220, "io_uring_setup": 425, "unshare": 97, "mount": 40},
}


def decided(machine: str, number: int, argument: int = 0, architecture: int | None = None, second: int = 0) -> int:
    data = struct.pack("=IIQQQ", number, ARCHITECTURES[machine] if architecture is None else architecture, 0, argument, second)
    instructions = list(struct.iter_unpack("=HBBI", system_calls.filter_program(machine)))
    loaded, at = 0, 0
    while True:
        kind, when_true, when_false, given = instructions[at]
        at += 1
        if kind == 0x06:
            return int(given)
        if kind == 0x20:
            loaded = struct.unpack_from("=I", data, given)[0]
        else:
            holds = {0x15: loaded == given, 0x35: loaded >= given, 0x25: loaded > given, 0x45: bool(loaded & given)}[kind]
            at += when_true if holds else when_false


@pytest.mark.parametrize("machine", CASES)
def test_what_is_listed_is_allowed_and_everything_else_is_refused(machine: str) -> None:
    numbers = CASES[machine]
    for name, number in numbers.items():
        if name in ("read", "open", "futex"):
            assert decided(machine, number) == ALLOWED, name
        elif name not in ("clone", "clone3"):
            assert decided(machine, number) == NOT_PERMITTED, name
    listed = set(system_calls.allowed_numbers(machine))
    for number in range(600):
        if number not in (numbers["clone"], numbers["clone3"]):
            assert decided(machine, number) == (ALLOWED if number in listed else NOT_PERMITTED), number


@pytest.mark.parametrize("machine", CASES)
def test_threads_may_be_made_and_processes_not(machine: str) -> None:
    clone = CASES[machine]["clone"]
    assert decided(machine, clone, THREAD) == ALLOWED
    assert decided(machine, clone, 17) == NOT_PERMITTED  # SIGCHLD alone: a fork
    assert decided(machine, CASES[machine]["clone3"]) == NOT_THERE


@pytest.mark.parametrize(("machine", "fcntl"), [("x86_64", 72), ("aarch64", 25)])
def test_files_may_be_duplicated_and_locked_but_not_leased(machine: str, fcntl: int) -> None:
    duplicate, get_flags, lock, duplicate_closed, pipe_size = 0, 3, 6, 1030, 1032
    for command in (duplicate, get_flags, lock, duplicate_closed, pipe_size):
        assert decided(machine, fcntl, 3, second=command) == ALLOWED
    for command in (1024, 1025, 1026):  # F_SETLEASE, F_GETLEASE, F_NOTIFY
        assert decided(machine, fcntl, 3, second=command) == NOT_PERMITTED


def test_calls_of_another_kind_of_processor_get_nowhere() -> None:
    assert decided("x86_64", 11, architecture=0x40000003) == KILLED  # execve of 32-bit programs
    assert decided("x86_64", 0x40000000) == NOT_PERMITTED  # read of the x32 form
    assert not system_calls.is_known("riscv64")
