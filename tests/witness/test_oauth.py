"""A real authorization server hands out a token for a project, and the official client uses it. Run by `make witness`; needs npm."""

import asyncio
import json
from pathlib import Path

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from tests.application import open_application
from tests.mcp_server.conftest import serve
from tests.witness.project import INSTALL_SECONDS
from tests.witness.test_foreign_clients import install_node_clients

pytestmark = [pytest.mark.witness, pytest.mark.timeout(INSTALL_SECONDS + 120)]

HERE = Path(__file__).parent
COMMAND = [str(HERE / "node_modules" / ".bin" / "node"), str(HERE / "oidc_provider.mjs")]
SCOPE = "flows:run"


@pytest.fixture(scope="module", autouse=True)
def node_packages() -> None:
    install_node_clients()


async def test_a_token_of_oidc_provider_opens_the_project_it_is_made_out_to(tmp_path: Path) -> None:
    async with (
        open_application(tmp_path / "data", allowed_addresses=["127.0.0.1"]) as application,
        serve(application) as served,
        asyncio.timeout(60),
    ):
        resource = served.project_address()
        process = await asyncio.create_subprocess_exec(
            *COMMAND, resource, SCOPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            assert process.stdout is not None
            issuer = json.loads(await process.stdout.readline())["issuer"]
            settings = {"auth_type": "oauth", "oauth_server_url": issuer, "oauth_mcp_scope": SCOPE}
            path = f"/api/v1/mcp/project/{application.project_id}"
            assert (await application.http.patch(path, json={"settings": [], "auth_settings": settings})).status_code == 200
            challenge = (await served.http.post(resource)).headers["www-authenticate"]
            metadata = (await served.http.get(challenge.partition('resource_metadata="')[2].partition('"')[0])).json()
            assert (metadata["resource"], metadata["authorization_servers"]) == (resource, [issuer])
            tokens = {}
            for audience in (resource, resource.replace(application.project_id, "0190a1b2-0000-7000-8000-0000000000ff")):
                form = {"grant_type": "client_credentials", "scope": SCOPE, "resource": audience}
                answer = await served.http.post(f"{issuer}/token", data=form, auth=("witness", "a-secret-for-the-witness"))
                tokens[audience] = answer.json()["access_token"]
            good, foreign = tokens.values()
            async with (
                httpx2.AsyncClient(headers={"authorization": f"Bearer {good}"}, timeout=30) as http,
                Client(streamable_http_client(resource, http_client=http)) as client,
            ):
                assert "evaluate_expression" in {tool.name for tool in (await client.list_tools()).tools}
                result = await client.call_tool("evaluate_expression", {"input_value": "6 * 7"})
                assert "42" in result.content[0].text  # type: ignore[union-attr]
            assert (await served.post("tools/list", headers={"authorization": f"Bearer {foreign}"})).status_code == 401
        finally:
            process.terminate()
            await process.wait()
