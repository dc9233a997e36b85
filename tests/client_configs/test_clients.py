"""What each client is told, and where, by table: files on every platform, entries, links, commands."""

import base64
import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from client_configs.client import Client, Scope, shown_command
from client_configs.connection import PLACEHOLDER, KeyHandling, Transport
from client_configs.installation import describe, paste_block
from client_configs.locations import Machine
from client_configs.problems import SecretWouldBeShared, Unsupported
from client_configs.registry import CLIENTS, find_client
from tests.client_configs.machines import EXECUTABLE, HTTP_URL, KEY, LINUX, MACOS, SSE_URL, WINDOWS, WSL, connection

HEADERS = {"x-api-key": KEY}
COMMAND = str(EXECUTABLE)
ARGUMENTS = ["connect", HTTP_URL]
ENVIRONMENT = {"HEADWATER_API_KEY": KEY}
USUAL_STDIO = {"command": COMMAND, "args": ARGUMENTS, "env": ENVIRONMENT}
USUAL_HTTP = {"url": HTTP_URL, "headers": HEADERS}


def get_client(name: str) -> Client:
    client = find_client(name)
    assert client is not None, name
    return client


# Client: Linux, macOS, Windows, WSL (None: no file there).
USER_FILES: dict[str, tuple[str | None, str | None, str | None, str | None]] = {
    "cursor": (
        "/home/ann/.cursor/mcp.json",
        "/Users/ann/.cursor/mcp.json",
        r"C:\Users\ann\.cursor\mcp.json",
        "/mnt/c/Users/Ann/.cursor/mcp.json",
    ),
    "claude-desktop": (
        "/home/ann/.config/Claude/claude_desktop_config.json",
        "/Users/ann/Library/Application Support/Claude/claude_desktop_config.json",
        r"D:\Roaming\Claude\claude_desktop_config.json",
        "/mnt/c/Users/Ann/AppData/Roaming/Claude/claude_desktop_config.json",
    ),
    "claude-code": ("/home/ann/.claude.json", "/Users/ann/.claude.json", r"C:\Users\ann\.claude.json", "/home/ann/.claude.json"),
    "vs-code": (
        "/home/ann/.config/Code/User/mcp.json",
        "/Users/ann/Library/Application Support/Code/User/mcp.json",
        r"D:\Roaming\Code\User\mcp.json",
        "/mnt/c/Users/Ann/AppData/Roaming/Code/User/mcp.json",
    ),
    "visual-studio": (None, None, r"C:\Users\ann\.mcp.json", "/mnt/c/Users/Ann/.mcp.json"),
    "devin-desktop": (
        "/home/ann/.config/devin/mcp_config.json",
        "/Users/ann/.config/devin/mcp_config.json",
        r"D:\Roaming\devin\mcp_config.json",
        "/mnt/c/Users/Ann/AppData/Roaming/devin/mcp_config.json",
    ),
    "windsurf": (
        "/home/ann/.codeium/windsurf/mcp_config.json",
        "/Users/ann/.codeium/windsurf/mcp_config.json",
        r"C:\Users\ann\.codeium\windsurf\mcp_config.json",
        "/mnt/c/Users/Ann/.codeium/windsurf/mcp_config.json",
    ),
    "zed": (
        "/home/ann/.config/zed/settings.json",
        "/Users/ann/.config/zed/settings.json",
        r"D:\Roaming\Zed\settings.json",
        "/mnt/c/Users/Ann/AppData/Roaming/Zed/settings.json",
    ),
    "cline": (
        "/home/ann/.config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        "/Users/ann/Library/Application Support/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        r"D:\Roaming\Code\User\globalStorage\saoudrizwan.claude-dev\settings\cline_mcp_settings.json",
        "/mnt/c/Users/Ann/AppData/Roaming/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
    ),
    "cline-cli": (
        "/home/ann/.cline/data/settings/cline_mcp_settings.json",
        "/Users/ann/.cline/data/settings/cline_mcp_settings.json",
        r"C:\Users\ann\.cline\data\settings\cline_mcp_settings.json",
        "/home/ann/.cline/data/settings/cline_mcp_settings.json",
    ),
    "roo-code": (
        "/home/ann/.config/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
        "/Users/ann/Library/Application Support/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
        r"D:\Roaming\Code\User\globalStorage\rooveterinaryinc.roo-cline\settings\mcp_settings.json",
        "/mnt/c/Users/Ann/AppData/Roaming/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
    ),
    "kilo-code": (
        "/home/ann/.config/kilo/kilo.json",
        "/Users/ann/.config/kilo/kilo.json",
        r"C:\Users\ann\.config\kilo\kilo.json",
        "/home/ann/.config/kilo/kilo.json",
    ),
    "continue": (
        "/home/ann/.continue/config.yaml",
        "/Users/ann/.continue/config.yaml",
        r"C:\Users\ann\.continue\config.yaml",
        "/home/ann/.continue/config.yaml",
    ),
    "junie": (
        "/home/ann/.junie/mcp/mcp.json",
        "/Users/ann/.junie/mcp/mcp.json",
        r"C:\Users\ann\.junie\mcp\mcp.json",
        "/mnt/c/Users/Ann/.junie/mcp/mcp.json",
    ),
    "gemini-cli": (
        "/home/ann/.gemini/settings.json",
        "/Users/ann/.gemini/settings.json",
        r"C:\Users\ann\.gemini\settings.json",
        "/home/ann/.gemini/settings.json",
    ),
    "antigravity": (
        "/home/ann/.gemini/config/mcp_config.json",
        "/Users/ann/.gemini/config/mcp_config.json",
        r"C:\Users\ann\.gemini\config\mcp_config.json",
        "/mnt/c/Users/Ann/.gemini/config/mcp_config.json",
    ),
    "codex": (
        "/home/ann/.codex/config.toml",
        "/Users/ann/.codex/config.toml",
        r"C:\Users\ann\.codex\config.toml",
        "/home/ann/.codex/config.toml",
    ),
    "copilot-cli": (
        "/home/ann/.copilot/mcp-config.json",
        "/Users/ann/.copilot/mcp-config.json",
        r"C:\Users\ann\.copilot\mcp-config.json",
        "/home/ann/.copilot/mcp-config.json",
    ),
    "goose": (
        "/home/ann/.config/goose/config.yaml",
        "/Users/ann/.config/goose/config.yaml",
        r"D:\Roaming\Block\goose\config\config.yaml",
        "/home/ann/.config/goose/config.yaml",
    ),
    "lm-studio": (
        "/home/ann/.lmstudio/mcp.json",
        "/Users/ann/.lmstudio/mcp.json",
        r"C:\Users\ann\.lmstudio\mcp.json",
        "/mnt/c/Users/Ann/.lmstudio/mcp.json",
    ),
    "warp": (
        "/home/ann/.warp/.mcp.json",
        "/Users/ann/.warp/.mcp.json",
        r"C:\Users\ann\.warp\.mcp.json",
        "/mnt/c/Users/Ann/.warp/.mcp.json",
    ),
    "kiro": (
        "/home/ann/.kiro/settings/mcp.json",
        "/Users/ann/.kiro/settings/mcp.json",
        r"C:\Users\ann\.kiro\settings\mcp.json",
        "/home/ann/.kiro/settings/mcp.json",
    ),
    "amazon-q": (
        "/home/ann/.aws/amazonq/mcp.json",
        "/Users/ann/.aws/amazonq/mcp.json",
        r"C:\Users\ann\.aws\amazonq\mcp.json",
        "/home/ann/.aws/amazonq/mcp.json",
    ),
    "opencode": (
        "/home/ann/.config/opencode/opencode.jsonc",
        "/Users/ann/.config/opencode/opencode.jsonc",
        r"C:\Users\ann\.config\opencode\opencode.jsonc",
        "/home/ann/.config/opencode/opencode.jsonc",
    ),
    "grok-build": (
        "/home/ann/.grok/config.toml",
        "/Users/ann/.grok/config.toml",
        r"C:\Users\ann\.grok\config.toml",
        "/home/ann/.grok/config.toml",
    ),
    "kimi-code": (
        "/home/ann/.kimi-code/mcp.json",
        "/Users/ann/.kimi-code/mcp.json",
        r"C:\Users\ann\.kimi-code\mcp.json",
        "/home/ann/.kimi-code/mcp.json",
    ),
    "xcode-claude": (None, "/Users/ann/Library/Developer/Xcode/CodingAssistant/ClaudeAgentConfig/.claude.json", None, None),
    "jetbrains": (None, None, None, None),
    "raycast": (None, None, None, None),
    "chatgpt": (None, None, None, None),
    "claude-ai": (None, None, None, None),
}


def test_every_client_is_in_the_table_of_files_once() -> None:
    assert sorted(USER_FILES) == sorted(client.id for client in CLIENTS)
    names = [name for client in CLIENTS for name in (client.id, *client.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", USER_FILES)
def test_the_user_file_is_where_the_client_looks_for_it(name: str) -> None:
    found = [get_client(name).user_files(machine) for machine in (LINUX, MACOS, WINDOWS, WSL)]
    assert tuple(str(files[0]) if files else None for files in found) == USER_FILES[name]


def test_environment_variables_move_the_files_of_those_who_read_them() -> None:
    environment = {
        "CODEX_HOME": "/c",
        "GROK_HOME": "/g",
        "KIMI_CODE_HOME": "/k",
        "CLINE_DIR": "/cline",
        "CLAUDE_CONFIG_DIR": "/claude",
        "XDG_CONFIG_HOME": "relative is ignored",
    }
    machine = Machine(LINUX.platform, LINUX.home, environment)
    expected = {
        "codex": "/c/config.toml",
        "grok-build": "/g/config.toml",
        "kimi-code": "/k/mcp.json",
        "cline-cli": "/cline/data/settings/cline_mcp_settings.json",
        "claude-code": "/claude/.claude.json",
        "zed": "/home/ann/.config/zed/settings.json",
    }
    assert {name: str(get_client(name).user_files(machine)[0]) for name in expected} == expected
    moved = Machine(LINUX.platform, LINUX.home, {"XDG_CONFIG_HOME": "/xdg"})
    assert str(get_client("zed").user_files(moved)[0]) == "/xdg/zed/settings.json"


def test_a_desktop_client_has_no_file_in_wsl_when_the_windows_home_is_unknown() -> None:
    machine = Machine(WSL.platform, WSL.home, WSL.environment, windows_home=None)
    assert get_client("cursor").user_files(machine) == ()
    assert get_client("claude-desktop").user_files(machine) == ()
    assert get_client("codex").user_files(machine) != ()


PROJECT_FILES = {
    "cursor": ".cursor/mcp.json",
    "claude-code": ".mcp.json",
    "vs-code": ".vscode/mcp.json",
    "visual-studio": ".mcp.json",
    "devin-desktop": ".devin/mcp_config.json",
    "zed": ".zed/settings.json",
    "roo-code": ".roo/mcp.json",
    "kilo-code": "kilo.json",
    "continue": ".continue/mcpServers/hw-orders.yaml",
    "junie": ".junie/mcp/mcp.json",
    "gemini-cli": ".gemini/settings.json",
    "codex": ".codex/config.toml",
    "copilot-cli": ".mcp.json",
    "warp": ".warp/.mcp.json",
    "kiro": ".kiro/settings/mcp.json",
    "opencode": "opencode.jsonc",
    "grok-build": ".grok/config.toml",
    "kimi-code": ".kimi-code/mcp.json",
}


def test_the_project_files_are_those_of_the_table() -> None:
    found = {client.id: client.project_files(PurePosixPath("."), connection()) for client in CLIENTS}
    assert {name: str(files[0]) for name, files in found.items() if files} == PROJECT_FILES


# Client: HTTP, stdio (None: not in its file).
ENTRIES: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
    "cursor": (USUAL_HTTP, USUAL_STDIO),
    "claude-desktop": (None, USUAL_STDIO),
    "claude-code": ({"type": "http"} | USUAL_HTTP, USUAL_STDIO),
    "xcode-claude": ({"type": "http"} | USUAL_HTTP, USUAL_STDIO),
    "vs-code": ({"type": "http"} | USUAL_HTTP, {"type": "stdio"} | USUAL_STDIO),
    "visual-studio": ({"type": "http"} | USUAL_HTTP, {"type": "stdio"} | USUAL_STDIO),
    "devin-desktop": (USUAL_HTTP | {"transport": "http"}, USUAL_STDIO),
    "windsurf": ({"serverUrl": HTTP_URL, "headers": HEADERS}, USUAL_STDIO),
    "antigravity": ({"serverUrl": HTTP_URL, "headers": HEADERS}, USUAL_STDIO),
    "zed": (USUAL_HTTP | {"source": "custom", "type": "http"}, USUAL_STDIO | {"source": "custom"}),
    "cline": (USUAL_HTTP | {"type": "streamableHttp", "disabled": False}, USUAL_STDIO | {"disabled": False}),
    "cline-cli": (USUAL_HTTP | {"type": "streamableHttp", "disabled": False}, USUAL_STDIO | {"disabled": False}),
    "roo-code": (USUAL_HTTP | {"type": "streamable-http"}, USUAL_STDIO),
    "kilo-code": (
        USUAL_HTTP | {"type": "remote", "enabled": True},
        {"type": "local", "command": [COMMAND, *ARGUMENTS], "environment": ENVIRONMENT, "enabled": True},
    ),
    "opencode": (
        USUAL_HTTP | {"type": "remote", "enabled": True, "oauth": False},
        {"type": "local", "command": [COMMAND, *ARGUMENTS], "environment": ENVIRONMENT, "enabled": True},
    ),
    "continue": (
        {"name": "hw-orders", "type": "streamable-http", "url": HTTP_URL, "requestOptions": {"headers": HEADERS}},
        {"name": "hw-orders"} | USUAL_STDIO,
    ),
    "jetbrains": (USUAL_HTTP, USUAL_STDIO),
    "junie": (USUAL_HTTP, USUAL_STDIO),
    "gemini-cli": (USUAL_HTTP | {"type": "http"}, USUAL_STDIO),
    "codex": ({"url": HTTP_URL, "http_headers": HEADERS}, USUAL_STDIO),
    "grok-build": (USUAL_HTTP, USUAL_STDIO),
    "copilot-cli": (USUAL_HTTP | {"type": "http", "tools": ["*"]}, USUAL_STDIO | {"type": "stdio", "tools": ["*"]}),
    "goose": (
        {
            "name": "hw-orders",
            "description": "",
            "type": "streamable_http",
            "uri": HTTP_URL,
            "headers": HEADERS,
            "enabled": True,
            "timeout": 300,
        },
        {
            "name": "hw-orders",
            "description": "",
            "type": "stdio",
            "cmd": COMMAND,
            "args": ARGUMENTS,
            "envs": ENVIRONMENT,
            "enabled": True,
            "timeout": 300,
        },
    ),
    "lm-studio": (USUAL_HTTP, USUAL_STDIO),
    "warp": (USUAL_HTTP, USUAL_STDIO),
    "kiro": (USUAL_HTTP, USUAL_STDIO),
    "amazon-q": (None, USUAL_STDIO),
    "kimi-code": (USUAL_HTTP | {"transport": "http"}, USUAL_STDIO | {"transport": "stdio"}),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_the_entry_is_the_clients_own_form(name: str) -> None:
    client = get_client(name)
    for transport, expected in zip((Transport.STREAMABLE_HTTP, Transport.STDIO), ENTRIES[name], strict=True):
        if expected is None:
            assert transport not in client.transports
        else:
            assert client.entry(connection(), transport, KeyHandling.IN_FILE, machine=LINUX) == expected


def test_every_client_with_a_file_is_in_the_table_of_entries() -> None:
    assert {client.id for client in CLIENTS if client.takes_block} == set(ENTRIES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cursor", {"url": SSE_URL, "headers": HEADERS}),
        ("claude-code", {"type": "sse", "url": SSE_URL, "headers": HEADERS}),
        ("vs-code", {"type": "sse", "url": SSE_URL, "headers": HEADERS}),
        ("cline", {"type": "sse", "url": SSE_URL, "headers": HEADERS, "disabled": False}),
        ("roo-code", {"type": "sse", "url": SSE_URL, "headers": HEADERS}),
        ("gemini-cli", {"type": "sse", "url": SSE_URL, "headers": HEADERS}),
        ("kimi-code", {"transport": "sse", "url": SSE_URL, "headers": HEADERS}),
        ("windsurf", {"serverUrl": SSE_URL, "headers": HEADERS}),
    ],
)
def test_sse_has_its_own_entry_where_the_client_still_takes_it(name: str, expected: dict[str, Any]) -> None:
    assert get_client(name).entry(connection(), Transport.SSE, KeyHandling.IN_FILE) == expected


REFERENCES = {
    "cursor": "${env:HEADWATER_API_KEY}",
    "windsurf": "${env:HEADWATER_API_KEY}",
    "claude-code": "${HEADWATER_API_KEY}",
    "xcode-claude": "${HEADWATER_API_KEY}",
    "vs-code": "${input:hw-orders-key}",
    "visual-studio": "${input:hw-orders-key}",
    "gemini-cli": "$HEADWATER_API_KEY",
    "copilot-cli": "${HEADWATER_API_KEY}",
    "kiro": "${HEADWATER_API_KEY}",
    "opencode": "{env:HEADWATER_API_KEY}",
    "continue": "${{ secrets.HEADWATER_API_KEY }}",
    "codex": "HEADWATER_API_KEY",
}


def test_a_key_stays_out_of_the_file_by_the_clients_own_means() -> None:
    assert {client.id: client.key_reference(connection()) for client in CLIENTS if client.can_reference_key} == REFERENCES
    codex = get_client("codex")
    assert codex.entry(connection(), Transport.STREAMABLE_HTTP, KeyHandling.REFERENCE) == {
        "url": HTTP_URL,
        "env_http_headers": {"x-api-key": "HEADWATER_API_KEY"},
    }
    assert codex.entry(connection(), Transport.STDIO, KeyHandling.REFERENCE) == {
        "command": COMMAND,
        "args": ARGUMENTS,
        "env_vars": ["HEADWATER_API_KEY"],
    }


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
def test_a_project_file_never_gets_the_key(client: Client) -> None:
    try:
        handling = client.key_handling_in(Scope.PROJECT, connection())
    except SecretWouldBeShared as refused:
        assert "for the user" in refused.message
        return
    for transport in client.transports_in(Scope.PROJECT, connection()):
        assert KEY not in json.dumps(client.entry(connection(), transport, handling, scope=Scope.PROJECT, machine=LINUX))


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
@pytest.mark.parametrize("machine", [LINUX, MACOS, WINDOWS, WSL], ids=lambda machine: machine.platform.value)
@pytest.mark.parametrize("executable", [EXECUTABLE, None], ids=["own", "public"])
def test_a_key_is_never_an_argument(client: Client, machine: Machine, executable: PurePosixPath | None) -> None:
    command = client.command(connection(executable=executable), KeyHandling.IN_FILE, machine)
    assert KEY not in " ".join((command.program, *command.arguments))
    assert ("HEADWATER_API_KEY", KEY) in command.environment


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
@pytest.mark.parametrize("machine", [LINUX, MACOS, WINDOWS, WSL], ids=lambda machine: machine.platform.value)
def test_links_commands_and_blocks_hold_no_key(client: Client, machine: Machine) -> None:
    described = describe(client, connection(), machine)
    shown = "\n".join(
        filter(None, (described.block, described.install_link, described.web_link, described.command, described.instructions))
    )
    assert shown
    decoded = shown + "".join(
        base64.b64decode(value).decode()
        for link in (described.install_link, described.web_link)
        if link and client.id in ("cursor", "lm-studio")
        for value in parse_qs(urlsplit(link).query)["config"]
    )
    assert KEY not in unquote(decoded)


def test_a_block_to_paste_has_words_in_place_of_the_key() -> None:
    block = paste_block(get_client("jetbrains"), connection(), LINUX)
    assert block is not None
    assert json.loads(block) == {"mcpServers": {"hw-orders": {"url": HTTP_URL, "headers": {"x-api-key": PLACEHOLDER}}}}
    assert paste_block(get_client("raycast"), connection(), LINUX) is None


def test_cursors_link_is_standard_base64_of_the_entry() -> None:
    link = get_client("cursor").install_link(connection())
    assert link is not None
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.path) == ("cursor", "anysphere.cursor-deeplink", "/mcp/install")
    query = parse_qs(parts.query)
    assert query["name"] == ["hw-orders"]
    assert json.loads(base64.b64decode(query["config"][0], validate=True)) == {
        "url": HTTP_URL,
        "headers": {"x-api-key": "${env:HEADWATER_API_KEY}"},
    }


def test_vs_codes_link_and_command_ask_for_the_key() -> None:
    client = get_client("vs-code")
    link = client.install_link(connection())
    command = client.command_line(connection())
    assert link is not None and command is not None
    linked = json.loads(unquote(link.removeprefix("vscode:mcp/install?")))
    assert linked["name"] == "hw-orders"
    assert linked["headers"] == {"x-api-key": "${input:hw-orders-key}"}
    assert linked["inputs"][0] | {"description": ""} == {"type": "promptString", "id": "hw-orders-key", "description": "", "password": True}
    assert command[:2] == ("code", "--add-mcp")
    assert json.loads(command[2]) == linked


def test_kiros_link_is_json_and_not_base64() -> None:
    link = get_client("kiro").web_link(connection())
    assert link is not None
    assert json.loads(parse_qs(urlsplit(link).query)["config"][0])["url"] == HTTP_URL


def test_gooses_link_is_for_servers_without_a_key() -> None:
    goose = get_client("goose")
    assert goose.install_link(connection()) is None
    link = goose.install_link(connection(needs_key=False, key=None))
    assert link is not None
    assert parse_qs(urlsplit(link).query)["url"] == [HTTP_URL]


def test_commands_leave_the_key_to_the_shell() -> None:
    claude = get_client("claude-code").command_line(connection())
    assert claude is not None
    assert (
        shown_command(claude)
        == f'claude mcp add --transport http --scope user hw-orders {HTTP_URL} --header "x-api-key: ${{HEADWATER_API_KEY}}"'
    )
    gemini = get_client("gemini-cli").command_line(connection(), Scope.PROJECT)
    assert gemini is not None
    assert (
        shown_command(gemini)
        == f'gemini mcp add --transport http --scope project -H "x-api-key: ${{HEADWATER_API_KEY}}" hw-orders {HTTP_URL}'
    )


def test_windows_starts_npx_through_cmd() -> None:
    command = get_client("claude-desktop").command(connection(executable=None), KeyHandling.IN_FILE, WINDOWS)
    assert (command.program, command.arguments[:4]) == ("cmd", ("/c", "npx", "-y", "mcp-remote@0.15.1"))
    assert command.arguments[-2:] == ("--header", "x-api-key:${HEADWATER_API_KEY}")


def test_a_windows_client_starts_the_bridge_inside_wsl() -> None:
    command = get_client("claude-desktop").command(connection(), KeyHandling.IN_FILE, WSL)
    assert command.program == "wsl.exe"
    assert command.arguments == ("-d", "Debian", "--", COMMAND, "connect", HTTP_URL)
    assert dict(command.environment) == {"HEADWATER_API_KEY": KEY, "WSLENV": "HEADWATER_API_KEY/u"}
    here = get_client("codex").command(connection(), KeyHandling.IN_FILE, WSL)
    assert here.program == COMMAND


def test_clients_in_the_cloud_say_that_they_cannot_reach_this_machine() -> None:
    for name in ("chatgpt", "claude-ai"):
        assert "public https" in describe(get_client(name), connection(), LINUX).notes[0]
        assert describe(get_client(name), connection(http_url="https://tools.example.org/mcp"), LINUX).notes == ()


def test_a_windows_client_of_a_server_in_wsl_says_what_may_be_in_the_way() -> None:
    assert "WSL" in describe(get_client("cursor"), connection(), WSL).notes[0]
    assert describe(get_client("cursor"), connection(), LINUX).notes == ()


def test_a_client_without_a_reference_says_so() -> None:
    with pytest.raises(Unsupported):
        get_client("warp").key_reference(connection())


def test_clients_are_found_by_their_other_names() -> None:
    assert get_client("Claude").id == "claude-desktop"
    assert get_client("VS Code").id == "vs-code"
    assert find_client("notepad") is None
