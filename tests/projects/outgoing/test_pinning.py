"""A call over TLS goes to the checked address and still asks for, and verifies, the name it was given."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from projects.outgoing import httpx2_transport, httpx_transport
from projects.outgoing.guard import Guard


def certificate(folder: Path, host: str) -> Path:
    """A self-signed certificate of this host with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def tls_server(pem: Path) -> AsyncIterator[tuple[int, list[str | None]]]:
    """The port on loopback, and the names that clients asked for."""
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.sni_callback = lambda socket, name, context: asked.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()


@pytest.mark.parametrize(("library", "transports"), [(httpx, httpx_transport), (httpx2, httpx2_transport)])
async def test_the_name_is_asked_for_and_verified_at_the_checked_address(tmp_path: Path, library: Any, transports: Any) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    pem = certificate(tmp_path, "shop.example")
    guard = Guard(["shop.example", "other.example"], resolve=resolve)
    async with tls_server(pem) as (port, asked):
        transport = transports.GuardedTransport(
            guard, ssl_context=ssl.create_default_context(cafile=str(pem)), max_bytes=1_000, deadline_seconds=5
        )
        async with library.AsyncClient(transport=transport) as client:
            assert (await client.get(f"https://shop.example:{port}/")).text == "ok"
            with pytest.raises(library.ConnectError, match=r"(?i)hostname"):
                await client.get(f"https://other.example:{port}/")
    assert asked == ["shop.example", "other.example"]
