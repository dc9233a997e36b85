"""Named values of a user that flows read at run time. Every value is encrypted at rest, whatever its type."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncSession

from projects.access.caller import Caller
from projects.errors import AlreadyExists, NotFound
from projects.kept_text import can_be_kept, check_characters, check_text, find_uuid, json_text, refused
from projects.unit_of_work import change_catalogue, reading
from storage.catalogue import CatalogueCache
from storage.database import Database, DatabaseUnavailable
from storage.encryption import CannotDecrypt, SecretBox
from storage.ids import new_id
from storage.tables import VariableRow
from storage.variables import VariableRepository

logger = logging.getLogger(__name__)

CREDENTIAL = "Credential"
GENERIC = "Generic"
MAX_NAME_LENGTH = 255
MAX_TYPE_LENGTH = 64
MAX_VALUE_LENGTH = 1_000_000
MAX_DEFAULT_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Variable:
    """`value` is None for a credential: it is written, used in runs, and never read back."""

    id: str
    owner_id: str
    name: str
    type: str
    value: str | None
    has_value: bool
    default_fields: list[str] | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class _Resolved:
    """What runs of one owner need of all its variables."""

    values: Mapping[str, str]
    credential_names: frozenset[str]
    defaults: Mapping[str, tuple[str, bool]]


class VariableService:
    """Any type but `Credential` is shown in clear."""

    def __init__(self, database: Database, secret_box: SecretBox, *, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        self._database = database
        self._secret_box = secret_box
        self._environment = environment  # what `import_environment` brings in: names that the operator listed
        self._resolved: CatalogueCache[str, _Resolved] = CatalogueCache(1_000)

    async def create(
        self, caller: Caller, *, name: str, value: str, type: str = CREDENTIAL, default_fields: Sequence[str] | None = None
    ) -> Variable:
        """Raises InvalidInput, AlreadyExists."""
        if not name and not value:
            raise refused("name", "A variable needs a name and a value.")
        _check_name(name)
        _check_value(value)
        _check_type(type)
        fields = _fields_text(default_fields)

        async def work(session: AsyncSession) -> Variable:
            variables, now = VariableRepository(session), datetime.now(UTC)
            await _check_free(variables, name, owner_id=caller.user_id)
            row = VariableRow(
                id=new_id(),
                owner_id=caller.user_id,
                name=name,
                type=type,
                value=self._secret_box.encrypt(value),
                default_fields=fields,
                created_at=now,
                updated_at=now,
            )
            await variables.add(row)
            return self._shown(row)

        return await change_catalogue(self._database, work)

    async def list_variables(self, caller: Caller) -> list[Variable]:
        """By name. Names between double underscores are the server's own and are not listed."""
        async with reading(self._database) as session:
            rows = await VariableRepository(session).list_owned(owner_id=caller.user_id)
        return [self._shown(row) for row in rows if not (row.name.startswith("__") and row.name.endswith("__"))]

    async def get(self, caller: Caller, variable_id: str) -> Variable:
        async with reading(self._database) as session:
            return self._shown(await _get(VariableRepository(session), variable_id, owner_id=caller.user_id))

    async def update(
        self,
        caller: Caller,
        variable_id: str,
        *,
        name: str | None = None,
        value: str | None = None,
        type: str | None = None,
        default_fields: Sequence[str] | None = None,
    ) -> Variable:
        """What is None stays. Raises NotFound, InvalidInput, AlreadyExists."""
        if name is not None:
            _check_name(name)
        if value is not None:
            _check_value(value)
        if type is not None:
            _check_type(type)
        fields = _fields_text(default_fields)

        async def work(session: AsyncSession) -> Variable:
            variables = VariableRepository(session)
            row = await _get(variables, variable_id, owner_id=caller.user_id)
            if type is not None and type != row.type:
                if row.type == CREDENTIAL and value is None:
                    raise refused("value", "A credential is never shown: give a new value together with the new type.")
                row.type = type
            if name is not None and name != row.name:
                await _check_free(variables, name, owner_id=caller.user_id)
                row.name = name
            if value is not None:
                row.value = self._secret_box.encrypt(value)
            if fields is not None:
                row.default_fields = fields
            row.updated_at = datetime.now(UTC)
            await session.flush()
            return self._shown(row)

        return await change_catalogue(self._database, work)

    async def keep_credential(self, caller: Caller, name: str, value: str) -> None:
        """Make the credential, or give the one of this name a new value. Raises InvalidInput."""
        _check_name(name)
        _check_value(value)

        async def work(session: AsyncSession) -> None:
            variables, now = VariableRepository(session), datetime.now(UTC)
            row = await variables.find_by_name(name, owner_id=caller.user_id)
            if row is None:
                await variables.add(self._credential(caller, name, value, now))
            else:
                row.type, row.value, row.updated_at = CREDENTIAL, self._secret_box.encrypt(value), now

        await change_catalogue(self._database, work)

    async def import_environment(self, caller: Caller) -> list[str]:
        """Keep what the operator listed of the environment as the caller's credentials; a name the caller has already stays as it is."""
        usable = {name: value for name, value in self._environment.items() if 0 < len(value) <= MAX_VALUE_LENGTH and can_be_kept(value)}
        if not usable:
            return []
        async with reading(self._database) as session:
            taken = {row.name for row in await VariableRepository(session).list_owned(owner_id=caller.user_id)}
        if not usable.keys() - taken:
            return []

        async def work(session: AsyncSession) -> list[str]:
            variables, now, made = VariableRepository(session), datetime.now(UTC), []
            for name, value in usable.items():
                if await variables.find_by_name(name, owner_id=caller.user_id) is None:
                    await variables.add(self._credential(caller, name, value, now))
                    made.append(name)
            return made

        return await change_catalogue(self._database, work)

    def _credential(self, caller: Caller, name: str, value: str, now: datetime) -> VariableRow:
        return VariableRow(
            id=new_id(),
            owner_id=caller.user_id,
            name=name,
            type=CREDENTIAL,
            value=self._secret_box.encrypt(value),
            default_fields=None,
            created_at=now,
            updated_at=now,
        )

    async def delete(self, caller: Caller, variable_id: str) -> None:
        """Raises NotFound."""

        async def work(session: AsyncSession) -> None:
            known = find_uuid(variable_id)
            if known is None or not await VariableRepository(session).delete(known, owner_id=caller.user_id):
                raise NotFound("variable", variable_id)

        await change_catalogue(self._database, work)

    async def resolve_values(self, owner_id: str) -> Mapping[str, str]:
        """Name → clear value of all the owner's variables, for runs; a value that cannot be decrypted is left out."""
        return (await self._resolve(owner_id)).values

    async def list_credential_names(self, owner_id: str) -> frozenset[str]:
        """The names among them whose values are secrets."""
        return (await self._resolve(owner_id)).credential_names

    async def list_defaults(self, owner_id: str) -> Mapping[str, tuple[str, bool]]:
        """Display name of a field → the variable that fills it where it is empty, and whether that is a credential."""
        return (await self._resolve(owner_id)).defaults

    async def _resolve(self, owner_id: str) -> _Resolved:
        try:
            version = await self._database.catalogue_version()
        except DatabaseUnavailable:
            version = -1  # the query below says so in the words of `projects.errors`
        if (found := self._resolved.find(version, owner_id)) is not None:
            return found
        async with reading(self._database) as session:
            rows = await VariableRepository(session).list_owned(owner_id=owner_id)
        clear = {row.name: value for row in rows if (value := self._clear(row)) is not None}
        defaults: dict[str, tuple[str, bool]] = {}
        for row in rows:
            for field in from_json(row.default_fields or "[]"):
                defaults.setdefault(field, (row.name, row.type == CREDENTIAL))
        resolved = _Resolved(
            MappingProxyType(clear), frozenset(row.name for row in rows if row.type == CREDENTIAL), MappingProxyType(defaults)
        )
        self._resolved.keep(version, owner_id, resolved)
        return resolved

    def _clear(self, row: VariableRow) -> str | None:
        try:
            return self._secret_box.decrypt(row.value)
        except CannotDecrypt:
            logger.warning("Variable %s was encrypted with another secret key; give it its value again", row.id)
            return None

    def _shown(self, row: VariableRow) -> Variable:
        return Variable(
            id=row.id,
            owner_id=row.owner_id,
            name=row.name,
            type=row.type,
            value=None if row.type == CREDENTIAL else self._clear(row),
            has_value=bool(row.value),
            default_fields=None if row.default_fields is None else from_json(row.default_fields),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


def _check_name(name: str) -> None:
    if not name.strip():
        raise refused("name", "A variable's name may not be empty.")
    check_text(name, "name", max_length=MAX_NAME_LENGTH)


def _check_value(value: str) -> None:
    if not value:
        raise refused("value", "A variable's value may not be empty; delete the variable instead.")
    if len(value) > MAX_VALUE_LENGTH:
        raise refused("value", f"The value has {len(value):,} characters; at most {MAX_VALUE_LENGTH:,} are kept.", kind="string_too_long")
    check_characters(value, "value")


def _check_type(type: str) -> None:
    if not type:
        raise refused("type", f"A variable's type may not be empty: use {CREDENTIAL} or {GENERIC}.")
    check_text(type, "type", max_length=MAX_TYPE_LENGTH)


def _fields_text(default_fields: Sequence[str] | None) -> str | None:
    if default_fields is None:
        return None
    if len(default_fields) > MAX_DEFAULT_FIELDS:
        raise refused("default_fields", f"At most {MAX_DEFAULT_FIELDS} default fields are kept.", kind="too_long")
    for field in default_fields:
        check_text(field, "default_fields", max_length=MAX_NAME_LENGTH)
    return json_text(list(default_fields), "default_fields")


async def _get(variables: VariableRepository, variable_id: str, *, owner_id: str) -> VariableRow:
    known = find_uuid(variable_id)
    row = None if known is None else await variables.find(known, owner_id=owner_id)
    if row is None:
        raise NotFound("variable", variable_id)
    return row


async def _check_free(variables: VariableRepository, name: str, *, owner_id: str) -> None:
    if await variables.find_by_name(name, owner_id=owner_id) is not None:
        raise AlreadyExists(f"You already have a variable named {name}; change that one, or choose another name.", field="name")
