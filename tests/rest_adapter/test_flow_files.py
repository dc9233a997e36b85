"""Files of flows: told apart by what they hold, and unpacked within limits."""

import io
import json
import zipfile

import pytest

from projects.errors import InvalidInput
from rest_adapter.errors import BadRequest
from rest_adapter.v1 import flow_files


def archive(*entries: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as writing:
        for name, content in entries:
            writing.writestr(name, content)
    return target.getvalue()


def test_one_flow_a_list_of_flows_and_an_archive_are_told_apart() -> None:
    one, two = {"name": "one"}, {"name": "two"}
    assert flow_files.flows_in(json.dumps(one).encode()) == [one]
    assert flow_files.flows_in(json.dumps({"flows": [one, two]}).encode()) == [one, two]
    packed = archive(("a.json", json.dumps(one).encode()), ("deep/er/b.json", json.dumps({"flows": [two]}).encode()), ("notes.txt", b"hi"))
    assert flow_files.flows_in(packed) == [one, two]


def test_an_unreadable_file_in_an_archive_does_not_spoil_the_others() -> None:
    packed = archive(("bad.json", b"{oops"), ("list.json", b"[1]"), ("good.json", b'{"name": "good"}'))
    assert flow_files.flows_in(packed) == [{"name": "good"}]


@pytest.mark.parametrize("content", [b"{oops", b"PK\x03\x04 and no archive", archive(("a.txt", b"no flow"))])
def test_a_file_without_a_readable_flow_is_a_bad_request(content: bytes) -> None:
    with pytest.raises(BadRequest):
        flow_files.flows_in(content)


@pytest.mark.parametrize("content", [b"[1]", b'"text"', b'{"flows": 1}', b'{"flows": [1]}'])
def test_json_that_is_no_flow_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput):
        flow_files.flows_in(content)


def test_too_many_entries_are_refused_before_any_is_read() -> None:
    entries = [(f"{number}.json", b"{}") for number in range(flow_files.MAX_ENTRIES + 1)]
    with pytest.raises(BadRequest, match="the most"):
        flow_files.flows_in(archive(*entries))


def test_an_archive_that_unpacks_to_too_much_is_refused() -> None:
    text = json.dumps({"name": "big", "description": " " * (flow_files.MAX_ENTRY_BYTES - 1_000)}).encode()
    with pytest.raises(BadRequest, match="unpacks"):
        flow_files.flows_in(archive(*((f"{number}.json", text) for number in range(3))))


def flow_file(name: str) -> tuple[str, bytes]:
    return name, b'{"name": "f"}'


@pytest.mark.parametrize("name", ["../f.json", "a/../../f.json", "/f.json", "C:/f.json", "..\\f.json"])
def test_a_name_that_leads_out_of_the_archive_refuses_all_of_it(name: str) -> None:
    with pytest.raises(BadRequest, match="leads out"):
        flow_files.flows_in(archive(flow_file("good.json"), flow_file(name)))


@pytest.mark.parametrize("names", [("a.json", "A.json"), ("x/a.json", "X/A.JSON"), ("a.json/", "a.json")])
def test_two_files_of_one_name_refuse_all_of_it(names: tuple[str, str]) -> None:
    with pytest.raises(BadRequest, match="one name"):
        flow_files.flows_in(archive(*map(flow_file, names)))


def test_a_link_refuses_all_of_it() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as writing:
        link = zipfile.ZipInfo("link.json")
        link.external_attr = 0o120777 << 16
        writing.writestr(link, "/etc/passwd")
        writing.writestr(*flow_file("good.json"))
    with pytest.raises(BadRequest, match="link"):
        flow_files.flows_in(target.getvalue())


def test_a_file_that_grows_too_much_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadRequest, match="200 times"):
        flow_files.flows_in(archive(flow_file("good.json"), ("notes.txt", b" " * (2 * flow_files.MEGABYTE))))


def test_all_files_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_files, "MAX_TOTAL_BYTES", 20)
    with pytest.raises(BadRequest, match="unpacks"):
        flow_files.flows_in(archive(flow_file("a.json"), flow_file("b.json")))


def test_a_project_is_named_by_its_archive_and_names_itself_in_json() -> None:
    packed = archive(flow_file("a.json"))
    assert flow_files.project_in(packed, "C:\\files\\My.Project.zip")["folder_name"] == "My.Project"
    named = flow_files.project_in(b'{"folder_name": "P", "flows": [{"name": "f"}]}', "x.json")
    assert (named["folder_name"], named["flows"]) == ("P", [{"name": "f"}])


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b\\c", "a_b_c"),
        ("..", "_"),
        ("con", "_con"),
        ("LPT1.x", "_LPT1.x"),
        ("a\x00b", "ab"),
        ("", "_"),
        ('q"<>', "q___"),
        ("é 語", "é 語"),
    ],
)
def test_names_of_files_are_safe_on_every_system(name: str, safe: str) -> None:
    assert flow_files.safe_name(name) == safe
