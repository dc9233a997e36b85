import uuid
from datetime import UTC, datetime, timedelta

from storage.ids import created_at, new_id


def test_ids_are_version_7_uuids_and_grow() -> None:
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(str(uuid.UUID(each)) == each for each in ids)
    assert {(uuid.UUID(each).version, uuid.UUID(each).variant) for each in ids} == {(7, uuid.RFC_4122)}


def test_an_id_tells_when_it_was_made() -> None:
    assert abs(created_at(new_id()) - datetime.now(UTC)) < timedelta(seconds=5)
