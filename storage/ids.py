"""New identities: UUID version 7 as text, so that rows of one table lie in the order in which they were made."""

import os
import time
import uuid
from datetime import UTC, datetime

_MICROSECOND_FRACTION = 4096 / 1_000_000
_RANDOM_BYTES = 1_024  # asked of the system at once: a call for each id costs as much as the rest of it
_last_moment = 0
_random = bytearray()
if hasattr(os, "register_at_fork"):  # a child must not hand out its parent's ids
    os.register_at_fork(after_in_child=_random.clear)


def new_id() -> str:
    """A fresh UUIDv7. Ids of one process always grow, also within a millisecond (RFC 9562 §6.2, method 3)."""
    global _last_moment
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    moment = (milliseconds << 12) | int(rest * _MICROSECOND_FRACTION)
    if moment <= _last_moment:
        moment = _last_moment + 1
    _last_moment = moment
    if len(_random) < 8:
        _random.extend(os.urandom(_RANDOM_BYTES))
    random = int.from_bytes(_random[-8:]) & 0x3FFF_FFFF_FFFF_FFFF
    del _random[-8:]
    digits = f"{(moment >> 12) << 16 | 0x7000 | (moment & 0xFFF):016x}{0x8000_0000_0000_0000 | random:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def created_at(identity: str) -> datetime:
    """When an id of ours was made, to the millisecond."""
    return datetime.fromtimestamp((uuid.UUID(identity).int >> 80) / 1000, UTC)
