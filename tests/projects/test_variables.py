import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from projects.access.caller import Caller
from projects.errors import AlreadyExists, InvalidInput, NotFound
from projects.variables import VariableService
from storage.database import Database
from storage.encryption import SecretBox
from storage.tables import VariableRow
from tests.owners import add_owner


@pytest.fixture
async def ada(database: Database) -> Caller:
    return await add_owner(database, "ada")


@pytest.fixture
async def bob(database: Database) -> Caller:
    return await add_owner(database, "bob")


@pytest.fixture
def service(database: Database) -> VariableService:
    return VariableService(database, SecretBox("a key for tests"))


async def test_a_credential_is_never_shown_and_a_generic_value_is(service: VariableService, ada: Caller) -> None:
    secret = await service.create(ada, name="KEY", value="s3cret", default_fields=["API Key"])
    plain = await service.create(ada, name="CITY", value="Oslo", type="Generic")
    odd = await service.create(ada, name="ODD", value="shown", type="Odd")
    assert (secret.type, secret.value, secret.has_value, secret.default_fields) == ("Credential", None, True, ["API Key"])
    assert (plain.value, plain.default_fields, odd.value) == ("Oslo", None, "shown")
    assert await service.list_variables(ada) == [plain, secret, odd]
    assert (await service.get(ada, secret.id)).value is None
    assert (await service.update(ada, secret.id, value="other")).value is None


async def test_every_value_is_encrypted_in_the_database(service: VariableService, database: Database, ada: Caller) -> None:
    for type in ("Credential", "Generic"):
        await service.create(ada, name=type, value="marker-of-a-secret", type=type)
    async with database.reading() as session:
        stored = (await session.execute(select(VariableRow.value))).scalars().all()
    assert len(stored) == 2
    assert not any("marker" in value for value in stored)


async def test_runs_get_clear_values_and_see_changes_at_once(service: VariableService, ada: Caller, bob: Caller) -> None:
    assert await service.resolve_values(ada.user_id) == {}
    variable = await service.create(ada, name="KEY", value="one\x01ünï")
    await service.create(bob, name="KEY", value="his")
    assert await service.resolve_values(ada.user_id) == {"KEY": "one\x01ünï"}
    assert await service.resolve_values(ada.user_id) is await service.resolve_values(ada.user_id)
    await service.update(ada, variable.id, value="two", name="NEW")
    assert await service.resolve_values(ada.user_id) == {"NEW": "two"}
    await service.delete(ada, variable.id)
    assert await service.resolve_values(ada.user_id) == {}
    assert await service.resolve_values(bob.user_id) == {"KEY": "his"}


async def test_a_value_under_a_lost_key_is_left_out(service: VariableService, database: Database, ada: Caller) -> None:
    await service.create(ada, name="KEY", value="x", type="Generic")
    other = VariableService(database, SecretBox("another key"))
    assert await other.resolve_values(ada.user_id) == {}
    (shown,) = await other.list_variables(ada)
    assert (shown.value, shown.has_value) == (None, True)


REFUSED: list[dict[str, Any]] = [
    {"name": "", "value": ""},
    {"name": "", "value": "x"},
    {"name": "  ", "value": "x"},
    {"name": "x", "value": ""},
    {"name": "x\x00", "value": "x"},
    {"name": "x\ud800", "value": "x"},
    {"name": "x", "value": "\ud800"},
    {"name": "x", "value": "\x00"},
    {"name": "x" * 256, "value": "x"},
    {"name": "x", "value": "x" * 1_000_001},
    {"name": "x", "value": "x", "type": ""},
    {"name": "x", "value": "x", "type": "x" * 65},
    {"name": "x", "value": "x", "default_fields": ["\x00"]},
    {"name": "x", "value": "x", "default_fields": ["x"] * 101},
]


async def test_what_cannot_be_kept_is_refused(service: VariableService, ada: Caller) -> None:
    for values in REFUSED:
        with pytest.raises(InvalidInput) as refusal:
            await service.create(ada, **values)
        assert refusal.value.problems
    assert await service.list_variables(ada) == []


async def test_the_three_ways_of_being_empty_are_told_apart(service: VariableService, ada: Caller) -> None:
    messages = set()
    for name, value in (("", ""), ("", "x"), ("x", "")):
        with pytest.raises(InvalidInput) as refusal:
            await service.create(ada, name=name, value=value)
        messages.add(refusal.value.message)
    assert len(messages) == 3


async def test_a_name_is_unique_for_each_user(service: VariableService, ada: Caller, bob: Caller) -> None:
    first = await service.create(ada, name="A", value="x")
    second = await service.create(ada, name="B", value="x")
    await service.create(bob, name="A", value="x")
    with pytest.raises(AlreadyExists):
        await service.create(ada, name="A", value="y")
    with pytest.raises(AlreadyExists):
        await service.update(ada, second.id, name="A")
    assert (await service.update(ada, first.id, name="A", default_fields=[])).default_fields == []
    ends = await asyncio.gather(*(service.create(ada, name="SAME", value=str(number)) for number in range(4)), return_exceptions=True)
    assert sum(isinstance(end, AlreadyExists) for end in ends) == 3


async def test_a_credential_becomes_generic_only_with_a_new_value(service: VariableService, ada: Caller) -> None:
    variable = await service.create(ada, name="KEY", value="old secret")
    with pytest.raises(InvalidInput):
        await service.update(ada, variable.id, type="Generic")
    assert (await service.update(ada, variable.id, type="Generic", value="new")).value == "new"
    assert (await service.update(ada, variable.id, type="Credential")).value is None


async def test_a_foreign_variable_is_answered_like_a_missing_one(service: VariableService, ada: Caller, bob: Caller) -> None:
    variable = await service.create(ada, name="KEY", value="x")
    for variable_id in (variable.id, str(uuid4()), "no id", "\x00"):
        for attempt in (
            service.get(bob, variable_id),
            service.update(bob, variable_id, value="y"),
            service.delete(bob, variable_id),
        ):
            with pytest.raises(NotFound) as refusal:
                await attempt
            assert (refusal.value.kind, refusal.value.identifier) == ("variable", variable_id)
    assert await service.resolve_values(ada.user_id) == {"KEY": "x"}


async def test_names_between_double_underscores_are_used_and_not_listed(service: VariableService, ada: Caller) -> None:
    await service.create(ada, name="__internal__", value="x")
    assert await service.list_variables(ada) == []
    assert await service.resolve_values(ada.user_id) == {"__internal__": "x"}
