"""What a text tries in its sandbox, and what comes of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from projects.custom_code.host import CodeFailed
from projects.custom_code.sandbox import protocol
from projects.custom_code.sandbox.command import Bounds
from projects.custom_code.sandbox.pool import SandboxPool
from tests.projects.custom_code.sandbox.conftest import Sandboxes

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def refused(sandboxes: Sandboxes, body: str, *, run: str = "") -> CodeFailed:
    with pytest.raises(CodeFailed) as failed:
        await sandboxes.say(body, run=run)
    return failed.value


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("socket.socket()", "PermissionError"),
        ("socket.create_connection(('127.0.0.1', 7860))", "PermissionError"),
        ("await asyncio.open_connection('127.0.0.1', 7860)", "PermissionError"),
        ("socket.getaddrinfo('example.org', 80)", "gaierror"),
        ("os.fork()", "PermissionError"),
        ("multiprocessing.get_context('fork').Process(target=print).start()", "PermissionError"),
        ("subprocess.run([sys.executable, '-c', 'pass'])", "PermissionError"),
        ("os.execv(sys.executable, [sys.executable])", "PermissionError"),
        ("os.posix_spawn(sys.executable, [sys.executable], {})", "PermissionError"),
        ("return Path('/etc/passwd').read_text()", "FileNotFoundError"),
        ("return os.listdir('/proc')", "FileNotFoundError"),
        ("return os.listdir('/home')", "FileNotFoundError"),
        ("Path('/app/projects/engine/values.py').write_text('')", "OSError"),
        ("Path('/app/projects/custom_code/new.py').write_text('')", "OSError"),
        ("Path('/tmp/new').write_text('')", "FileNotFoundError"),
        ("Path('/new').write_text('')", "OSError"),
        ("Path('/usr/lib/new').write_text('')", "OSError"),
        ("os.chmod('/python/bin', 0o777)", "OSError"),
        ("os.setuid(0)", "PermissionError"),
        ("bytearray(3 << 30)", "MemoryError"),
        ("Path('big').write_bytes(bytes(9 << 20))", "OSError"),
        ("[Path(f'part {n}').write_bytes(bytes(1 << 20)) for n in range(9)]", "OSError"),
        ("return 'x' * (40 << 20)", ""),
    ],
)
async def test_what_a_text_may_not_do_fails_as_its_own_error(sandboxes: Sandboxes, body: str, error: str) -> None:
    failed = await refused(sandboxes, body, run="tries")
    if error == "OSError":  # read-only, full or too large
        assert failed.error in ("OSError", "PermissionError", "FileNotFoundError"), failed.reason
    else:
        assert failed.error == error, failed.reason


# On x86_64: clone, fork, vfork, execve, ptrace, mount, pivot_root, chroot, init_module, add_key, keyctl, unshare, perf_event_open,
# name_to_handle_at, open_by_handle_at, setns, process_vm_readv, memfd_create, bpf, userfaultfd, io_uring_setup, pidfd_open, clone3.
NUMBERS = (56, 57, 58, 59, 101, 155, 161, 165, 175, 248, 250, 272, 298, 303, 304, 308, 310, 319, 321, 323, 425, 434, 435)


async def test_calls_that_lead_out_are_not_there(sandboxes: Sandboxes) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers are those of x86_64")
    said = await sandboxes.say(
        f"""
        libc = ctypes.CDLL(None, use_errno=True)
        return [(number, libc.syscall(number, 0, 0, 0, 0, 0), ctypes.get_errno()) for number in {NUMBERS}]
        """
    )
    assert said == str([(number, -1, 38 if number == 435 else 1) for number in NUMBERS])


async def test_no_file_of_the_servers_is_open_in_a_sandbox(sandboxes: Sandboxes) -> None:
    kinds = """
    import stat
    found = []
    for number in range(256):
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            continue
        found.append("line" if stat.S_ISSOCK(mode) else "null" if stat.S_ISCHR(mode) else "poll" if stat.S_IFMT(mode) == 0 else oct(mode))
    return sorted(set(found))
    """
    assert await sandboxes.say(kinds) == "['line', 'null', 'poll']"


async def test_the_environment_and_the_files_around_hold_nothing_of_the_server(
    sandboxes: Sandboxes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret_key"
    secret.write_text("a-secret-of-the-server")
    monkeypatch.setenv("HEADWATER_PROBE", "a-setting-of-the-server")
    assert (await refused(sandboxes, f"return Path({str(secret)!r}).read_text()")).error == "FileNotFoundError"
    assert (
        await sandboxes.say("return sorted(name for name in os.environ if 'HEADWATER' in name or 'PATH' in name)") == "['LD_LIBRARY_PATH']"
    )
    names = await sandboxes.say("return sorted(os.listdir('/'))")
    assert set(eval_names(names)) <= {"app", "dev", "lib", "lib32", "lib64", "packages", "python", "run-folder", "usr"}
    ours = await sandboxes.say("return sorted(os.listdir('/app/projects'))")
    assert set(eval_names(ours)) == {"__init__.py", "components", "custom_code", "engine", "errors.py", "models"}
    assert await sandboxes.say("return str(Path.cwd()), os.listdir('.')") == "('/run-folder', [])"


def eval_names(shown: str) -> list[str]:
    return [name.strip(" '") for name in shown.strip("[]").split(",")]


@pytest_asyncio.fixture(loop_scope="module")
async def hasty(sandboxes: Sandboxes) -> AsyncIterator[Sandboxes]:
    """With a second for each component."""
    async with SandboxPool(Bounds(seconds=1)) as pool:
        yield Sandboxes(pool)


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "await asyncio.sleep(1000)",
        "re.match('(a+)+$', 'a' * 60 + 'b')",  # holds the interpreter: nothing else of the worker goes on
    ],
)
async def test_what_never_ends_is_stopped(hasty: Sandboxes, body: str) -> None:
    failed = await refused(hasty, body)
    assert failed.reason == "The component took longer than 1 s, which HEADWATER_CUSTOM_CODE_SECONDS allows, and was stopped."


async def test_files_without_end_are_stopped(sandboxes: Sandboxes) -> None:
    assert await sandboxes.say("[Path(f'file {n}').touch() for n in range(2_000)]\nreturn 'made'") == "made"
    failed = await refused(sandboxes, "for n in range(10**9): os.mkdir(f'folder {n}')")
    assert failed.reason == "The run's components made more than 10,000 files, and were stopped."


async def test_a_thread_that_goes_on_ends_with_its_run(sandboxes: Sandboxes) -> None:
    started = "threading.Thread(target=lambda: [time.sleep(0.01) for _ in iter(int, 1)], daemon=True).start()\nreturn os.getpid()"
    await sandboxes.say(started, run="thread")
    before = sandboxes.pool.running_count
    sandboxes.end("thread")
    await sandboxes.pool.wait_until_ended()  # when the last process that holds the line is gone
    assert sandboxes.pool.running_count == before - 1


async def test_threads_are_counted(sandboxes: Sandboxes) -> None:
    failed = await refused(
        sandboxes,
        """
        threading.stack_size(65536)
        for _ in range(1000):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        """,
    )
    assert (failed.error, failed.reason) == ("RuntimeError", "can't start new thread")


async def test_what_one_run_leaves_no_other_run_finds_whoever_it_is_for(sandboxes: Sandboxes) -> None:
    leave = "sys.modules['lfx_left'] = sys\nPath('left').write_text('mine')\nreturn os.listdir('.')"
    look = "return 'lfx_left' in sys.modules, os.listdir('.')"
    assert await sandboxes.say(leave, run="one") == "['left']"
    assert await sandboxes.say(look, run="one") == "(True, ['left'])"  # components of one run share
    assert await sandboxes.say(look, run="two") == "(False, [])"
    assert await sandboxes.say(look, run="one", owner="bob") == "(False, [])"
    sandboxes.end("one")
    assert await sandboxes.say(look, run="one") == "(False, [])"
    for run, owner in (("one", "ada"), ("two", "ada"), ("one", "bob")):
        sandboxes.end(run, owner)


async def test_an_object_crosses_as_a_handle_and_never_itself(sandboxes: Sandboxes) -> None:
    assert "kind='object'" in await sandboxes.say("return object()")


async def test_the_server_and_other_sandboxes_cannot_be_killed(sandboxes: Sandboxes) -> None:
    await sandboxes.say("return 'here'", run="other")
    for number in (1, os.getppid()):
        await sandboxes.say(f"try:\n    os.kill({number}, signal.SIGKILL)\nexcept OSError:\n    pass\nreturn 'lives'")
    assert (await refused(sandboxes, f"os.kill({os.getpid()}, signal.SIGKILL)")).error == "ProcessLookupError"
    failed = await refused(sandboxes, "os.kill(os.getpid(), signal.SIGKILL)\ntime.sleep(5)")
    assert "SIGKILL" in failed.reason
    assert await sandboxes.say("return 'still'", run="other") == "still"
    sandboxes.end("other")


async def test_what_is_printed_goes_nowhere_and_costs_nothing(sandboxes: Sandboxes, capfd: pytest.CaptureFixture[str]) -> None:
    said = "for stream in (sys.stdout, sys.stderr):\n    for _ in range(50):\n        print('loud' * 250_000, file=stream)\nreturn 'done'"
    assert await sandboxes.say(said) == "done"
    assert capfd.readouterr() == ("", "")


FORGERY = """
for number in range(3, 64):
    try:
        os.write(number, {frame!r})
    except OSError:
        pass
await asyncio.sleep(0.5)
return "never told"
"""


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xff\xff\xff" * 4,
        b"\x00\x00\x00\x04nope",
        b"\x00\x00\x00\x02[]",
        b'\x00\x00\x00\x10{"answer":"one"}',
        b'\x00\x00\x00\x35{"id":1,"do":"__class__","arguments":[],"named":{}}    ',
        b"\x00\x00\x40\x00" + b"[" * 0x4000,
        b'\x00\x00\x02\x16{"answer":1,"value":' + b"[" * 257 + b"]" * 257 + b"}",
    ],
)
async def test_a_text_that_speaks_in_its_workers_name_is_stopped(sandboxes: Sandboxes, frame: bytes) -> None:
    failed = await refused(sandboxes, FORGERY.format(frame=frame))
    assert failed.reason.startswith("The component's sandbox answered what is no answer (")


SPEAK = """
import json, struct
line = socket.socket(fileno=os.dup(3))
line.setblocking(True)
def say(message, times=1):
    content = message if isinstance(message, bytes) else json.dumps(message).encode()
    line.sendall((struct.pack(">I", len(content)) + content) * times)
def call(name, *arguments, request=1):
    return {"id": 1, "do": name, "for": request, "arguments": arguments, "named": {}}
"""


class CountingHost:
    """Counts the calls, and answers each with four megabytes."""

    calls = 0

    async def read_file(self, path: str) -> bytes:
        self.calls += 1
        return bytes(4 << 20)


async def said_by_hand(sandboxes: Sandboxes, body: str, host: object = None) -> str:
    """Why a text was stopped that speaks in its worker's name. The numbers of a worker's files and requests begin anew with each run."""
    with pytest.raises(CodeFailed) as failed:
        await sandboxes.say(SPEAK + body, host=host)
    return failed.value.reason


async def test_answers_that_nobody_reads_do_not_pile_up_in_the_server(hasty: Sandboxes) -> None:
    host = CountingHost()
    reason = await said_by_hand(hasty, "say(call('read_file', 'a'), 30)\nre.match('(a+)+$', 'a' * 60 + 'b')", host)
    assert "took longer" in reason
    assert host.calls <= 6  # of the 30 that were asked for


@pytest.mark.parametrize("message", ["call('read_file', 'a', request=99)", '{"answer": 99, "value": 1}'])
async def test_who_speaks_without_end_is_stopped(sandboxes: Sandboxes, message: str) -> None:
    assert "calls without end" in await said_by_hand(sandboxes, f"say({message}, 20_000)\ntime.sleep(60)")


async def test_a_frame_of_very_many_values_is_not_read(sandboxes: Sandboxes) -> None:
    many = "say(b'{\"answer\": 1, \"value\": [' + b'0,' * 1_100_000 + b'0]}')\ntime.sleep(60)"
    assert "too many values" in await said_by_hand(sandboxes, many)
    with pytest.raises(CodeFailed, match="more than 1,000,000 values"):  # as a worker says it of what a component gives
        protocol.frame({"value": [0] * 1_100_000})
    assert len(await sandboxes.say("return ',' * 1_100_000")) == 1_100_000  # one value


async def test_what_a_component_gives_is_never_deeper_than_records_can_be(sandboxes: Sandboxes) -> None:
    nest = "made = 1\nfor _ in range({depth}):\n    made = [made]\nreturn made"
    assert await sandboxes.say(nest.format(depth=100))
    assert "nested too deeply" in (await refused(sandboxes, nest.format(depth=300))).reason


class OneVariable:
    async def get_variable(self, name: str, *, field: str) -> str:
        return f"value of {name.upper()}"


async def test_a_call_with_arguments_of_the_wrong_kind_is_refused_and_the_run_goes_on(sandboxes: Sandboxes) -> None:
    ask = """
    from projects.custom_code.surface import calls
    host = calls.current().host
    async def asked(*given, **named):
        future = asyncio.run_coroutine_threadsafe(host.get_variable(*given, **named), calls.current().loop)
        try:
            return await asyncio.wrap_future(future)
        except Exception as error:
            return str(error)
    return [await asked("a", field="key"), await asked({}, field="key"), await asked("a")]
    """
    said = await sandboxes.say(ask, host=OneVariable())
    assert said == str(["value of A", "The server could not do this: AttributeError.", "The server could not do this: TypeError."])
