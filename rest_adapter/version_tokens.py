"""Which state of a flow somebody has seen, as clients send and get it: a UUID of version 8."""

from uuid import UUID

_BITS = 48


def version_token(flow_id: str, version: int) -> str:
    """The flow's own first bits, then the number. Only its form is Langflow's."""
    bits = UUID(flow_id).int >> _BITS << _BITS | version
    bits = bits & ~(0xF << 76) | 8 << 76
    return str(UUID(int=bits & ~(3 << 62) | 2 << 62))


def version_in(token: str, flow_id: str) -> int:
    """The version of this flow that a token or a plain number says; 0, which no flow has, for another flow's. ValueError for neither."""
    if token.isascii() and token.isdigit() and len(token) <= 15:
        return int(token)
    given = UUID(token)
    version = given.int & ((1 << _BITS) - 1)
    return version if version_token(flow_id, version) == str(given) else 0
