"""Which addresses the open internet has, and which others the operator allowed. Pure: nothing here resolves or connects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# Written out, because `is_global` has meant different things in different releases of Python.
_NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a provider's translation; some clouds keep their metadata here
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent, a public number that only means the machine itself
        "169.254.0.0/16",  # link-local, with most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_UNICAST_6 = IPv6Network("2000::/3")  # the only range that is handed out
_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "3fff::/20",
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP_MARKS = frozenset((0x0000_5EFE, 0x0200_5EFE))  # upper half of an interface id whose lower half is an IPv4 address


def is_public(address: Address) -> bool:
    """True for an address of the open internet. An IPv6 address that carries an IPv4 one is as public as that one."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if (carried := _carried(address)) is not None and not is_public(carried):
        return False
    if address in _MAPPED or address in _NAT64:
        return True
    return address in _UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)


def _carried(address: IPv6Address) -> IPv4Address | None:
    number = int(address)
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(number & 0xFFFF_FFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address(number >> 80 & 0xFFFF_FFFF)
    if number >> 32 & 0xFFFF_FFFF in _ISATAP_MARKS:
        return IPv4Address(number & 0xFFFF_FFFF)
    return None


@dataclass(frozen=True, slots=True)
class AllowedAddresses:
    """What the operator allows beside the open internet: names, and networks that resolved addresses are compared with."""

    hosts: frozenset[tuple[str, int | None]] = field(default_factory=frozenset)  # port None: every port
    networks: tuple[tuple[Network, int | None], ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """From `name`, `name:port`, an address with or without a port, or a network as `10.1.0.0/16`. Raises ValueError with the entry."""
        hosts: set[tuple[str, int | None]] = set()
        networks: list[tuple[Network, int | None]] = []
        for entry in entries:
            if "//" in entry:
                raise _no_entry(entry)
            host, port = _split(entry.strip())
            try:
                networks.append((ip_network(host, strict=False), port))
            except ValueError:
                if not host or "/" in host or "*" in host or "@" in host or ":" in host:
                    raise _no_entry(entry) from None
                hosts.add((normal_host(host), port))
        return cls(frozenset(hosts), tuple(networks))

    def __or__(self, other: AllowedAddresses) -> AllowedAddresses:
        return AllowedAddresses(self.hosts | other.hosts, self.networks + other.networks)

    def names(self, host: str, port: int) -> bool:
        """The name itself is allowed, whatever it resolves to."""
        host = normal_host(host)
        return (host, port) in self.hosts or (host, None) in self.hosts

    def holds(self, address: Address, port: int) -> bool:
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network and allowed_port in (None, port) for network, allowed_port in self.networks)


def normal_host(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def parse_address(text: str) -> Address:
    return ip_address(text)


def _no_entry(entry: str) -> ValueError:
    return ValueError(
        f"{entry!r} is no address to allow. Write a host, a host:port, or a network such as 10.1.0.0/16, without http:// or a path."
    )


def _split(entry: str) -> tuple[str, int | None]:
    """Host and port of an entry; a bare IPv6 address is all host."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        digits = rest.removeprefix(":")
    elif entry.count(":") == 1:
        host, _, digits = entry.partition(":")
    else:
        return entry, None
    if not digits:
        return host, None
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 65_536):
        raise ValueError(f"{entry!r} has no port from 1 to 65535 behind its colon.")
    return host, int(digits)
