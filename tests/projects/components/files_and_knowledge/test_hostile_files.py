"""Files that are broken, locked or far too large end in a clear error, without taking the server's memory."""

import tracemalloc
from pathlib import Path

import pytest

from projects.components.files_and_knowledge import file_contents
from projects.engine.component import ComponentError
from projects.errors import PackageMissing
from tests.office_files import docx, encrypted_pdf, pdf, with_part, xlsx

MEGABYTE = 1_000_000


async def refused(path: str, content: bytes) -> str:
    with pytest.raises(ComponentError) as caught:
        await file_contents.parse(path, content)
    return str(caught.value)


async def test_a_pdf_with_a_password_is_named_and_one_with_an_empty_password_is_read() -> None:
    assert await refused("u/a.pdf", encrypted_pdf("Secret", password="of the owner")) == "a.pdf is protected by a password."
    assert (await file_contents.parse("u/a.pdf", encrypted_pdf("Open", password=""))).text == "Open"


async def test_a_broken_document_is_named_with_what_is_wrong() -> None:
    sheet = xlsx(["a"], [1])
    for content in (sheet[: len(sheet) // 2], b"PK\x03\x04nothing", b"", with_part(sheet, "xl/worksheets/sheet1.xml", b"<worksheet")):
        assert "a.xlsx" in await refused("u/a.xlsx", content)
    letter = docx("text")
    for content in (letter[:-200], with_part(letter, "word/document.xml", b"<w:document"), with_part(letter, "[Content_Types].xml", b"no")):
        assert "a.docx" in await refused("u/a.docx", content)
    page = pdf("text")
    for content in (b"", b"%PDF-1.7", page[:100], page.replace(b"/Pages", b"/Pogos")):
        assert "a.pdf" in await refused("u/a.pdf", content)
    assert "a.json" in await refused("u/a.json", b'{"a": ')


async def test_fifty_megabytes_of_text_are_refused_before_anything_is_made_of_them() -> None:
    content = b"a," * (25 * MEGABYTE)
    tracemalloc.start()
    try:
        for path in ("u/a.txt", "u/a.csv", "u/a.json", "u/a.html"):
            assert "has 50,000,000 characters of text; at most 20,000,000 are taken" in await refused(path, content)
        assert tracemalloc.get_traced_memory()[1] < 250 * MEGABYTE  # a text of that size in each of the errors, and no rows of it
    finally:
        tracemalloc.stop()


async def test_cells_are_bounded_however_they_are_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_contents, "MAX_CELLS", 1_000)
    assert "more than 1,000 cells" in await refused("u/a.csv", b"a," * 2_000)
    assert "more than 1,000 cells" in await refused("u/a.csv", b"a\n" * 900 + b"a," * 90)  # every row would get every column
    assert "1,000 cells" in await refused("u/a.xlsx", xlsx(*([["x"] * 40] * 40)))
    assert "1,000 cells" in await refused("u/a.xlsx", xlsx(*([["x"]] * 90), ["x"] * 90))


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("u/a.docx", "word/document.xml"),
        ("u/a.docx", "word/styles.xml"),
        ("u/a.xlsx", "xl/styles.xml"),
        ("u/a.xlsx", "xl/workbook.xml"),
        ("u/a.xlsx", "_rels/.rels"),
    ],
)
async def test_a_small_archive_with_a_huge_part_is_not_unpacked(path: str, part: str) -> None:
    content = with_part(docx("x") if path.endswith("docx") else xlsx(["x"]), part, b" " * (21 * 1024 * 1024))
    assert len(content) < MEGABYTE
    tracemalloc.start()
    try:
        assert "has a part that unpacks to 22,020,096 bytes" in await refused(path, content)
        assert tracemalloc.get_traced_memory()[1] < MEGABYTE
    finally:
        tracemalloc.stop()


async def test_a_workbook_with_endless_rows_ends_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_contents, "MAX_ROWS", 100)
    assert "100 rows" in await refused("u/a.xlsx", xlsx(*([["x"]] * 300)))


async def test_a_document_with_endless_paragraphs_ends_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_contents, "MAX_ROWS", 100)
    assert await refused("u/a.docx", docx(*(["x"] * 300))) == "a.docx has more than 100 paragraphs."


@pytest.mark.parametrize("kind", ["xlsx", "docx"])
async def test_a_document_reads_no_other_file_and_does_not_multiply_itself(kind: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("the server's secret")
    outside = f'<!DOCTYPE d [<!ENTITY x SYSTEM "{(tmp_path / "secret.txt").as_uri()}">]>'
    doubling = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 9))
    bomb = f'<!DOCTYPE d [<!ENTITY e0 "aaaaaaaaaa">{doubling}]>'
    for before, text in ((outside, "&x;"), (bomb, "&e8;")):
        if kind == "xlsx":
            part = f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>{text}</t></si></sst>'
            content = with_part(xlsx(["x"]), "xl/sharedStrings.xml", (before + part).encode())
        else:
            word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
            part = f'<w:document xmlns:w="{word}"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>'
            content = with_part(docx("x"), "word/document.xml", (before + part).encode())
        try:
            found = (await file_contents.parse(f"u/a.{kind}", content)).text
        except ComponentError as error:
            found = str(error)
        assert "the server's secret" not in found and len(found) < MEGABYTE


async def test_parquet_names_the_line_that_installs_its_parser() -> None:
    with pytest.raises(PackageMissing, match="pip install pyarrow"):
        await file_contents.parse("u/a.parquet", b"PAR1")
