"""New identities: UUID version 7 as text, so that rows of one table lie in the order in which they were made."""

import uuid
from datetime import UTC, datetime

import uuid_utils


def new_id() -> str:
    """A fresh UUIDv7. Ids of one process always grow, also within a millisecond; the rest of their bits are random."""
    return str(uuid_utils.uuid7())


def created_at(identity: str) -> datetime:
    """When an id of ours was made, to the millisecond."""
    return datetime.fromtimestamp((uuid.UUID(identity).int >> 80) / 1000, UTC)
