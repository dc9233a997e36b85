"""Read File, Write File, Directory, Load CSV and Load JSON over files in memory."""

import io
import sys
import zipfile
from typing import Any

import pytest
from openpyxl import load_workbook

from projects.components.data_source.load_csv import LoadCSV
from projects.components.data_source.load_json import LoadJSON
from projects.components.files_and_knowledge import file_contents
from projects.components.files_and_knowledge.directory import Directory
from projects.components.files_and_knowledge.read_file import ReadFile
from projects.components.files_and_knowledge.save_to_file import SaveToFile
from projects.engine.component import ComponentError
from projects.engine.values import Data, Message, Table
from projects.errors import PackageMissing
from tests.fakes import FakeFiles, FakeRunContext, build, output_of
from tests.office_files import docx, pdf, xlsx


def context_with(**contents: bytes) -> FakeRunContext:
    return FakeRunContext(files=FakeFiles({name.replace("__", "."): content for name, content in contents.items()}))


async def text_of(context: FakeRunContext, *paths: str, **inputs: Any) -> str:
    message = await output_of(build(ReadFile, context=context, path=list(paths), **inputs), "message")
    text: str = message.text
    return text


async def test_texts_are_joined_by_the_separator() -> None:
    context = context_with(a__txt=b"one", b__md="zwölf".encode(), c__txt="\ufeffthree".encode())
    assert await text_of(context, "a.txt", "b.md", "c.txt", separator=" | ") == "one | zwölf | three"


@pytest.mark.parametrize(
    ("content", "encoding", "text"),
    [
        ("naïve".encode(), "", "naïve"),
        ("naïve".encode("cp1252"), "", "naïve"),
        ("naïve".encode("utf-16"), "", "naïve"),
        ("naïve".encode("latin-1"), "latin-1", "naïve"),
    ],
)
async def test_the_encoding_is_found_out_or_given(content: bytes, encoding: str, text: str) -> None:
    assert await text_of(context_with(a__txt=content), "a.txt", text_encoding=encoding) == text


async def test_pdf_docx_and_html_give_their_text() -> None:
    html = b"<html><head><title>T</title><script>no()</script></head><body><h1>Head</h1><p>A <b>bold</b> word</p></body></html>"
    context = context_with(a__pdf=pdf("Quarterly report"), b__docx=docx("First", "Second"), c__html=html)
    assert await text_of(context, "a.pdf") == "Quarterly report"
    text = await text_of(context, "b.docx")
    assert text.startswith("First\nSecond\n") and "| Ada" in text and "age" in text
    text = await text_of(context, "c.html")
    assert "Head" in text and "A bold word" in text and "no()" not in text


async def test_csv_and_xlsx_give_rows_with_types() -> None:
    context = context_with(a__csv=b"id,name,ok\n007,Ada,true\n8,Bob,\n", b__xlsx=xlsx(["id", "name"], [1, "Ada"], [None, None], [2, "Bob"]))
    reader = build(ReadFile, context=context, path=["a.csv"])
    assert isinstance(reader, ReadFile)
    assert (await reader.load_files_structured()).rows == [{"id": "007", "name": "Ada", "ok": True}, {"id": 8, "name": "Bob", "ok": None}]
    reader = build(ReadFile, context=context, path=["b.xlsx"])
    assert isinstance(reader, ReadFile)
    assert (await reader.load_files_structured()).rows == [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}]
    assert "Bob" in (await reader.load_files_message()).text


async def test_several_files_give_a_row_each_and_the_rows_of_tables() -> None:
    context = context_with(a__txt=b"text", b__csv=b"n,m\n1,2\n3,4\n")
    table = await output_of(build(ReadFile, context=context, path=["a.txt", "b.csv"]), "dataframe")
    assert table.rows == [
        {"file_path": "a.txt", "text": "text"},
        {"n": 1, "m": 2, "file_path": "b.csv"},
        {"n": 3, "m": 4, "file_path": "b.csv"},
    ]


async def test_json_gives_its_value_and_paths_their_paths() -> None:
    context = context_with(a__json=b'{"a": [1, 2]}', b__json=b'[{"x": 1}, {"x": 2}]')
    assert (await output_of(build(ReadFile, context=context, path=["a.json"]), "json")).data == {"a": [1, 2]}
    assert (await output_of(build(ReadFile, context=context, path=["b.json"]), "json")).data == {"results": [{"x": 1}, {"x": 2}]}
    assert (await output_of(build(ReadFile, context=context, path=["a.json", "b.json"]), "path")).text == "a.json\nb.json"


@pytest.mark.parametrize("value", [[Data({"file_path": "a.txt"})], [Message("a.txt")], [Table([{"file_path": "a.txt"}])]])
async def test_an_edge_with_paths_wins_over_the_nodes_own(value: Any) -> None:
    context = context_with(a__txt=b"from the edge", b__txt=b"stored")
    assert await text_of(context, "b.txt", file_path=value) == "from the edge"


async def test_what_cannot_be_read_is_told_or_left_out() -> None:
    context = context_with(a__txt=b"fine", b__bin=b"\x00", c__json=b"{", d__txt=b"a\x00b", e__pdf=b"%PDF-1.4 broken", f__docx=b"no archive")
    assert await text_of(context, "a.txt", "b.bin") == "fine"
    with pytest.raises(ComponentError, match=r"b\.bin is of a kind"):
        await text_of(context, "b.bin", ignore_unsupported_extensions=False)
    for path in ("c.json", "d.txt", "e.pdf", "f.docx"):
        with pytest.raises(ComponentError, match=path.replace(".", r"\.")):
            await text_of(context, path)
        assert await text_of(context, "a.txt", path, silent_errors=True) == "fine"
    with pytest.raises(ComponentError, match="has no file"):
        await text_of(context)
    with pytest.raises(ComponentError, match="AWS"):
        await text_of(context, "a.txt", storage_location=[{"name": "AWS", "icon": "Amazon"}])


async def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_contents, "MAX_UNPACKED_BYTES", 1_000)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" " * 100_000)
    with pytest.raises(ComponentError, match="unpacks to 100,000 bytes"):
        await text_of(context_with(a__xlsx=target.getvalue()), "a.xlsx")


@pytest.mark.parametrize(("module", "path"), [("pypdf", "a.pdf"), ("docx", "a.docx"), ("openpyxl", "a.xlsx")])
async def test_a_missing_parser_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch, module: str, path: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PackageMissing, match=r"pip install 'headwater\[files\]'"):
        await text_of(FakeRunContext(files=FakeFiles({path: b"x"})), path)


# --- Write File -------------------------------------------------------------------------------------------------------

TABLE = Table([{"a": 1, "b": "=1+1"}, {"a": 2, "b": "zwei, drei"}])


async def saved(context: FakeRunContext, value: Any, **inputs: Any) -> tuple[Message, bytes]:
    message = await output_of(build(SaveToFile, context=context, input=value, **inputs))
    return message, context.files.contents[message.data["file_path"]]


@pytest.mark.parametrize(
    ("value", "format", "name", "content"),
    [
        (TABLE, "csv", "out.csv", b'a,b\n1,=1+1\n2,"zwei, drei"\n'),
        (Data({"a": "\u00e4"}), "json", "out.json", '{\n  "a": "ä"\n}\n'.encode()),
        (Message("hello"), "json", "out.json", b'{\n  "message": "hello"\n}\n'),
        (Message("hello"), "txt", "out.txt", b"hello"),
        (Message("# hi"), "markdown", "out.md", b"# hi"),
    ],
)
async def test_values_are_written_in_each_format(value: Any, format: str, name: str, content: bytes) -> None:
    message, written = await saved(FakeRunContext(), value, file_name="out", local_format=format)
    assert message.data["file_path"] == name and name in message.text
    assert written == content


async def test_a_workbook_holds_texts_as_texts() -> None:
    _, content = await saved(FakeRunContext(), TABLE, file_name="out.xlsx", local_format="xlsx")
    sheet = load_workbook(io.BytesIO(content)).worksheets[0]
    assert [[cell.value for cell in row] for row in sheet.iter_rows()] == [["a", "b"], [1, "=1+1"], [2, "zwei, drei"]]
    assert sheet["B2"].data_type == "s"


async def test_appending_adds_to_the_flows_own_file() -> None:
    context = FakeRunContext()
    for name, before in (("a.txt", b"one"), ("a.json", b'[{"n": 1}]'), ("a.csv", b"a,b\n0,x\n")):
        context.files.contents[f"{context.flow_id}/{name}"] = before
    options = {"append_mode": True, "file_name": "a"}
    assert (await saved(context, Message("two"), local_format="txt", **options))[1] == b"one\ntwo"
    assert b'"n": 2' in (await saved(context, Data({"n": 2}), local_format="json", **options))[1]
    assert (await saved(context, Table([{"a": 1, "b": "y"}]), local_format="csv", **options))[1] == b"a,b\n0,x\n1,y\n"
    with pytest.raises(ComponentError, match="other columns"):
        await saved(context, Table([{"c": 1}]), local_format="csv", **options)


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", "/etc/x", "a\\b", "a\x00"])
async def test_a_file_name_is_a_name_alone(name: str) -> None:
    context = FakeRunContext()
    with pytest.raises(ComponentError, match="no file name"):
        await saved(context, Message("x"), file_name=name, local_format="txt")
    assert context.files.contents == {}


async def test_other_storages_and_formats_are_refused() -> None:
    with pytest.raises(ComponentError, match="Google Drive"):
        await saved(FakeRunContext(), Message("x"), file_name="a", storage_location=[{"name": "Google Drive"}])
    with pytest.raises(ComponentError, match="parquet"):
        await saved(FakeRunContext(), TABLE, file_name="a", local_format="parquet")


# --- the older ones ---------------------------------------------------------------------------------------------------


async def test_directory_reads_uploads_and_no_folder_of_the_server() -> None:
    context = context_with(a__txt=b"one", b__md=b"two", c__bin=b"\x00")
    table = await output_of(build(Directory, context=context))
    assert [row["text"] for row in table.rows] == ["one", "two"]
    table = await output_of(build(Directory, context=context, types=["md"]))
    assert [row["file_path"] for row in table.rows] == ["b.md"]
    for path in ("/etc", "..", "../x", "~", "a/b"):
        with pytest.raises(ComponentError, match="folders of the server"):
            await output_of(build(Directory, context=context, path=path))


CSV_INPUTS: list[dict[str, Any]] = [{"csv_file": "a.csv"}, {"csv_path": "a.csv"}, {"csv_string": "n\n1\n2"}]
BAD_CSV_INPUTS: list[dict[str, Any]] = [{}, {"csv_path": "a.csv", "csv_string": "n\n1"}]


async def test_csv_and_json_come_from_a_file_a_path_or_a_text() -> None:
    context = context_with(a__csv=b"n\n1\n2\n", a__json=b'{"a": 1,}')
    for inputs in CSV_INPUTS:
        assert [item.data for item in await output_of(build(LoadCSV, context=context, **inputs))] == [{"n": 1}, {"n": 2}]
    assert (await output_of(build(LoadJSON, context=context, json_file="a.json"))).data == {"a": 1}
    assert [item.data for item in await output_of(build(LoadJSON, json_string='[{"a": 1}, 2]'))] == [{"a": 1}, {"value": 2}]
    for inputs in BAD_CSV_INPUTS:
        with pytest.raises(ComponentError, match="once"):
            await output_of(build(LoadCSV, context=context, **inputs))


async def test_as_a_tool_it_reads_its_own_files_and_says_which() -> None:
    context = context_with(a__txt=b"one", b__txt=b"two")
    tools = await build(ReadFile, context=context, path=["a.txt", "b.txt"], separator="|").tools()
    assert tools is not None
    (tool,) = tools
    assert (tool.name, tool.parameters["properties"]) == ("load_files_message", {})
    assert tool.description == "Reads these files: a.txt, b.txt."
    assert (await tool.call({})).text == "one|two"


async def test_as_a_tool_without_files_it_takes_a_path() -> None:
    assert await build(ReadFile, context=context_with()).tools() is None


@pytest.mark.parametrize(
    ("kind", "field", "format", "value", "written"),
    [
        ("DataFrame", "df", "csv", Table([{"a": 1}]), b"a\n1\n"),
        ("Data", "data", "json", Data({"a": "b"}), b'{\n  "a": "b"\n}\n'),
        ("Message", "message", "txt", Message(text="hi"), b"hi"),
    ],
)
async def test_an_older_node_has_what_arrives_and_the_name_in_other_fields(
    kind: str, field: str, format: str, value: Any, written: bytes
) -> None:
    context = context_with()
    given = {"input_type": kind, field: value, "file_format": format, "file_path": "/srv/out/report"}
    message = await output_of(build(SaveToFile, context=context, **given))
    assert message.files == [f"report.{format}"]
    assert context.files.contents[f"report.{format}"].replace(b"\r", b"") == written
