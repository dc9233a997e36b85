"""Typed tools as the SDK's own client sees them: it checks structured content against the output schema of the list."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from click.testing import CliRunner
from headwater_test_components import PIXEL
from mcp_types import CallToolResult

from mcp_server.cli import commands
from mcp_server.content import EMBEDDED_TEXT_BYTES
from projects.flows.flow import FlowDraft
from tests import flow_documents as flows
from tests.application import Application

PICTURE = b64decode(PIXEL.partition(",")[2])


async def add(application: Application, name: str, document: dict[str, Any], **keys: Any) -> None:
    draft = FlowDraft(name=name, document=json.dumps(document), project_id=application.project_id, is_tool=True, **keys)
    await application.services.flows.create(application.caller, draft)


async def call(application: Application, name: str, arguments: dict[str, Any], *, mode: str = "auto") -> CallToolResult:
    async with application.mcp_client(mode=mode) as client:
        await client.list_tools()
        result = await client.call_tool(name, arguments)
    assert isinstance(result, CallToolResult)
    return result


def writing_files() -> dict[str, Any]:
    """A file of the flow, told as the answer; its text is the chat's."""
    write = flows.node("SaveToFile", "SaveToFile-1", {"file_name": "note", "local_format": "txt"}, outputs=("message",))
    return flows.document(
        [flows.chat_input(), write, flows.chat_output()],
        [flows.edge("ChatInput-in", "SaveToFile-1", "input"), flows.edge("SaveToFile-1", "ChatOutput-out", "input_value")],
    )


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_tool_says_what_it_answers_and_an_answer_has_the_text_and_the_same_typed(application: Application, mode: str) -> None:
    await add(application, "Echo it", flows.echo(), icon="🎉")
    async with application.mcp_client(mode=mode) as client:
        tool = next(tool for tool in (await client.list_tools()).tools if tool.name == "echo_it")
        assert tool.title == "Echo it"
        assert tool.output_schema is not None
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.annotations.idempotent_hint
        result = await client.call_tool("echo_it", {"input_value": "hello ✓"})
    assert isinstance(result, CallToolResult)
    assert result.structured_content == {"text": "hello ✓"}
    assert [block.text for block in result.content] == ["hello ✓"]  # type: ignore[union-attr]


async def test_an_error_has_no_structured_content(application: Application) -> None:
    await add(application, "Echo it", flows.echo())
    result = await call(application, "echo_it", {"input_value": 5})
    assert result.is_error
    assert result.structured_content is None


async def test_a_short_text_file_of_the_answer_is_read_out_and_where_it_is_told_in_the_structured_content(application: Application) -> None:
    await add(application, "Write it", writing_files())
    async with application.mcp_client() as client:
        await client.list_tools()
        result = await client.call_tool("write_it", {"input_value": "kept text"})
        assert isinstance(result, CallToolResult)
        assert [block.type for block in result.content] == ["text", "resource"]
        assert result.content[1].resource.text == "kept text"  # type: ignore[union-attr]
        assert result.structured_content is not None
        (told,) = result.structured_content["files"]
        assert (told["name"], told["mimeType"]) == ("note.txt", "text/plain")
        assert told["uri"] == str(result.content[1].resource.uri)  # type: ignore[union-attr]
        read = await client.read_resource(told["uri"])
    assert "kept text" in read.contents[0].text  # type: ignore[union-attr]


async def test_a_picture_of_the_answer_is_shown_by_what_it_is_and_what_only_pretends_to_be_one_is_a_link(application: Application) -> None:
    async def pieces(content: bytes) -> AsyncIterator[bytes]:
        yield content

    services, caller = application.services, application.caller
    picture = await services.files.save(caller, None, "dot.jpg", pieces(PICTURE))
    pretended = await services.files.save(caller, None, "page.png", pieces(b"<html>"))
    drawn = await services.files.save(caller, None, "drawn.svg", pieces(b"<svg/>"))
    show = flows.node("HeadwaterTestFiles", "Files-1", {"paths": ",".join([picture.path, pretended.path, drawn.path, "gone/x"])})
    await add(application, "Show it", flows.document([show, flows.chat_output()], [flows.edge("Files-1", "ChatOutput-out", "input_value")]))
    result = await call(application, "show_it", {})
    assert [block.type for block in result.content] == ["text", "image", "resource_link", "resource_link", "text"]
    assert result.content[1].mime_type == "image/png"  # type: ignore[union-attr]
    assert b64decode(result.content[1].data) == PICTURE  # type: ignore[union-attr]
    assert "gone/x" in result.content[4].text  # type: ignore[union-attr]


async def test_a_text_file_that_no_model_should_have_to_read_is_a_link(application: Application) -> None:
    async def pieces(content: bytes) -> AsyncIterator[bytes]:
        yield content

    services, caller = application.services, application.caller
    short = await services.files.save(caller, None, "short.txt", pieces(b"x" * EMBEDDED_TEXT_BYTES))
    long = await services.files.save(caller, None, "long.txt", pieces(b"x" * (EMBEDDED_TEXT_BYTES + 1)))
    torn = await services.files.save(caller, None, "torn.txt", pieces(b"\xff\xfe"))
    show = flows.node("HeadwaterTestFiles", "Files-1", {"paths": ",".join([short.path, long.path, torn.path])})
    await add(application, "Show it", flows.document([show, flows.chat_output()], [flows.edge("Files-1", "ChatOutput-out", "input_value")]))
    result = await call(application, "show_it", {})
    assert [block.type for block in result.content] == ["text", "resource", "resource_link", "resource_link"]


async def test_a_flow_that_ends_without_an_output_node_answers_with_its_last_node(application: Application) -> None:
    last = flows.node("JSONtoData", "Json-1", {"json_string": '{"a": [1, 2]}'}, outputs=("data",))
    await add(application, "Record", flows.document([last], []))
    result = await call(application, "record", {})
    assert result.structured_content == {"a": [1, 2]}
    assert json.loads(result.content[0].text) == {"a": [1, 2]}  # type: ignore[union-attr]


def test_the_lint_command_reports_and_ends_with_1_for_errors(tmp_path: Any) -> None:
    runner = CliRunner()
    options = ["--data-dir", str(tmp_path / "data")]
    clean = runner.invoke(commands, ["lint", "--project", "Starter Project", *options])
    assert clean.exit_code == 0, clean.output
    broken = tmp_path / "broken.json"
    node = flows.node("NobodyMadeThis", "NobodyMadeThis-1", {"text": ""})
    broken.write_text(json.dumps({"name": "Broken", "data": flows.document([node], []), "mcp_enabled": True}))
    assert runner.invoke(commands, ["import", str(broken), "--project", "Starter Project", *options]).exit_code == 0
    told = runner.invoke(commands, ["lint", "--project", "Starter Project", "--json", *options], standalone_mode=False)
    findings = json.loads(told.stdout)
    assert told.return_value == 1 or told.exit_code == 1
    assert [finding["tool"] for finding in findings if finding["rule"] == "cannot-run"] == ["broken"]
