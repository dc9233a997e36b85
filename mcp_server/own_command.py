"""Our own command as it is printed for people: each line can be pasted as it is, in any folder, and is about this very server."""

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from mcp_server.settings import Settings, default_data_dir
from mcp_server.this_machine import own_executable


@dataclass(frozen=True, slots=True)
class OwnCommand:
    """The program, and the options that lead its commands to this server; they are empty where the defaults do."""

    program: str = "headwater"
    data: tuple[str, ...] = ()  # which settings and which data folder
    address: tuple[str, ...] = ()  # where the server answers

    @classmethod
    def of(cls, settings: Settings) -> "OwnCommand":
        data: tuple[str, ...] = ()
        if settings.env_file is not None:
            data += ("--env-file", str(settings.env_file.absolute()))
        if settings.data_dir.absolute() != default_data_dir().absolute():
            data += ("--data-dir", str(settings.data_dir.absolute()))
        is_usual = settings.base_url == f"http://127.0.0.1:{Settings.model_fields['port'].default}"
        return cls(_program(), data, () if is_usual else ("--url", settings.base_url))

    def line(self, command: str, *, with_address: bool = False) -> str:
        """`command` with what goes before and after it; `with_address` for those that have --url."""
        options = (*(self.address if with_address else ()), *self.data)
        return " ".join((self.program, command, *map(_quoted, options)))


def _program() -> str:
    """The shortest that a shell will find: the name when it means this installation, else the path."""
    own, found = own_executable(), shutil.which("headwater")
    if own is None:
        return f"{_quoted(sys.executable)} -m mcp_server"
    return "headwater" if found is not None and Path(found).samefile(own) else _quoted(str(own))


def _quoted(word: str) -> str:
    if os.name == "nt":  # its names hold no quotation marks
        return f'"{word}"' if " " in word else word
    return shlex.quote(word)
