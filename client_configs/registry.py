"""Every client, one list."""

from client_configs.antigravity import Antigravity
from client_configs.chatgpt import ChatGpt
from client_configs.claude_ai import ClaudeAi
from client_configs.claude_code import ClaudeCode
from client_configs.claude_desktop import ClaudeDesktop
from client_configs.client import Client
from client_configs.cline import Cline, ClineCli
from client_configs.codex import Codex
from client_configs.continue_dev import Continue
from client_configs.copilot_cli import CopilotCli
from client_configs.cursor import Cursor
from client_configs.devin_desktop import DevinDesktop
from client_configs.gemini_cli import GeminiCli
from client_configs.goose import Goose
from client_configs.grok_build import GrokBuild
from client_configs.jetbrains import JetBrains
from client_configs.junie import Junie
from client_configs.kilo_code import KiloCode
from client_configs.kimi_code import KimiCode
from client_configs.kiro import AmazonQ, Kiro
from client_configs.lm_studio import LmStudio
from client_configs.opencode import OpenCode
from client_configs.raycast import Raycast
from client_configs.roo_code import RooCode
from client_configs.visual_studio import VisualStudio
from client_configs.vs_code import VsCode
from client_configs.warp import Warp
from client_configs.windsurf import Windsurf
from client_configs.xcode import XcodeClaude
from client_configs.zed import Zed

CLIENTS: tuple[Client, ...] = (
    ClaudeCode(),
    ClaudeDesktop(),
    Cursor(),
    VsCode(),
    Windsurf(),
    DevinDesktop(),
    Zed(),
    Codex(),
    GeminiCli(),
    CopilotCli(),
    Cline(),
    ClineCli(),
    RooCode(),
    KiloCode(),
    Continue(),
    Goose(),
    OpenCode(),
    Kiro(),
    AmazonQ(),
    Antigravity(),
    LmStudio(),
    Warp(),
    Junie(),
    JetBrains(),
    VisualStudio(),
    XcodeClaude(),
    GrokBuild(),
    KimiCode(),
    Raycast(),
    ChatGpt(),
    ClaudeAi(),
)


def find_client(name: str) -> Client | None:
    """By id or alias; case, spaces and underscores do not matter."""
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    return next((client for client in CLIENTS if wanted == client.id or wanted in client.aliases), None)
