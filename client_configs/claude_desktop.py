"""Claude Desktop: its file starts programs only, so it gets the bridge. Remote servers are added in its settings, by Anthropic's cloud."""

from pathlib import PurePath

from client_configs.client import Client
from client_configs.connection import Transport
from client_configs.locations import Machine, Side


class ClaudeDesktop(Client):
    id = "claude-desktop"
    display_name = "Claude Desktop"
    aliases = ("claude",)
    side = Side.DESKTOP
    transports = (Transport.STDIO,)
    limits = (
        "No HTTP in its file: remote servers are Settings → Connectors, which need a public https address.",
        "No project file, and no reference to the environment: the key stands in the user's file.",
        "Quit and start it again after an installation.",
    )

    def user_files(self, machine: Machine) -> tuple[PurePath, ...]:
        folder = machine.application_folder(self.side)
        return () if folder is None else (folder / "Claude" / "claude_desktop_config.json",)
