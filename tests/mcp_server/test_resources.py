"""Files, conversations and plugins' content as resources, in every era and on both kinds of server."""

import asyncio
import json
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from mcp_server.pagination import make_cursor
from mcp_server.resources import PAGE_SIZE
from projects.access.caller import Caller, Credential
from projects.plugin_content import PluginTemplate
from tests.application import Application, open_application
from tests.mcp_server.conftest import ERAS, Served

PIXEL = b"\x89PNG\r\n\x1a\n\x00\x01"
every_era = pytest.mark.parametrize("era", ERAS)


async def upload(application: Application, flow_id: str, name: str, content: bytes) -> str:
    """The file's id."""

    async def pieces() -> Any:
        yield content

    return (await application.services.files.save(application.caller, flow_id, name, pieces())).id


def project_uri(application: Application, file_id: str) -> str:
    return f"headwater://project/{application.project_id}/files/{file_id}"


@every_era
async def test_a_flows_files_are_listed_and_read_as_what_they_are(served: Served, era: str) -> None:
    application = served.application
    flow = await served.add_tool("reader")
    text = await upload(application, flow.id, "größe.md", "# Größe ✓".encode())
    picture = await upload(application, flow.id, "dot.png", PIXEL)
    torn = await upload(application, flow.id, "torn.txt", b"\xff\xfe\x00")
    async with served.client(era) as client:
        assert client.server_capabilities.resources is not None
        assert client.server_capabilities.resources.subscribe is not True
        listed = (await client.list_resources()).resources
        assert [(each.uri, each.name, each.mime_type, each.size) for each in listed] == [
            (project_uri(application, text), "größe.md", "text/markdown", 13),
            (project_uri(application, picture), "dot.png", "image/png", len(PIXEL)),
            (project_uri(application, torn), "torn.txt", "text/plain", 3),
        ]
        read: Any
        (read,) = (await client.read_resource(listed[0].uri)).contents
        assert (read.text, read.mime_type, read.uri) == ("# Größe ✓", "text/markdown", listed[0].uri)
        (read,) = (await client.read_resource(listed[1].uri)).contents
        assert (b64decode(read.blob), read.mime_type) == (PIXEL, "image/png")
        (read,) = (await client.read_resource(listed[2].uri)).contents
        assert b64decode(read.blob) == b"\xff\xfe\x00"


@every_era
async def test_what_there_is_not_is_told_in_each_eras_own_code(served: Served, era: str) -> None:
    application = served.application
    own = (await served.add_tool("reader")).id
    elsewhere = await application.services.projects.create(application.caller, name="Elsewhere")
    other_flow = await served.add_tool("other", project_id=elsewhere.id)
    other_file = await upload(application, other_flow.id, "secret.txt", b"of another project")
    bob = await application.services.accounts.find_user_by_name("bob")
    assert bob is not None
    stranger = Caller(bob.id, "bob", False, Credential.LOCAL)

    async def pieces() -> Any:
        yield b"of another person"

    foreign = await application.services.files.save(stranger, None, "bob.txt", pieces())
    async with served.client(era) as client:
        for uri in (
            project_uri(application, other_file),
            f"headwater://project/{elsewhere.id}/files/{other_file}",
            f"headwater://files/{foreign.id}",
            project_uri(application, foreign.id),
            project_uri(application, own),
            "headwater://project/../files/x",
            "file:///etc/passwd",
            "x" * 20_000,
        ):
            with pytest.raises(MCPError) as refusal:
                await client.read_resource(uri)
            assert refusal.value.error.code == (-32602 if era == "auto" else -32002), uri
            assert "another person" not in str(refusal.value)
        assert (await client.list_resources()).resources == []


async def test_the_global_server_has_every_file_of_its_caller_and_nobody_elses(served: Served) -> None:
    application = served.application
    flow = await served.add_tool("reader")
    of_flow = await upload(application, flow.id, "a.txt", b"a")
    own = await application.http.post("/api/v2/files", files={"file": ("own.txt", b"mine")})
    assert own.status_code == 201, own.text
    address = f"{served.address}/api/v1/mcp/streamable"
    answer = (await served.post("resources/list", address=address)).json()["result"]
    uris = [each["uri"] for each in answer["resources"]]
    assert uris == [project_uri(application, of_flow), f"headwater://files/{own.json()['id']}"]
    assert (answer["cacheScope"], answer["ttlMs"] > 0) == ("private", True)
    strangers = await served.post("resources/list", address=address, headers={"x-api-key": application.stranger.headers["x-api-key"]})
    assert strangers.json()["result"]["resources"] == []
    for uri, text in zip(uris, ("a", "mine"), strict=True):
        read = await served.post("resources/read", {"uri": uri}, address=address, headers=routed(served, uri))
        assert read.json()["result"]["contents"][0]["text"] == text
        foreign = await served.post(
            "resources/read",
            {"uri": uri},
            address=address,
            headers={**routed(served, uri), "x-api-key": application.stranger.headers["x-api-key"]},
        )
        assert foreign.json()["error"]["code"] == -32602


def routed(served: Served, uri: str) -> dict[str, str]:
    return {"x-api-key": served.application.key, "mcp-name": uri}


async def test_resources_come_in_pages_that_what_is_deleted_meanwhile_does_not_move(served: Served) -> None:
    application = served.application
    flow = await served.add_tool("reader")
    ids = [await upload(application, flow.id, f"{number}.txt", b"x") for number in range(PAGE_SIZE * 2 + 3)]
    async with served.client() as client:
        first = await client.list_resources()
        assert [each.uri for each in first.resources] == [project_uri(application, id) for id in ids[:PAGE_SIZE]]
        for number in (PAGE_SIZE - 1, PAGE_SIZE):
            await application.services.files.delete_of_flow(application.caller, flow.id, f"{number}.txt")
        second = await client.list_resources(cursor=first.next_cursor)
        assert [each.uri for each in second.resources] == [project_uri(application, id) for id in ids[PAGE_SIZE + 1 : PAGE_SIZE * 2 + 1]]
        third = await client.list_resources(cursor=second.next_cursor)
        assert [each.uri for each in third.resources] == [project_uri(application, id) for id in ids[PAGE_SIZE * 2 + 1 :]]
        assert third.next_cursor is None


@pytest.mark.parametrize("method", ["resources/list", "resources/templates/list", "prompts/list", "tools/list"])
async def test_a_cursor_that_no_list_gave_out_is_refused(served: Served, method: str) -> None:
    for cursor in ("", "x", "é", "[]", "A" * 5_000, "bnVsbA", make_cursor("other", "a"), make_cursor("tools", "a", "b", "c")):
        answer = await served.post(method, {"cursor": cursor})
        assert answer.json()["error"]["code"] == -32602, cursor


async def test_a_file_too_large_to_read_names_where_to_download_it(tmp_path: Path) -> None:
    async with open_application(tmp_path / "data", max_resource_megabytes=1) as application:
        flow = (await application.http.post("/api/v1/flows/", json={"name": "f", "folder_id": application.project_id})).json()
        file_id = await upload(application, flow["id"], "big.bin", b"x" * 1_000_001)
        async with application.mcp_client() as client:
            with pytest.raises(MCPError, match=f"/api/v1/files/download/{flow['id']}/big.bin") as refusal:
                await client.read_resource(project_uri(application, file_id))
            assert "1,000,000" in str(refusal.value)


@every_era
async def test_clients_hear_of_uploaded_and_deleted_files(served: Served, era: str) -> None:
    application = served.application
    flow = await served.add_tool("reader")
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def note(message: Any) -> None:
        method = getattr(message, "method", "")
        if method == "notifications/resources/list_changed":
            await heard.put(method)

    async with asyncio.timeout(20), served.client(era, message_handler=note) as client:
        if era == "auto":
            async with client.listen(resources_list_changed=True) as changes:
                await upload(application, flow.id, "a.txt", b"a")
                assert type(await anext(changes)).__name__ == "ResourcesListChanged"
                await application.services.files.delete_of_flow(application.caller, flow.id, "a.txt")
                assert type(await anext(changes)).__name__ == "ResourcesListChanged"
        else:
            await client.list_resources()
            await upload(application, flow.id, "a.txt", b"a")
            await heard.get()
            await application.services.files.delete_of_flow(application.caller, flow.id, "a.txt")
            await heard.get()


async def test_a_conversation_of_a_tool_is_read_as_json(served: Served) -> None:
    application = served.application
    flow = await served.add_tool("chat")
    async with served.client() as client:
        await client.call_tool("chat", {"input_value": "hello", "session_id": "room 1/ä"})
        templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        prefix = f"headwater://project/{application.project_id}"
        assert templates == [f"{prefix}/files/{{file_id}}", f"{prefix}/flows/{{flow_id}}/sessions/{{session_id}}"]
        read: Any
        (read,) = (await client.read_resource(f"{prefix}/flows/{flow.id}/sessions/room%201%2F%C3%A4")).contents
        told = json.loads(read.text)
        assert (read.mime_type, told["session_id"]) == ("application/json", "room 1/ä")
        assert [(each["sender_name"], each["text"]) for each in told["messages"]] == [("User", "hello"), ("AI", "hello")]
        with pytest.raises(MCPError):
            await client.read_resource(f"{prefix}/flows/{flow.id}/sessions/other")


PLUGIN = """
from projects.plugin_content import *

def broken():
    raise RuntimeError("inside")

CONTENT = PluginContent(
    resources=(
        PluginResource("note://hello", "hello", lambda: "hi there", description="A greeting."),
        PluginResource("note://broken", "broken", broken),
        PluginResource("headwater://mine", "taken", lambda: "no"),
    ),
    templates=(
        PluginTemplate("note://by/{name}", "by_name", lambda given: None if given["name"] == "nobody" else given["name"].encode(),
                       "application/octet-stream", suggest={"name": lambda typed: [typed + "a", typed + "b"]}),
    ),
    prompts=(
        PluginPrompt("show", lambda given: [
            PromptMessage(TextPart(given["what"])),
            PromptMessage(MediaPart(b"png", "image/png"), "assistant"),
            PromptMessage(EmbeddedPart("note://hello", "hi there")),
        ], (PromptArgument("what", "What to show.", True, suggest=lambda typed: ["this", "that"]),)),
    ),
)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin package, installed for one test."""
    (tmp_path / "plug").mkdir()
    (tmp_path / "plug" / "headwater_note_plugin.py").write_text(PLUGIN)
    information = tmp_path / "plug" / "headwater_note_plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: headwater-note-plugin\nVersion: 1.0\n")
    points = "[headwater.mcp]\nnote = headwater_note_plugin:CONTENT\nbad = headwater_note_plugin:NOTHING\n"
    (information / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path / "plug"))
    sys.modules.pop("headwater_note_plugin", None)


async def test_a_plugins_resources_templates_and_prompts_are_shown_by_every_server(plugin: None, tmp_path: Path) -> None:
    async with open_application(tmp_path / "data") as application, application.mcp_client() as client:
        assert client.server_capabilities.prompts is not None
        assert [each.uri for each in (await client.list_resources()).resources] == ["note://broken", "note://hello"]
        hello: Any = await client.read_resource("note://hello")
        named: Any = await client.read_resource("note://by/a%20b")
        assert (hello.contents[0].text, b64decode(named.contents[0].blob)) == ("hi there", b"a b")
        for uri, code in (("note://by/nobody", -32602), ("note://by/a/b", -32602), ("headwater://mine", -32602), ("note://broken", -32603)):
            with pytest.raises(MCPError) as refusal:
                await client.read_resource(uri)
            assert refusal.value.error.code == code
            assert "inside" not in str(refusal.value)
        shown: Any = await client.get_prompt("show", {"what": "me"})
        assert [message.content.type for message in shown.messages] == ["text", "image", "resource"]
        assert (shown.messages[0].content.text, shown.messages[1].role, shown.messages[2].content.resource.text) == (
            "me",
            "assistant",
            "hi there",
        )
        with pytest.raises(MCPError, match="needs what"):
            await client.get_prompt("show", {})


def test_no_uri_takes_long_to_compare_with_a_template() -> None:
    template = PluginTemplate("a://{x}-{y}-{z}/{w}", "t", lambda given: "")
    assert template.match("a://" + "-" * 1_900) is None
    assert template.match("a://" + "b" * 100_000) is None
    assert PluginTemplate("a://{x}/b/{y}", "t", lambda given: "").match("a://1/b/%2F") == {"x": "1", "y": "/"}
