"""Any readable file of any client: install, install again, remove. What is not ours stays, byte for byte where nothing of ours was."""

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import client_configs
from client_configs.client import Client
from client_configs.config_file import READ, FileFormat, without
from client_configs.installation import apply, plan_install, plan_removal
from client_configs.problems import InstallationProblem
from tests.client_configs.machines import connection, machine_at
from tests.client_configs.test_installation import HERE, make_client
from tests.client_configs.written_files import json_texts, toml_texts, yaml_texts

SOME = settings(
    max_examples=6,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
NAME = "hw-orders"


def texts_for(client: Client) -> st.SearchStrategy[tuple[str, list[str]]]:
    """Files that this client could have, with its own collection of servers in some."""
    root = client.collection.path[0]
    match client.file_format:
        case FileFormat.JSON:
            return json_texts(root=root, keep_out=NAME)
        case FileFormat.TOML:
            return toml_texts(root=root, keep_out=NAME)
        case FileFormat.YAML:
            return yaml_texts(root=root, keep_out=NAME, as_list=client.collection.name_field is not None)


@pytest.mark.parametrize("client", HERE, ids=lambda client: client.id)
@SOME
@given(data=st.data())
def test_a_file_is_after_the_removal_what_it_was_before_the_installation(client: Client, tmp_path: Path, data: st.DataObject) -> None:
    text, comments = data.draw(texts_for(client))
    path, machine = make_client(tmp_path, client), machine_at(tmp_path)
    write(path, text)
    before = READ[client.file_format](text)
    held = client.collection.entries_of(before)
    apply(plan_install(client, connection(), machine))
    installed = read(path)
    said = READ[client.file_format](installed)
    assert set(client.collection.entries_of(said)) == {*held, NAME}
    assert rest_of(client, said) == rest_of(client, before)
    assert_kept(comments, installed)
    assert not apply(plan_install(client, connection(), machine)).was_changed
    assert read(path) == installed
    apply(plan_removal(client, connection(), machine))
    removed = read(path)
    if held and text.endswith("\n"):
        assert removed == text
    else:
        said = READ[client.file_format](removed)
        assert client.collection.entries_of(said) == held
        assert rest_of(client, said) == rest_of(client, before)
        assert_kept(comments, removed)
    assert not apply(plan_removal(client, connection(), machine)).was_changed


@pytest.mark.parametrize("client", HERE, ids=lambda client: client.id)
@SOME
@given(data=st.data())
def test_a_file_that_is_cut_off_is_refused_or_kept_whole(client: Client, tmp_path: Path, data: st.DataObject) -> None:
    text, comments = data.draw(texts_for(client))
    cut = text[: data.draw(st.integers(0, len(text)))]
    path = make_client(tmp_path, client)
    write(path, cut)
    try:
        plan = plan_install(client, connection(), machine_at(tmp_path))
    except InstallationProblem:
        assert read(path) == cut
        return
    apply(plan)
    held = client.collection.entries_of(READ[client.file_format](cut))
    entries = client.collection.entries_of(READ[client.file_format](read(path)))
    assert {name: entry for name, entry in entries.items() if name != NAME} == {name: held[name] for name in held if name != NAME}
    assert_kept([comment for comment in comments if comment in cut], read(path))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def read(path: Path) -> str:
    return path.read_bytes().decode()


def rest_of(client: Client, document: Any) -> Any:
    return without(document, client.collection.path)


def assert_kept(comments: list[str], text: str) -> None:
    at = 0
    for comment in comments:
        found = text.find(comment, at)
        assert found >= 0, f"{comment!r} is gone or moved:\n{text}"
        at = found + len(comment)


def test_nothing_reads_the_environment_the_home_or_the_platform_by_itself() -> None:
    """All of it is passed in; the program in a bundle has one file that reads its own."""
    folder = Path(client_configs.__file__).parent
    read_by: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "expanduser", "expandvars", "home", "cwd", "getcwd"):
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                if owner in ("os", "Path", "path"):
                    read_by.add(file.relative_to(folder).as_posix())
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "")}
                if names & {"platform", "environ", "getenv"}:
                    read_by.add(file.relative_to(folder).as_posix())
    assert read_by == {"bundle_files/main.py"}
