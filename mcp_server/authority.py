"""Host names with a port, as the Host and Origin headers carry them, read strictly: what does not parse is nobody's."""

import re
from dataclasses import dataclass
from ipaddress import ip_address

_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?)(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Authority:
    host: str
    port: int | None
    scheme: str = ""


def parse_authority(text: str) -> Authority | None:
    """`host`, `host:port` or `[v6]:port`; None for anything else, a trailing dot, user names and empty ports included."""
    match = _AUTHORITY.fullmatch(text.lower())
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65_536:
        return None
    return Authority(match["host"], port)


def parse_origin(text: str) -> Authority | None:
    """`scheme://host[:port]`, as browsers send it; None for "null" and everything else."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in ("http", "https") or (parsed := parse_authority(rest)) is None:
        return None
    return Authority(parsed.host, parsed.port, scheme)


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
