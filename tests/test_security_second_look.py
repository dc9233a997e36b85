"""Security cases that a second look found: small things that would take a whole machine, and files that are not everybody's."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from projects.components import html_pages, markdown_table, placeholders, safe_xml
from projects.components.cells import csv_rows
from projects.components.files_and_knowledge import file_contents
from projects.components.processing.transformations import chunks, json_repair
from projects.engine import steps
from projects.engine.component import ComponentError
from projects.engine.values import Data, Message, Table
from projects.errors import LimitReached
from projects.outgoing import bounds
from projects.voice.speech import Sentences
from tests import flow_documents as flows
from tests import prepared_folders
from tests.application import ADDRESS, Application, browser, open_application
from tests.issuer import open_issuer
from tests.mcp_server.conftest import TLS, serve
from tests.office_files import docx, with_part, xlsx

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


async def run(application: Application, document: dict[str, Any], text: str) -> httpx.Response:
    made = await application.http.post("/api/v1/flows/", json={"name": "grows", "data": document})
    assert made.status_code == 201, made.text
    return await application.http.post(f"/api/v1/run/{made.json()['id']}", json={"input_value": text})


# What grows ---------------------------------------------------------------------------------------------------------------------------


def doubling(times: int) -> dict[str, Any]:
    nodes, edges = [flows.chat_input()], []
    before, output = "ChatInput-in", "message"
    for number in range(times):
        id = f"CombineText-{number}"
        nodes.append(flows.node("CombineText", id, {"text1": "", "text2": "", "delimiter": ""}, outputs=("combined_text",)))
        edges += [flows.edge(before, id, field, output=output) for field in ("text1", "text2")]
        before, output = id, "combined_text"
    nodes.append(flows.chat_output())
    return flows.document(nodes, [*edges, flows.edge(before, "ChatOutput-out", "input_value", output=output)])


async def test_a_text_that_each_node_doubles_ends_the_run_and_not_the_server(application: Application) -> None:
    answer = await run(application, doubling(40), "a" * 1_000)
    assert (answer.status_code, "50,000,000 characters" in answer.text) == (422, True)
    fine = await run(application, doubling(4), "ab")
    assert fine.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"] == "ab" * 16


async def test_a_template_that_repeats_a_long_text_ends_the_run_and_not_the_server(application: Application) -> None:
    document = flows.document(
        [flows.chat_input(), flows.prompt("Prompt-p", "{x}" * 200_000, "x"), flows.chat_output()],
        [flows.edge("ChatInput-in", "Prompt-p", "x"), flows.edge("Prompt-p", "ChatOutput-out", "input_value", output="prompt")],
    )
    answer = await run(application, document, "a" * 100_000)
    assert (answer.status_code, "50,000,000 characters" in answer.text) == (422, True)


def test_what_stands_in_a_value_many_times_counts_each_time() -> None:
    long = "a" * 1_000_000
    inner: Any = {"text": long}
    for _ in range(60):
        inner = {"one": inner, "other": inner}
    numbers = [[0.5] * 1_000_000] * 60
    for value in (Message(data=inner), Data(data=inner), Table(rows=[{"text": long}] * 100), [long] * 100, {"all": [[inner]]}, numbers):
        with pytest.raises(LimitReached):
            steps.Steps().count_result(value)
    taken = steps.Steps()
    with pytest.raises(LimitReached, match="together"):
        for _ in range(1_001):
            taken.count_result(long)


def test_one_long_cell_does_not_make_every_row_as_long() -> None:
    table = Table(rows=[{"a": "x" * 1_000_000}, *({"a": "y"} for _ in range(1_000))])
    with pytest.raises(ComponentError, match="1,000,000 characters in 'a'"):
        markdown_table.render(table)


def test_chunks_that_overlap_nearly_whole_are_bounded() -> None:
    with pytest.raises(ComponentError, match="overlap less"):
        chunks.split("a " * 50_000, separator=" ", chunk_size=50_000, overlap=49_999)


def test_a_list_in_a_thousand_lists_is_no_thousand_blanks_wide() -> None:
    page = html_pages.read("<ul>" * 200_000 + "<li>a" * 200_000, markdown=True)
    assert page.text == "\n".join(["- a"] * 200_000)


# What takes time ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [',"', "a,'b", ',"x', '\t"a"b', '"a"x,'])
def test_no_line_of_a_csv_file_keeps_its_reader_busy(unit: str) -> None:
    """The standard library's sniffer takes the square of what it is given, and no other thread runs meanwhile."""
    started = time.process_time()
    with suppress(ValueError):
        csv_rows(unit * 20_000, max_rows=1_000, max_cells=200_000)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("text", ["{{a" + " " * 200_000, "{{" * 100_000, "{{ " * 100_000, "{{a }}" * 20_000])
def test_no_template_takes_longer_than_its_length(text: str) -> None:
    started = time.process_time()
    placeholders.fill_double(text, lambda name: "")
    placeholders.fill(text, lambda name: "")
    assert time.process_time() - started < 2


@pytest.mark.parametrize("unit", ["/*,", '{"a":/*', "//", "/**/"])
def test_no_broken_json_takes_longer_than_its_length(unit: str) -> None:
    started = time.process_time()
    with suppress(json_repair.NotReadable):
        json_repair.repaired("[" + unit * 30_000)
    assert time.process_time() - started < 2


def test_no_row_of_dots_keeps_the_speaker_busy() -> None:
    started = time.process_time()
    sentences = Sentences()
    assert sentences.add("." * 50_000) == []
    assert sentences.add(" and") == ["." * 50_000]
    assert time.process_time() - started < 2


def test_a_page_of_tags_alone_is_refused_and_a_number_of_digits_alone_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    assert html_pages.read("<p>&#" + "9" * 5_000 + "; &amp;").text.endswith("; &amp;")
    assert html_pages.read("<p title='&#" + "9" * 5_000 + ";'>x").text == "x"
    monkeypatch.setattr(html_pages, "MAX_TAGS", 1_000)
    with pytest.raises(ComponentError, match="1,000 tags"):
        html_pages.read("<b>" * 1_100)


# Files that are made to cost ----------------------------------------------------------------------------------------------------------


async def test_a_workbooks_row_that_says_it_is_the_billionth_ends_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_contents, "MAX_CELLS", 10_000)
    rows = "".join(f'<row r="{number}"><c t="inlineStr"><is><t>x</t></is></c></row>' for number in (1, 99_999_999_999))
    content = with_part(
        xlsx(["a"]), "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{SHEET}"><sheetData>{rows}</sheetData></worksheet>'.encode()
    )
    with pytest.raises(ComponentError, match="more than 10,000 cells"):
        async with asyncio.timeout(30):
            await file_contents.parse("u/a.xlsx", content)


def table(*rows: str) -> bytes:
    written = "".join(f"<w:tr>{row}</w:tr>" for row in rows)
    return with_part(
        docx("x"), "word/document.xml", f'<w:document xmlns:w="{WORD}"><w:body><w:tbl>{written}</w:tbl></w:body></w:document>'.encode()
    )


def cell(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>"


async def test_a_cell_that_says_it_is_a_billion_wide_ends_at_the_bound() -> None:
    with pytest.raises(ComponentError, match="more than 2,000,000 cells"):
        await file_contents.parse("u/a.docx", table(cell("x", '<w:gridSpan w:val="1000000000"/>')))


async def test_merged_cells_are_read_in_each_of_their_places_however_many_they_are() -> None:
    first = cell("long", '<w:vMerge w:val="restart"/>') + cell("a") + cell("wide", '<w:gridSpan w:val="2"/>')
    further = cell("", "<w:vMerge/>") + cell("b") + cell("c") + cell("d")
    started = time.process_time()
    found = await file_contents.parse("u/a.docx", table(cell("h1") + cell("h2") + cell("h3") + cell("h4"), first, *[further] * 1_000))
    assert time.process_time() - started < 20
    lines = found.text.split("\n")
    assert [part.strip() for part in lines[2].strip("|").split("|")] == ["long", "a", "wide", "wide"]
    assert {tuple(part.strip() for part in line.strip("|").split("|")) for line in lines[3:]} == {("long", "b", "c", "d")}
    assert len(lines) == 1_003


def test_a_feed_of_a_million_elements_is_refused() -> None:
    with pytest.raises(safe_xml.UnreadableXml, match="200,000 elements"):
        safe_xml.parse("<a>" + "<b/>" * 300_000 + "</a>")


async def test_what_comes_behind_the_end_of_a_compressed_answer_is_bounded_too() -> None:
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    packed = packer.compress(b"hello") + packer.flush()

    async def endless() -> AsyncIterator[bytes]:
        yield packed
        for piece in repeat(b"x" * 1_000, 10_000):
            yield piece

    read: list[bytes] = []
    with pytest.raises(LimitReached):
        async for piece in bounds.bounded(endless(), bounds.Bounds("gzip", "", 100_000, None)):
            read.append(piece)
    assert b"".join(read) == b"hello"


# Logins -------------------------------------------------------------------------------------------------------------------------------


async def test_no_page_of_another_site_logs_its_visitor_in_as_somebody_else(tmp_path: Path) -> None:
    first = prepared_folders.FIRST_USER
    sent = {"username": first["superuser"], "password": first["superuser_password"].get_secret_value()}
    async with open_application(tmp_path / "data", cors_origins=["https://app.example"], logins_per_minute=100) as application:
        for origin in ("https://evil.example", "null", "http://127.0.0.1:7860.evil.example", "http://127.0.0.1:7861", ""):
            async with browser(application.app) as visitor:
                answer = await visitor.post("/api/v1/login", data=sent, headers={"origin": origin})
                assert (answer.status_code, list(visitor.cookies)) == (403, []), origin
                assert repr(origin) in answer.json()["detail"] and "HEADWATER_PUBLIC_URL" in answer.json()["detail"]
        for headers in ({}, {"origin": ADDRESS}, {"origin": "https://app.example"}):
            async with browser(application.app) as visitor:
                answer = await visitor.post("/api/v1/login", data=sent, headers=headers)
                assert (answer.status_code, "access_token_lf" in visitor.cookies) == (200, True), headers


async def test_a_stolen_session_does_not_come_back_with_the_account(application: Application) -> None:
    accounts = application.services.accounts
    await accounts.create_user("mallory", "the password")
    user_id = next(each.id for each in await accounts.list_users() if each.username == "mallory")
    session = {"authorization": f"Bearer {(await accounts.log_in('mallory', 'the password')).access_token}"}
    assert (await application.nobody.get("/api/v1/users/whoami", headers=session)).status_code == 200
    for is_active in (False, True):
        changed = await application.http.patch(f"/api/v1/users/{user_id}", json={"is_active": is_active})
        assert changed.status_code == 200, changed.text
        assert (await application.nobody.get("/api/v1/users/whoami", headers=session)).status_code == 401
    session = {"authorization": f"Bearer {(await accounts.log_in('mallory', 'the password')).access_token}"}
    for is_active in (False, True):
        await accounts.set_active("mallory", is_active)
        assert (await application.nobody.get("/api/v1/users/whoami", headers=session)).status_code == 401


# Files of a project that trusts an authorization server -------------------------------------------------------------------------------


async def test_subjects_of_one_project_see_no_list_of_its_files_and_read_what_an_answer_told_them(tmp_path: Path) -> None:
    async with (
        open_issuer() as issuer,
        open_application(tmp_path / "data", allowed_addresses=[f"127.0.0.1:{issuer.web.port}"]) as application,
        serve(application) as served,
    ):
        address = f"{served.address}/api/v1/mcp/project/{application.project_id}"
        chosen = {"settings": [], "auth_settings": issuer.settings()}
        assert (await served.http.patch(address, json=chosen, headers={"x-api-key": application.key})).status_code == 200
        document = flows.document(
            [flows.chat_input(files={"value": "", "type": "file", "list": True, "api_editable": True}), flows.chat_output()],
            [flows.edge("ChatInput-in", "ChatOutput-out", "input_value")],
        )
        flow = await served.add_tool("shows", document)

        async def kept(flow_id: str | None, name: str) -> Any:
            async def pieces() -> AsyncIterator[bytes]:
                yield f"for {name}".encode()

            return await application.services.files.save(application.caller, flow_id, name, pieces())

        of_carol, private = await kept(flow.id, "carol.txt"), await kept(None, "private.txt")
        uri = f"headwater://project/{application.project_id}/files/{of_carol.id}"
        headers = {"authorization": f"Bearer {issuer.token(served.project_address(), sub='dave')}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30, verify=TLS) as http,
            Client(streamable_http_client(served.project_address(), http_client=http)) as client,
        ):
            assert (await client.list_resources()).resources == []
            (read,) = (await client.read_resource(uri)).contents
            assert read.text == "for carol.txt"  # type: ignore[union-attr]
            for wrong in (private.path, private.id):
                refused = await client.call_tool("shows", {"input_value": "x", "files": [wrong]})
                assert refused.is_error, refused
                assert "Only files of the flow" in refused.content[0].text  # type: ignore[union-attr]
            taken = await client.call_tool("shows", {"input_value": "x", "files": [of_carol.path]})
            assert not taken.is_error, taken
