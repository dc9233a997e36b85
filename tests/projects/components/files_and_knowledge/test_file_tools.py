"""File Content Retriever and File System."""

from typing import Any

import pytest

from projects.components.files_and_knowledge.file_content_retriever import FileContentRetriever
from projects.components.files_and_knowledge.file_system import FileSystem
from projects.components.files_and_knowledge.save_to_file import SaveToFile
from projects.engine.component import ComponentError
from projects.engine.tools import Tool, ToolFailed
from projects.engine.values import Data, Table
from tests.fakes import FakeFiles, FakeRunContext, build, output_of

ROWS = Table(
    [
        {"file_path": "u/a.txt", "text": "one"},
        {"file_path": "u/b.csv", "n": 1},
        {"file_path": "u/b.csv", "n": 2},
        {"file_path": "v/same.txt", "text": "x"},
        {"file_path": "w/same.txt", "text": "y"},
    ]
)


async def retrieved(wanted: str, output: str, value: Any = ROWS, context: FakeRunContext | None = None) -> Any:
    return await output_of(build(FileContentRetriever, context=context, file_data=[value], file_path=wanted), output)


async def test_one_of_the_connected_files_is_found_by_path_or_name() -> None:
    assert (await retrieved("u/a.txt", "content")).text == "one"
    assert (await retrieved("a.txt", "content")).text == "one"
    assert (await retrieved("w/same.txt", "content")).text == "y"
    assert (await retrieved("b.csv", "dataframe")).rows == [{"file_path": "u/b.csv", "n": 1}, {"file_path": "u/b.csv", "n": 2}]


async def test_a_path_alone_is_read_from_the_uploads() -> None:
    context = FakeRunContext(files=FakeFiles({"u/c.csv": b"n\n1\n", "u/d.txt": b"text"}))
    paths = [Data({"file_path": "u/c.csv"}), Data({"file_path": "u/d.txt"})]
    made = build(FileContentRetriever, context=context, file_data=paths, file_path="c.csv")
    assert (await output_of(made, "dataframe")).rows == [{"n": 1}]
    made = build(FileContentRetriever, context=context, file_data=paths, file_path="d.txt")
    assert (await output_of(made, "content")).text == "text"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("", "the file path is empty"),
        ("none.txt", "No file is called 'none.txt'. There are: u/a.txt"),
        ("same.txt", "Several files are"),
        ("/etc/passwd", "No file is called"),
    ],
)
async def test_a_file_that_is_not_connected_is_told_with_those_that_are(wanted: str, reason: str) -> None:
    with pytest.raises(ComponentError, match=reason):
        await retrieved(wanted, "content")


def tool(tools: list[Tool] | None, name: str) -> Tool:
    return next(each for each in tools or () if each.name == name)


async def test_an_agent_lists_reads_and_writes_the_flows_files() -> None:
    context = FakeRunContext(files=FakeFiles({"u/a.txt": b"one"}))
    tools = await build(FileSystem, context=context).tools()
    assert await tool(tools, "list_files").call({}) == {"files": ["u/a.txt"]}
    assert await tool(tools, "read_file").call({"path": "u/a.txt"}) == "one"
    assert await tool(tools, "write_file").call({"name": "b.txt", "content": "two"}) == {"path": "b.txt"}
    context.files.contents[f"{context.flow_id}/c.txt"] = b"of the flow"
    assert await tool(tools, "read_file").call({"path": "c.txt"}) == "of the flow"
    data = await output_of(build(FileSystem, context=context))
    assert data.data["read_only"] is False and "b.txt" in data.data["files"]


async def test_a_read_only_one_has_no_tool_that_writes() -> None:
    tools = await build(FileSystem, read_only=True).tools() or []
    assert [each.name for each in tools] == ["list_files", "read_file"]


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc/x", "a/b", "a\\b", "x\x00"])
async def test_a_name_that_leads_elsewhere_is_refused_in_words_for_the_agent(name: str) -> None:
    context = FakeRunContext()
    with pytest.raises(ToolFailed, match="no file name"):
        await tool(await build(FileSystem, context=context).tools(), "write_file").call({"name": name, "content": "x"})
    assert context.files.contents == {}


async def test_what_the_agent_does_wrong_it_is_told() -> None:
    tools = await build(FileSystem).tools()
    for arguments, reason in (({}, "missing"), ({"path": 1}, "missing"), ({"path": "a", "mode": "rb"}, "no argument 'mode'")):
        with pytest.raises(ToolFailed, match=reason):
            await tool(tools, "read_file").call(arguments)
    with pytest.raises(ToolFailed, match="no file"):
        await tool(tools, "read_file").call({"path": "u/none.txt"})


@pytest.mark.parametrize("root", ["/data", "..", "workspace", "~"])
async def test_a_root_on_the_servers_disk_is_refused(root: str) -> None:
    for made in (build(FileSystem, root_path=root), build(FileSystem, root_path=root)):
        with pytest.raises(ComponentError, match="folders of the server"):
            await made.tools()
    assert await build(FileSystem, root_path="./").tools()


async def test_the_format_of_an_older_document_or_an_agent_counts_before_the_nodes_own() -> None:
    context = FakeRunContext()
    await output_of(build(SaveToFile, context=context, input=Table([{"a": 1}]), file_name="x", file_format="csv"))
    assert context.files.contents == {"x.csv": b"a\n1\n"}
