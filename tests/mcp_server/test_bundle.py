"""A project's bundle and `server.json`: got over REST and by the command, and the bundle run as a client runs it."""

import asyncio
import io
import json
import sys
import urllib.request
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.application import ADDRESS, Application, open_application
from tests.commands import headwater
from tests.flow_documents import echo
from tests.running_server import free_port, running_server

SECONDS = 60


async def test_the_owner_gets_the_bundle_and_nobody_else(application: Application) -> None:
    path = f"/api/v1/mcp/project/{application.project_id}/bundle"
    answer = await application.http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith('attachment; filename="hw-')
    assert answer.headers["content-disposition"].endswith(".mcpb")
    assert application.key.encode() not in answer.content
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        texts = [archive.read(name).decode() for name in archive.namelist()]
    assert all(application.key not in text for text in texts)
    assert manifest["server"]["mcp_config"]["args"][1] == f"{ADDRESS}/api/v1/mcp/project/{application.project_id}/streamable"
    assert manifest["user_config"]["api_key"]["sensitive"] is True
    listed = await application.services.tools.list_tools(application.caller, application.project_id)
    assert [tool["name"] for tool in manifest["tools"]] == [tool.name for tool in listed]
    assert (await application.http.get(path)).content == answer.content
    for who, status in ((application.stranger, 404), (application.nobody, 403)):
        assert (await who.get(path)).status_code == status
        assert (await who.get(path.replace("bundle", "server.json"))).status_code == status
    assert (await application.http.get("/api/v1/mcp/project/nothing/bundle")).status_code == 422


async def test_the_manifest_for_registries_names_both_transports_and_asks_for_the_key(application: Application) -> None:
    path = f"/api/v1/mcp/project/{application.project_id}"
    manifest = (await application.http.get(f"{path}/server.json")).json()
    assert [(each["type"], each["url"]) for each in manifest["remotes"]] == [
        ("streamable-http", f"{ADDRESS}{path}/streamable"),
        ("sse", f"{ADDRESS}{path}/sse"),
    ]
    for remote in manifest["remotes"]:
        (header,) = remote["headers"]
        assert (header["name"], header["isRequired"], header["isSecret"]) == ("x-api-key", True, True)
    opened = {"settings": [], "auth_settings": {"auth_type": "none"}}
    assert (await application.http.patch(path, json=opened)).status_code == 200
    assert all("headers" not in each for each in (await application.http.get(f"{path}/server.json")).json()["remotes"])
    content = (await application.http.get(f"{path}/bundle")).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert "user_config" not in json.loads(archive.read("manifest.json"))


async def test_projects_whose_names_come_out_the_same_have_bundles_of_two_names(application: Application) -> None:
    names = set()
    for name in ("Orders", "Orders!", "ordérs"):
        project = (await application.http.post("/api/v1/projects/", json={"name": name})).json()
        manifest = (await application.http.get(f"/api/v1/mcp/project/{project['id']}/server.json")).json()
        names.add(manifest["name"])
    assert len(names) == 3 and "local/hw-orders" in names


async def test_a_public_address_is_the_one_that_clients_are_given(tmp_path: Path) -> None:
    async with open_application(tmp_path, public_url="https://tools.example.org/flows") as application:
        manifest = (await application.http.get(f"/api/v1/mcp/project/{application.project_id}/server.json")).json()
    assert manifest["name"].startswith("org.example.tools/hw-")
    assert manifest["remotes"][0]["url"].startswith("https://tools.example.org/flows/api/v1/mcp/project/")


async def test_an_address_that_no_client_takes_is_refused_with_the_way_out(tmp_path: Path) -> None:
    async with open_application(tmp_path, host="0.0.0.0") as application:
        path = f"/api/v1/mcp/project/{application.project_id}/bundle"
        refused = await application.http.get(path, headers={"host": "under_score.example"})
    assert refused.status_code == 422 and "HEADWATER_PUBLIC_URL" in refused.text


def unpacked(file: Path, folder: Path) -> tuple[Path, dict[str, Any]]:
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
        started: dict[str, Any] = json.loads(archive.read("manifest.json"))["server"]["mcp_config"]
    return folder, started


def parameters(folder: Path, started: dict[str, Any], key: str) -> StdioServerParameters:
    """As a client fills them in; `-I -S` takes away everything that is installed beside Python itself."""
    arguments = [argument.replace("${__dirname}", str(folder)) for argument in started["args"]]
    environment = {name: value.replace("${user_config.api_key}", key) for name, value in started["env"].items()}
    return StdioServerParameters(command=sys.executable, args=["-I", "-S", *arguments], env=environment)


@asynccontextmanager
async def bundled_client(folder: Path, started: dict[str, Any], key: str, *, mode: str = "auto") -> AsyncIterator[Client]:
    async with Client(stdio_client(parameters(folder, started, key)), mode=mode) as client:
        yield client


def send(address: str, key: str, path: str, body: dict[str, Any]) -> Any:
    headers = {"x-api-key": key, "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{address}{path}", json.dumps(body).encode(), headers), timeout=SECONDS) as answer:
        return json.load(answer)


async def say(client: Client, text: str) -> str:
    result = await client.call_tool("say", {"input_value": text})
    return str(result.content)


async def test_the_bundle_that_the_command_wrote_runs_in_both_eras_and_over_a_restart_of_the_server(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    ours = {"HEADWATER_PORT": str(port)}
    async with AsyncExitStack() as clients:
        with running_server(data, port=port) as server:
            project_id = server.project_address.split("/")[-2]
            flow = {"name": "say", "action_name": "say", "mcp_enabled": True, "folder_id": project_id, "data": echo()}
            send(server.address, server.key, "/api/v1/flows/", flow)
            written = headwater("bundle", project_id, "-o", tmp_path, "--data-dir", data, environment=ours)
            assert written.returncode == 0, written.stderr
            file = Path(written.stdout.partition(": ")[0])
            assert file.parent == tmp_path
            manifest = json.loads(headwater("manifest", project_id, "--data-dir", data, environment=ours).stdout)
            assert manifest["remotes"][0]["url"] == server.project_address
            folder, started = unpacked(file, tmp_path / "unpacked")
            modern = await clients.enter_async_context(bundled_client(folder, started, server.key))
            legacy = await clients.enter_async_context(bundled_client(folder, started, server.key, mode="legacy"))
            assert (modern.protocol_version, legacy.protocol_version) == ("2026-07-28", "2025-11-25")
            for client in (modern, legacy):
                assert "say" in [tool.name for tool in (await client.list_tools()).tools]
                assert "Grüße" in await say(client, "Grüße")
        waiting = [asyncio.create_task(say(client, "still there")) for client in (modern, legacy)]
        with ExitStack() as later:
            await asyncio.to_thread(later.enter_context, running_server(data, port=port))
            for each in waiting:
                assert "still there" in await each
            assert "again" in await say(legacy, "again")
            await clients.aclose()
