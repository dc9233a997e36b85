"""A flow and files for tests of the file routes."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from tests import flow_documents as flows
from tests.application import Application

TEXT = bytes(range(256)) * 40
PIXEL = b"\x89PNG\r\n\x1a\n" + b"\x00" * 50


@dataclass(frozen=True)
class Stored:
    """One file of a flow and one of the user's own, both with the bytes of TEXT."""

    flow_id: str
    flow_file: str
    own: dict[str, Any]

    @property
    def flow_address(self) -> str:
        return f"/api/v1/files/download/{self.flow_id}/{quote(self.flow_file)}"

    @property
    def own_address(self) -> str:
        return f"/api/v2/files/{self.own['id']}"


async def add_flow(http: httpx.AsyncClient, name: str = "with files") -> str:
    made = await http.post("/api/v1/flows/", json={"name": name, "data": flows.echo()})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def upload(http: httpx.AsyncClient, name: str, content: bytes, *, flow_id: str | None = None, query: str = "") -> dict[str, Any]:
    address = "/api/v2/files" + query if flow_id is None else f"/api/v1/files/upload/{flow_id}"
    answer = await http.post(address, files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    uploaded: dict[str, Any] = answer.json()
    return uploaded


async def store(application: Application, name: str = "numbers.bin", content: bytes = TEXT) -> Stored:
    flow_id = await add_flow(application.http)
    of_flow = await upload(application.http, name, content, flow_id=flow_id)
    return Stored(flow_id, of_flow["file_path"].partition("/")[2], await upload(application.http, name, content))
