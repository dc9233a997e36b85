"""The one rule for outgoing calls: where to, decided on the resolved addresses, and these are what is connected to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeAlias
from urllib.parse import urlsplit

from projects.errors import AddressRefused, HeadwaterError
from projects.outgoing.addresses import AllowedAddresses, is_public, parse_address

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]  # a name and a port → addresses as text

_DEFAULT_PORTS = {"http": 80, "https": 443}


async def resolve_by_system(host: str, port: int) -> list[str]:
    """As the system reads it, which also knows `127.1`, `2130706433`, `0177.0.0.1` and `0x7f.0.0.1`. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Guard:
    """Decides where calls may go. One for the process; `trusting` gives a wider one for addresses that the operator set."""

    def __init__(self, allowed_addresses: Sequence[str] = (), *, resolve: Resolve = resolve_by_system) -> None:
        """`allowed_addresses` is the operator's setting: hosts, host:port or networks. Raises ValueError for an entry that is none."""
        self._allowed = AllowedAddresses.parse(allowed_addresses)
        self._resolve = resolve

    def trusting(self, *base_urls: str) -> Guard:
        """A guard that also lets calls to these base addresses pass: for what the operator wrote into a setting, never for a flow's."""
        wider = Guard(resolve=self._resolve)
        wider._allowed = self._allowed | AllowedAddresses.parse(_authority(url) for url in base_urls)
        return wider

    async def check(self, url: str) -> None:
        """Raises AddressRefused for an address that calls may not reach now. The call itself is checked again; this says no earlier."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise AddressRefused(f"{_shown(url)} is no address that can be called.") from None
        self.check_parts(parts.scheme, has_user="@" in parts.netloc, host=parts.hostname or "", shown=url)
        with suppress(OSError, UnicodeError):  # a name that resolves to nothing reaches nothing
            await self.addresses_of(parts.hostname or "", port or _DEFAULT_PORTS[parts.scheme])

    def check_parts(self, scheme: str, *, has_user: bool, host: str, shown: str) -> None:
        """What can be told without resolving. Called for every hop of a call."""
        if scheme.lower() not in _DEFAULT_PORTS:
            raise AddressRefused(f"The address {_shown(shown)} is refused: only http:// and https:// addresses are called.")
        if not host:
            raise AddressRefused(f"The address {_shown(shown)} names no host.")
        if has_user:
            raise AddressRefused(
                f"The address of {host} is refused because it holds a user name before the host. Send credentials in a header instead."
            )

    async def addresses_of(self, host: str, port: int) -> list[str]:
        """The addresses to connect to, every one of them allowed. Raises AddressRefused, and OSError for a name that has none."""
        found = await self._resolve(host, port)
        if not found:
            raise OSError(f"{host} has no address.")
        if not self._allowed.names(host, port):
            for text in found:
                address = parse_address(text)
                if not is_public(address) and not self._allowed.holds(address, port):
                    raise AddressRefused(_refusal(host, port, text))
        return list(found)


def refusal_behind(error: BaseException) -> HeadwaterError | None:
    """The refusal or limit of ours that a provider's SDK wrapped into an error of its own."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, HeadwaterError):
            return current
        seen.add(id(current))
        current = current.__cause__ or current.__context__
    return None


def _refusal(host: str, port: int, address: str) -> str:
    named = host if host == address else f"{host} ({address})"
    return (
        f"The address {named} is not on the public internet, so flows may not call it. "
        f"If they should, the operator adds {_bracketed(host)}:{port} to the setting allowed_addresses."
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _shown(url: str) -> str:
    """Without what may be a secret, and not too long."""
    bare = url.split("?", 1)[0].split("#", 1)[0]
    if "@" in bare:
        bare = bare.rsplit("@", 1)[1]
    return repr(bare if len(bare) <= 200 else bare[:200] + "…")


def _authority(base_url: str) -> str:
    parts = urlsplit(base_url if "//" in base_url else f"//{base_url}")
    host = parts.hostname or ""
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return f"{_bracketed(host)}:{port}" if port else _bracketed(host)
