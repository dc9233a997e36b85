"""What the documents say is true: README's table holds every setting, its commands exist, CONTRIBUTING's map is the tree."""

import re
from pathlib import Path
from typing import Any

import click

from mcp_server.cli import commands
from mcp_server.settings import LANGFLOW_NAMES, Settings

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- settings -->\n", "<!-- end of settings -->"


def settings_table() -> str:
    """What README must hold. To write it there: python -m tests.test_documentation"""
    lines = ["| name | default | what it does | Langflow's name |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory is not None else _written(field.default)
        langflow = f"`LANGFLOW_{LANGFLOW_NAMES[name]}`" if name in LANGFLOW_NAMES else ""
        lines.append(f"| `HEADWATER_{name.upper()}` | {default} | {field.description} | {langflow} |")
    return "\n".join(lines) + "\n"


def _written(default: Any) -> str:
    if default is None or default == []:
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def test_readme_lists_every_setting_with_its_default_and_description() -> None:
    readme = (ROOT / "README.md").read_text()
    assert readme.split(BEGIN)[1].split(END)[0] == settings_table()


def test_every_setting_has_a_description_of_one_line() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description and "\n" not in field.description and field.description.endswith("."), name


def test_every_command_that_readme_lists_exists_and_none_is_missing() -> None:
    rows = re.findall(r"^\| `headwater ([a-z-]+)([^|]*)\|", (ROOT / "README.md").read_text(), re.MULTILINE)
    listed = {
        name: set(re.findall(r"`([a-z-]+)`", rest.replace(rest.split("`")[0], "", 1))) | set(rest.split("`")[0].split()[:1])
        for name, rest in rows
    }
    assert set(listed) == set(commands.commands)
    for name, group in commands.commands.items():
        if isinstance(group, click.Group):
            assert listed[name] == set(group.commands), name


def test_the_map_in_contributing_names_every_folder_of_the_code() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for folder in ("mcp_server", "rest_adapter", "projects", "storage", "client_configs", "tests"):
        assert f"{folder}/" in text


def test_the_makefile_has_the_commands_that_the_documents_name() -> None:
    documents = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", documents)) <= targets


def test_the_locks_hold_no_address() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / lock).read_text()


if __name__ == "__main__":
    path = ROOT / "README.md"
    before, _, rest = path.read_text().partition(BEGIN)
    path.write_text(before + BEGIN + settings_table() + END + rest.partition(END)[2])
