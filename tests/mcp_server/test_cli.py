"""The command, as people run it: in a process of its own, on a data folder of its own."""

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests import flow_documents
from tests.commands import Done, headwater
from tests.running_server import RunningServer, free_port, running_server

SECONDS = 60


def refusal(done: Done) -> str:
    """The one line of a refused start."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.fixture(scope="module")
def used_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder after its first start, for commands that only need one."""
    folder = tmp_path_factory.mktemp("used")
    assert headwater("migrate", "--data-dir", folder).returncode == 0
    assert headwater("projects", "--data-dir", folder).returncode == 0
    return folder


def printed(server: RunningServer) -> str:
    return "".join(server.printed)


def test_the_first_start_prints_secrets_once_and_sigterm_is_an_ordinary_end(tmp_path: Path) -> None:
    with running_server(tmp_path) as first:
        text = printed(first)
        assert first.key and first.project_address
        password = re.search(r"Password\s+(\S+)", text)
        assert password is not None
    assert first.process.returncode == 0
    with running_server(tmp_path) as second:
        later = printed(second)
    assert first.key not in later and password[1] not in later and "sk-" not in later
    assert f"{second.address}/connect" in later and "install --list" in later
    command = next(line for line in later.splitlines() if "key create" in line).partition(": ")[2]
    assert headwater(*shlex.split(command)[1:]).stdout.startswith("sk-")


def test_each_printed_command_is_about_this_server_when_it_is_pasted(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    with running_server(folder) as server:
        lines = [line.strip() for line in server.printed if re.search(r"headwater\S* install ", line)]
        listing = shlex.split(next(line for line in lines if "--list" in line))
        done = headwater(*listing[1:], environment={"HOME": str(tmp_path)})
        made = headwater("projects", *listing[listing.index("--url") :])
    assert len(lines) == 4 and all(f"--url {server.address} --data-dir '{folder}'" in line for line in lines)
    assert done.returncode == 0 and "claude-code" in done.stdout
    assert made.stdout.split()[-1] == server.project_address


def test_a_command_that_comes_before_the_first_start_says_what_it_made_and_how_to_get_in(tmp_path: Path) -> None:
    done = headwater("projects", "--data-dir", tmp_path / "new")
    (said,) = done.stderr.splitlines()
    assert "has the user admin now" in said and str(tmp_path / "new") in said
    command = shlex.split(said.partition("a password: ")[2])
    assert headwater(*command[1:], given="a-long-password\na-long-password\n").returncode == 0
    assert headwater("key", "list", "--data-dir", tmp_path / "new").stdout == ""
    assert headwater("projects", "--data-dir", tmp_path / "new").stderr == ""


def test_two_checkouts_can_serve_at_once_on_other_ports_and_folders(tmp_path: Path) -> None:
    with running_server(tmp_path / "one") as one, running_server(tmp_path / "two") as two:
        assert one.address != two.address and one.key != two.key


def test_the_first_user_and_password_may_come_from_settings_and_the_password_is_not_printed(tmp_path: Path) -> None:
    environment = {"HEADWATER_SUPERUSER": "grace", "LANGFLOW_SUPERUSER_PASSWORD": "given-by-setting"}
    with running_server(tmp_path, environment=environment) as server:
        assert "grace" in printed(server) and "given-by-setting" not in printed(server)
        body = b"username=grace&password=given-by-setting"
        with urllib.request.urlopen(f"{server.address}/api/v1/login", data=body) as answer:
            assert json.load(answer)["access_token"]


def test_a_host_that_others_reach_starts_with_keys_required_and_a_warning(tmp_path: Path) -> None:
    with running_server(tmp_path, arguments=("--host", "0.0.0.0")) as server:
        assert "warning" in printed(server) and "HEADWATER_PUBLIC_URL" in printed(server)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{server.address}/api/v1/flows/")
        assert refused.value.code == 403
        refused.value.close()


def test_with_an_https_public_url_there_is_no_warning(tmp_path: Path) -> None:
    environment = {"HEADWATER_PUBLIC_URL": "https://tools.example.org"}
    with running_server(tmp_path, arguments=("--host", "0.0.0.0"), environment=environment) as server:
        assert "warning" not in printed(server)
        assert "https://tools.example.org/api/v1/mcp/project/" in printed(server)


def test_a_port_in_use_stops_the_start_in_one_line_and_touches_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(headwater("serve", "--port", str(port), "--data-dir", tmp_path / "data"))
    assert str(port) in line and "in use" in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("environment", "part"),
    [
        ({"HEADWATER_AUTO_LOGIN": "maybe"}, "HEADWATER_AUTO_LOGIN"),
        ({"HEADWATER_AUTOLOGIN": "true"}, "Did you mean HEADWATER_AUTO_LOGIN"),
        ({"HEADWATER_AUTO_LOGIN": "true", "HEADWATER_HOST": "0.0.0.0"}, "0.0.0.0"),
        ({"LANGFLOW_SKIP_AUTH_AUTO_LOGIN": "true", "LANGFLOW_AUTO_LOGIN": "true", "LANGFLOW_HOST": "0.0.0.0"}, "0.0.0.0"),
        ({"HEADWATER_WORKERS": "4"}, "workers"),
        ({"HEADWATER_DATABASE_URL": "mysql://host/name"}, "HEADWATER_DATABASE_URL"),
        ({"HEADWATER_HOST": "no-such-name.invalid"}, "HEADWATER_HOST"),
    ],
)
def test_a_refused_setting_is_one_line_and_exit_code_1(tmp_path: Path, environment: dict[str, str], part: str) -> None:
    assert part in refusal(headwater("serve", "--port", "0", "--data-dir", tmp_path, environment=environment))


def test_a_data_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "data folder" in refusal(headwater("serve", "--port", "0", "--data-dir", tmp_path / "file" / "data"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_ctrl_c_ends_it_too(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=SECONDS) == 0


def test_keys_are_made_listed_and_revoked_while_the_server_runs(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        key = headwater("key", "create", "--name", "for tests", "--data-dir", tmp_path).stdout.strip()
        request = urllib.request.Request(f"{server.address}/api/v1/users/whoami", headers={"x-api-key": key})
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
        listed = headwater("key", "list", "--data-dir", tmp_path).stdout
        row = next(line for line in listed.splitlines() if "for tests" in line)
        assert key not in listed and key[:8] in row
        assert headwater("key", "revoke", row.split()[0], "--data-dir", tmp_path).returncode == 0
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        refused.value.close()


def test_revoking_a_key_that_does_not_exist_is_one_line(used_folder: Path) -> None:
    assert "not found" in refusal(headwater("key", "revoke", "01a20137-0000-7000-8000-000000000000", "--data-dir", used_folder)).lower()


def test_users_are_made_listed_and_let_out_and_in(used_folder: Path) -> None:
    def user(*arguments: str, given: str = "") -> str:
        done = headwater("user", *arguments, "--data-dir", used_folder, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    user("create", "ada", given="a-long-password\na-long-password\n")
    user("deactivate", "ada")
    assert "ada, user, not active" in user("list")
    user("activate", "ada")
    user("set-password", "ada", "--password", "another-long-password")
    assert "ada, user, active" in user("list")
    user("delete", "ada", "--yes")
    assert "ada, user" not in user("list")


def test_importing_prints_what_can_run_and_what_cannot(used_folder: Path, tmp_path: Path) -> None:
    nodes = [flow_documents.node("ChatInput", "ChatInput-a"), flow_documents.node("SomebodysOwn", "SomebodysOwn-b")]
    file = tmp_path / "flow.json"
    file.write_text(json.dumps({"name": "Half Known", "data": {"nodes": nodes, "edges": []}}))
    done = headwater("import", file, "--data-dir", used_folder)
    assert done.returncode == 0, done.stderr
    assert "Half Known" in done.stdout and "SomebodysOwn-b" in done.stdout and "2 nodes" in done.stdout


def test_an_imported_flow_is_a_tool_when_that_is_asked_for_and_else_it_is_said_how(used_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    exported = {"id": "0d6f3b52-1f36-4a0e-9c39-6a8b0f5f7d11", "name": "Say it Again", "data": flow_documents.echo()}
    file.write_text(json.dumps(exported))
    told = headwater("import", file, "--data-dir", used_folder).stdout
    assert "do not see it yet" in told and "--tool" in told and f"PATCH /api/v1/flows/{exported['id']}" in told
    told = headwater("import", file, "--tool", "--data-dir", used_folder).stdout
    assert "call it as say_it_again, a tool of the project 'Starter Project'.\n" in told
    told = headwater("import", file, "--data-dir", used_folder).stdout  # replaced in place, and still a tool
    assert "call it as say_it_again" in told


def test_a_tool_whose_calls_would_be_refused_is_told_with_the_reason_at_import(used_folder: Path, tmp_path: Path) -> None:
    nodes = [flow_documents.chat_input(), flow_documents.node("SomebodysOwn", "SomebodysOwn-b")]
    file = tmp_path / "flow.json"
    file.write_text(json.dumps({"name": "Half a Tool", "data": {"nodes": nodes, "edges": []}}))
    told = headwater("import", file, "--tool", "--data-dir", used_folder).stdout
    assert "half_a_tool" in told and "refused until every node can run" in told
    file.write_text(json.dumps({"name": "A Part", "is_component": True, "data": {"nodes": nodes[:1], "edges": []}}))
    assert "MCP clients cannot call it: " in headwater("import", file, "--tool", "--data-dir", used_folder).stdout


@pytest.mark.parametrize(
    ("command", "listing"),
    [
        (("lint", "--project", "nowhere"), "projects"),
        (("projects", "--user", "nobody"), "user list"),
        (("key", "revoke", "none"), "key list"),
        (("code", "show", "abc"), "code list"),
    ],
)
def test_a_name_that_nothing_has_is_told_with_the_command_that_lists_them(
    used_folder: Path, command: tuple[str, ...], listing: str
) -> None:
    said = refusal(headwater(*command, "--data-dir", used_folder))
    assert command[-1] in said and f"`headwater {listing}`" in said


def test_an_address_that_is_none_is_refused_before_anything_is_printed(used_folder: Path) -> None:
    for command in (("projects",), ("install", "--list"), ("config", "cursor"), ("manifest", "Starter Project")):
        done = headwater(*command, "--url", "localhost:7860", "--data-dir", used_folder)
        assert done.returncode == 2 and "--url" in done.stderr and "http://127.0.0.1:7900" in done.stderr and done.stdout == ""
    assert "http://a.example/api/v1" in headwater("projects", "--url", "http://a.example/", "--data-dir", used_folder).stdout


def test_the_last_active_superuser_cannot_be_shut_out_and_so_the_commands_go_on_working(used_folder: Path) -> None:
    for command in (("deactivate", "admin"), ("delete", "admin", "--yes")):
        said = refusal(headwater("user", *command, "--data-dir", used_folder))
        assert "last active superuser" in said and "user create NAME --superuser" in said
    assert "admin, superuser, active" in headwater("user", "list", "--data-dir", used_folder).stdout


@pytest.mark.parametrize("content", ["", "not json", "[]", "{}", '{"name": "x"}', "42", '[{"data": {}}]'])
def test_a_file_that_is_no_flow_is_one_line_and_exit_code_1(used_folder: Path, tmp_path: Path, content: str) -> None:
    file = tmp_path / "no-flow.json"
    file.write_text(content)
    assert "not a flow" in refusal(headwater("import", file, "--data-dir", used_folder))


def test_importing_into_a_project_that_does_not_exist_is_one_line(used_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    file.write_text(json.dumps({"name": "Lost", "data": {"nodes": [], "edges": []}}))
    assert "not found" in refusal(headwater("import", file, "--project", "nowhere", "--data-dir", used_folder)).lower()


def test_migrating_twice_says_that_there_was_nothing_to_do(tmp_path: Path) -> None:
    first = headwater("migrate", "--data-dir", tmp_path)
    second = headwater("migrate", "--data-dir", tmp_path)
    assert (first.returncode, second.returncode) == (0, 0) and first.stdout != second.stdout and "already" in second.stdout


def test_help_names_every_command_without_loading_the_server() -> None:
    done = headwater("--help")
    assert done.returncode == 0
    for command in ("serve", "stdio", "import", "key", "user", "migrate", "projects"):
        assert command in done.stdout
    loaded = "import sys, mcp_server.cli; print([name for name in ('mcp', 'sqlalchemy', 'starlette') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("group", [(), ("key",), ("code",), ("user",), ("models",)])
def test_no_line_of_help_is_cut_off(group: tuple[str, ...]) -> None:
    commands = headwater(*group, "--help").stdout.partition("Commands:")[2]
    assert commands.strip() and "..." not in commands


def test_a_free_port_may_be_asked_for(tmp_path: Path) -> None:
    assert free_port() > 0
    process = subprocess.Popen(
        [sys.executable, "-m", "mcp_server", "serve", "--port", "0", "--data-dir", str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = next(line for line in process.stdout if "runs at" in line)
        port = int(line.rsplit(":", 1)[1])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
            assert json.load(answer)["status"] == "ok"
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0
