"""Visual Studio: VS Code's form in `.mcp.json`, in the user's home or beside a solution. Windows only."""

from pathlib import PurePath
from typing import ClassVar

from client_configs.client import Scope
from client_configs.connection import Connection
from client_configs.locations import Machine, Platform
from client_configs.vs_code import VsCode


class VisualStudio(VsCode):
    id = "visual-studio"
    display_name = "Visual Studio"
    aliases: ClassVar[tuple[str, ...]] = ("visualstudio",)
    limits: ClassVar[tuple[str, ...]] = ("Windows only.", "A solution's file asks for the key instead of holding it.")

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        home = machine.home_of(self.side)
        return (home / ".mcp.json",) if machine.platform in (Platform.WINDOWS, Platform.WSL) and home is not None else ()

    def project_files(self, project_folder: PurePath, connection: Connection) -> tuple[PurePath, ...]:
        return (project_folder / ".mcp.json",)

    def own_folders(self, machine: Machine) -> tuple[PurePath, ...]:
        # Its file is in the home itself, which says nothing about Visual Studio.
        files = self.user_files(machine)
        folder = machine.application_folder(self.side)
        return () if not files or folder is None else (folder.parent / "Local" / "Microsoft" / "VisualStudio",)

    def install_link(self, connection: Connection) -> str | None:
        return None

    def web_link(self, connection: Connection) -> str | None:
        return None

    def command_line(self, connection: Connection, scope: Scope = Scope.USER) -> tuple[str, ...] | None:
        return None
