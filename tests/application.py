"""The whole application in this process: its REST face over ASGI, its MCP face by the SDK's own client, its use cases beside them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette

from mcp_server.app import create_app
from mcp_server.settings import Settings
from mcp_server.wiring import open_services
from projects.access.caller import Caller
from projects.services import ProjectServices
from tests import prepared_folders

ADDRESS = "http://127.0.0.1:7860"


@dataclass(frozen=True)
class Application:
    """`http` carries the first user's key; `stranger` is another user's client; `nobody` has no credentials."""

    app: Starlette
    services: ProjectServices
    caller: Caller
    key: str
    project_id: str
    http: httpx.AsyncClient
    stranger: httpx.AsyncClient
    nobody: httpx.AsyncClient

    @asynccontextmanager
    async def mcp_client(self, *, mode: str = "auto", project_id: str | None = None, key: str | None = None) -> AsyncIterator[Client]:
        """The SDK's client on the streamable address of the first project (or another)."""
        address = f"{ADDRESS}/api/v1/mcp/project/{project_id or self.project_id}/streamable"
        transport = httpx2.ASGITransport(app=self.app)
        async with (
            httpx2.AsyncClient(transport=transport, headers={"x-api-key": key or self.key}, base_url=ADDRESS) as http,
            Client(streamable_http_client(address, http_client=http), mode=mode) as client,
        ):
            yield client


def browser(app: Starlette, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app, client=("127.0.0.1", 50_000)), base_url=ADDRESS, **options)


@asynccontextmanager
async def open_application(
    data_dir: Path, *, given: Settings | None = None, is_a_stranger: bool = False, **settings: Any
) -> AsyncIterator[Application]:
    """`given`: settings that were loaded in another way, for what only loading fills in.

    `is_a_stranger`: has no ids or keys in common with other applications of the tests.
    """
    own: dict[str, Any] = {"data_dir": data_dir, **prepared_folders.FIRST_USER}
    chosen = Settings(**own, **settings) if given is None else given.model_copy(update=own)
    people = None if is_a_stranger else await prepared_folders.prepare_people(data_dir, chosen)
    async with open_services(chosen, passwords=prepared_folders.cheap_passwords()) as services:
        app = create_app(services, chosen)
        people = people or await prepared_folders.add_people(services)
        project = await services.projects.default_project(people.ada)
        async with (
            app.router.lifespan_context(app),
            browser(app, headers={"x-api-key": people.ada_key}) as http,
            browser(app, headers={"x-api-key": people.bob_key}) as stranger,
            browser(app) as nobody,
        ):
            yield Application(app, services, people.ada, people.ada_key, project.id, http, stranger, nobody)
