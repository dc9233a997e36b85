"""Xcode's Claude agent: Claude Code's file in a folder of Xcode's. Its Codex agent reads a project's file, see `codex.py`."""

from pathlib import PurePath
from typing import ClassVar

from client_configs.claude_code import ClaudeCode
from client_configs.client import Scope
from client_configs.connection import Connection
from client_configs.locations import Machine, Platform


class XcodeClaude(ClaudeCode):
    id = "xcode-claude"
    display_name = "Xcode (Claude agent)"
    limits: ClassVar[tuple[str, ...]] = (
        "macOS only.",
        "Xcode writes its Codex agent's own file itself: for that agent, install Codex in the project.",
    )

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        return tuple(folder / ".claude.json" for folder in self.own_folders(machine))

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return ()

    def own_folders(self, machine: Machine) -> tuple[PurePath, ...]:
        if machine.platform is not Platform.MACOS:
            return ()
        return (machine.home / "Library" / "Developer" / "Xcode" / "CodingAssistant" / "ClaudeAgentConfig",)

    def command_line(self, connection: Connection, scope: Scope = Scope.USER) -> None:
        return None
