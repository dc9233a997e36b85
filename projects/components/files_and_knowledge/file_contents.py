"""What is in a file: its text, and rows or a JSON value where it has them. Told by the ending, parsed in a thread, within bounds."""

from __future__ import annotations

import asyncio
import importlib
import io
import logging
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from projects.components import html_pages, markdown_table
from projects.components.cells import column_names, csv_rows
from projects.components.conversion import read_json
from projects.engine.component import ComponentError
from projects.engine.values import Row, Table
from projects.errors import PackageMissing

if TYPE_CHECKING:
    from docx.table import Table as DocumentTable

MAX_ROWS = 200_000
MAX_CELLS = 2_000_000
MAX_CHARACTERS = 20_000_000
MAX_PAGES = 5_000
MAX_UNPACKED_BYTES = 300 * 1024 * 1024
MAX_PART_BYTES = 20 * 1024 * 1024  # of a part of an Office file that its parser holds as a tree, many times its size

INSTALL = "pip install 'headwater[files]'"
_TEXT = """
txt md mdx markdown rst log text csv tsv json jsonl ndjson yaml yml toml ini cfg conf xml svg html htm xhtml sql py js ts tsx jsx sh bash
css scss java c h cpp go rs rb php kt swift r tex srt vtt eml env properties
"""
TEXT_ENDINGS = frozenset(_TEXT.split())
ENDINGS = TEXT_ENDINGS | {"pdf", "docx", "xlsx", "parquet"}
_READ_IN_PIECES = ("xl/worksheets/", "xl/sharedStrings.xml")


@dataclass(frozen=True, slots=True)
class FileContents:
    """`table` is set for csv and xlsx, `value` for json (`has_value` tells null from nothing)."""

    path: str
    text: str
    table: Table | None = None
    value: Any = None
    has_value: bool = False

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def ending_of(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower() if "." in path.rpartition("/")[2] else ""


def is_supported(path: str) -> bool:
    """Known endings, and no ending at all: then it is text or is refused."""
    ending = ending_of(path)
    return not ending or ending in ENDINGS


async def parse(path: str, content: bytes, *, encoding: str = "") -> FileContents:
    """Raises ComponentError for what cannot be read, PackageMissing when a parser is not installed."""
    contents = await asyncio.to_thread(_parse, path, content, encoding)
    _check_length(contents.name, contents.text)
    return contents


def _check_length(name: str, text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise ComponentError(f"{name} has {len(text):,} characters of text; at most {MAX_CHARACTERS:,} are taken.")


def _parse(path: str, content: bytes, encoding: str) -> FileContents:
    parser = _PARSERS.get(ending_of(path))
    try:
        if parser is not None:
            return parser(path, content)
        text = decoded(content, encoding)
        _check_length(path.rpartition("/")[2], text)  # before anything is made of it
        match ending_of(path):
            case "csv" | "tsv":
                columns, rows = csv_rows(text, max_rows=MAX_ROWS, max_cells=MAX_CELLS)
                return FileContents(path, text, table=Table(rows=rows, columns=columns))
            case "json":
                return FileContents(path, text, value=read_json(text), has_value=True)
            case "html" | "htm" | "xhtml":
                return FileContents(path, html_pages.read(text).text)
            case _:
                return FileContents(path, text)
    except (ComponentError, PackageMissing):
        raise
    except ValueError as error:
        raise ComponentError(f"{path.rpartition('/')[2]} cannot be read: {error}.") from None


def decoded(content: bytes, encoding: str = "") -> str:
    """Text in the named encoding, else UTF-8, UTF-16 with its mark, or what Windows writes. Raises ValueError for what is no text."""
    if encoding.strip():
        try:
            return content.decode(encoding.strip())
        except (LookupError, UnicodeDecodeError) as error:
            raise ValueError(f"it is not {encoding.strip()} text ({error})") from None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if "\x00" in text:
        raise ValueError("it is no text")
    return text


def _pdf(path: str, content: bytes) -> FileContents:
    try:
        from pypdf import PdfReader
        from pypdf.errors import PyPdfError
    except ImportError as error:
        raise _missing("pypdf", "PDF") from error
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of every oddity of a document
    name = path.rpartition("/")[2]
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ComponentError(f"{name} is protected by a password.")
        if len(reader.pages) > MAX_PAGES:
            raise ComponentError(f"{name} has {len(reader.pages):,} pages; at most {MAX_PAGES:,} are read.")
        pages: list[str] = []
        size = 0
        for page in reader.pages:
            pages.append(page.extract_text())
            size += len(pages[-1])
            if size > MAX_CHARACTERS:
                raise ComponentError(f"{name} has more than {MAX_CHARACTERS:,} characters of text.")
    except ComponentError:
        raise
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, NotImplementedError) as error:
        # A damaged document fails anywhere inside the parser.
        raise ComponentError(f"{name} cannot be read as PDF: {error or type(error).__name__}.") from error
    text = "\n\n".join(page.strip() for page in pages if page.strip())
    if not text:
        raise ComponentError(f"{name} holds no text, only pictures perhaps; text recognition is not supported.")
    return FileContents(path, text.encode(errors="replace").decode().replace("\x00", ""))


def _docx(path: str, content: bytes) -> FileContents:
    try:
        from docx import Document
        from docx.table import Table as WrittenTable
    except ImportError as error:
        raise _missing("python-docx", "DOCX") from error
    name = path.rpartition("/")[2]
    _check_archive(name, content)
    try:
        parts: list[str] = []
        count = 0
        for number, part in enumerate(Document(io.BytesIO(content)).iter_inner_content()):
            if number >= MAX_ROWS:
                raise ComponentError(f"{name} has more than {MAX_ROWS:,} paragraphs.")
            if isinstance(part, WrittenTable):
                # One cell may say that it is as wide as a billion.
                count += sum(cell.grid_span for row in part.rows for cell in row._tr.tc_lst)
                if count > MAX_CELLS:
                    raise ComponentError(f"{name} has tables of more than {MAX_CELLS:,} cells.")
                rows = _docx_rows(part)
                if rows:
                    columns = column_names(rows[0])
                    cells = [dict(zip(columns, row, strict=False)) for row in rows[1:]]
                    parts.append(markdown_table.render(Table(rows=cells, columns=columns)))
            elif part.text.strip():
                parts.append(part.text)
    except ComponentError:
        raise
    except (ValueError, KeyError, AttributeError, IndexError, SyntaxError, OSError) as error:
        raise ComponentError(f"{name} cannot be read as DOCX: {error or type(error).__name__}.") from error
    return FileContents(path, "\n".join(parts))


def _docx_rows(table: DocumentTable) -> list[list[str]]:
    """The texts of the grid: a merged cell's in each place it takes. The library looks for what is above a cell anew for each of them."""
    from docx.table import _Cell

    rows: list[list[str]] = []
    above: dict[int, str] = {}
    for row in table.rows:
        texts: list[str] = []
        here: dict[int, str] = {}
        column = row.grid_cols_before
        for cell in row._tr.tc_lst:
            text = above.get(column, "") if cell.vMerge == "continue" else _Cell(cell, table).text.strip()
            here[column] = text
            texts += [text] * cell.grid_span
            column += cell.grid_span
        rows.append(texts)
        above = here
    return rows


def _xlsx(path: str, content: bytes) -> FileContents:
    """The first sheet with anything in it as the table, all sheets as text."""
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise _missing("openpyxl", "XLSX") from error
    name = path.rpartition("/")[2]
    _check_archive(name, content)
    tables: list[tuple[str, Table]] = []
    count = 0
    try:
        workbook = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        try:
            for sheet in workbook.worksheets:
                lines: list[Sequence[Any]] = []
                for line in sheet.iter_rows(values_only=True):
                    count += max(1, len(line))  # a row may say that it is the billionth, and the empty ones before it are given too
                    if count > MAX_CELLS or len(lines) > MAX_ROWS:
                        raise ComponentError(f"{name} has more than {MAX_CELLS:,} cells or {MAX_ROWS:,} rows.")
                    if any(cell is not None for cell in line):
                        lines.append(line)
                if lines:
                    tables.append((sheet.title, _sheet_table(lines)))
        finally:
            workbook.close()
    except ComponentError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, SyntaxError, OSError, zipfile.BadZipFile) as error:
        raise ComponentError(f"{name} cannot be read as XLSX: {error or type(error).__name__}.") from error
    if not tables:
        return FileContents(path, "", table=Table())
    several = len(tables) > 1
    text = "\n\n".join((f"## {title}\n\n" if several else "") + markdown_table.render(table) for title, table in tables)
    return FileContents(path, text, table=tables[0][1])


def _parquet(path: str, content: bytes) -> FileContents:
    """Not among the extras: the library is larger than the server."""
    name = path.rpartition("/")[2]
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise PackageMissing("Reading Parquet files needs the package pyarrow: pip install pyarrow. Or convert the file to CSV.") from error
    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        told = file.metadata
        unpacked = sum(told.row_group(number).total_byte_size for number in range(told.num_row_groups))
        if told.num_rows > MAX_ROWS or told.num_rows * told.num_columns > MAX_CELLS or unpacked > MAX_UNPACKED_BYTES:
            raise ComponentError(f"{name} has more than {MAX_CELLS:,} cells, {MAX_ROWS:,} rows or {MAX_UNPACKED_BYTES:,} bytes.")
        columns = [str(each) for each in file.schema_arrow.names]
        rows: list[Row] = [{column: _plain(cell) for column, cell in row.items()} for row in file.read().to_pylist()]
    except (ValueError, KeyError, TypeError, OSError, NotImplementedError) as error:  # what its own errors are derived from
        raise ComponentError(f"{name} cannot be read as Parquet: {error or type(error).__name__}.") from error
    table = Table(rows=rows, columns=columns)
    return FileContents(path, markdown_table.render(table), table=table)


def _sheet_table(lines: list[Sequence[Any]]) -> Table:
    width = max(len(line) for line in lines)
    while width > 1 and all(len(line) < width or line[width - 1] is None for line in lines):
        width -= 1
    if width * len(lines) > MAX_CELLS:
        raise ValueError(f"it has more than {MAX_CELLS:,} cells")
    header = ["" if cell is None else str(cell) for cell in lines[0][:width]]
    columns = column_names([*header, *([""] * (width - len(header)))])
    rows: list[Row] = [
        {name: _plain(line[index] if index < len(line) else None) for index, name in enumerate(columns)} for line in lines[1:]
    ]
    return Table(rows=rows, columns=columns)


def _plain(cell: Any) -> Any:
    if cell is None or isinstance(cell, str | int | float | bool):
        return cell
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)


def _check_archive(name: str, content: bytes) -> None:
    """Office files are archives: a small one must not unpack to a huge one."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            largest = max((entry.file_size for entry in archive.infolist() if _is_held_whole(entry.filename)), default=0)
    except (zipfile.BadZipFile, OSError) as error:
        raise ComponentError(f"{name} is no Office document: {error}.") from None
    if size > MAX_UNPACKED_BYTES:
        raise ComponentError(f"{name} unpacks to {size:,} bytes; at most {MAX_UNPACKED_BYTES:,} are read.")
    if largest > MAX_PART_BYTES:
        raise ComponentError(f"{name} has a part that unpacks to {largest:,} bytes; at most {MAX_PART_BYTES:,} are read.")


def _is_held_whole(part: str) -> bool:
    return part.endswith((".xml", ".rels")) and not part.startswith(_READ_IN_PIECES)


def _missing(package: str, kind: str) -> PackageMissing:
    return PackageMissing(f"Reading {kind} files needs the package {package}: {INSTALL}")


_PARSERS: dict[str, Callable[[str, bytes], FileContents]] = {"pdf": _pdf, "docx": _docx, "xlsx": _xlsx, "parquet": _parquet}
