"""`python -m tests.bench.lists`: what lists of flows cost with 2,000 flows of 100 kB in the database, beside the same with 20.

The flows are written to the database by SQL, as many requests would take longer than the figures; the server is one of its own.
"""

import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop

from tests.bench.__main__ import _found, headwater
from tests.bench.echo_flow import CODE, echo_flow
from tests.bench.load import post_json

FLOWS = 2_000
FLOWS_BESIDE = 20
FLOW_BYTES = 100_000
ROUNDS = 21
BUFFER_BYTES = 8 * 1024 * 1024
HEADERS = "/api/v1/flows/?get_all=true&header_flows=true"
PAGE = "/api/v1/flows/?get_all=false&page=1&size=50"


def large_flow(project_id: str) -> dict[str, Any]:
    flow = {**echo_flow(project_id), "name": "Large", "mcp_enabled": False}
    code = flow["data"]["nodes"][0]["data"]["node"]["template"]["code"]
    code["value"] = CODE * ((FLOW_BYTES - len(json.dumps(flow["data"]))) // len(CODE) + 1)
    return flow


def copy_flow(database: Path, flow_id: str, count: int) -> None:
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    row = dict(connection.execute("SELECT * FROM flows WHERE id = ?", (flow_id,)).fetchone())
    names = ", ".join(row)
    with connection:
        for number in range(count):
            copied = {**row, "id": str(uuid4()), "name": f"Large {number}", "endpoint_name": None, "updated_at": row["updated_at"] + number}
            connection.execute(f"INSERT INTO flows ({names}) VALUES ({', '.join('?' * len(row))})", list(copied.values()))
        connection.execute("UPDATE catalogue SET version = version + 1")
    connection.close()


async def timed(port: int, path: str, key: str) -> list[float]:
    """Milliseconds of each request, uncompressed, on one kept connection; the first one finds nothing made before."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=BUFFER_BYTES)
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-api-key: {key}\r\n\r\n".encode()
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        await reader.readexactly(int(_found(r"(?i)content-length: (\d+)", head)))
        taken.append((time.perf_counter() - started) * 1_000)
        assert head.startswith("HTTP/1.1 200"), head
    writer.close()
    return taken


async def measure(count: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory(prefix="headwater-lists-") as folder:
        async with headwater(Path(folder), until="Stop with Ctrl+C") as server:
            key = _found(r"API key\s+(sk-\S+)", server.output)
            project_id = _found(r"/api/v1/mcp/project/([0-9a-f-]{36})/streamable", server.output)
            flow = await post_json(server.port, "/api/v1/flows/", large_flow(project_id), {"x-api-key": key})
            await asyncio.to_thread(copy_flow, Path(folder) / "headwater.db", flow["id"], count - 1)
            return {name: await timed(server.port, path, key) for name, path in (("headers", HEADERS), ("page of 50", PAGE))}


async def compare_lists() -> None:
    few, many = await measure(FLOWS_BESIDE), await measure(FLOWS)
    print(f"\n{'lists of flows':<22}{'first ms':>9}{'p50 ms':>9}{f'p50 with {FLOWS_BESIDE}':>14}")
    for name, limit in (("headers", 50), ("page of 50", 150)):
        p50, beside = statistics.median(many[name]), statistics.median(few[name])
        print(f"{name:<22}{many[name][0]:>9.1f}{p50:>9.1f}{beside:>14.1f}  x {p50 / beside:.1f}  (limits {limit} ms, x 3)")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(compare_lists())
