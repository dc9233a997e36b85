"""Variables: values and secrets that flows name instead of holding them."""

from typing import Any
from uuid import UUID

from pydantic import Field

from projects.access.caller import Caller
from projects.services import ProjectServices
from projects.variables import Variable
from rest_adapter.errors import BadRequest
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.models import Detail, Wire

_TAG = "Variables"


class VariableCreate(Wire):
    name: str = Field(max_length=255)
    value: str
    default_fields: list[str] | None  # the key has to be there, as clients send it
    type: str | None = Field(default=None, max_length=64)


class VariableUpdate(Wire):
    id: UUID
    name: str | None = Field(default=None, max_length=255)
    value: str | None = None
    default_fields: list[str] | None = None
    type: str | None = Field(default=None, max_length=64)


class VariableRead(Wire):
    """`value` is null for credentials, always."""

    id: UUID
    name: str
    type: str
    value: str | None
    has_value: bool
    default_fields: list[str] | None
    is_owner: bool
    can_manage_shares: bool
    validation_error: str | None
    is_valid: bool | None


def variable_read(variable: Variable) -> dict[str, Any]:
    return {
        "id": variable.id,
        "name": variable.name,
        "type": variable.type,
        "value": variable.value,
        "has_value": variable.has_value,
        "default_fields": variable.default_fields,
        "is_owner": True,
        "can_manage_shares": True,
        "validation_error": None,
        "is_valid": None,
    }


@endpoint(
    "POST",
    "/api/v1/variables/",
    Answer(201, VariableRead),
    Answer(400, Detail, "The name is taken, or name or value is empty."),
    tag=_TAG,
)
async def create_variable(body: VariableCreate, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Keep a variable, encrypted. Of type Credential (the default) its value is never shown again."""
    if not body.name or not body.value:
        raise BadRequest("A variable needs a name and a value; neither may be empty.")
    variable = await services.variables.create(
        caller, name=body.name, value=body.value, type=body.type or "Credential", default_fields=body.default_fields
    )
    return variable_read(variable)


@endpoint("GET", "/api/v1/variables/", Answer(200, list[VariableRead]), tag=_TAG)
async def list_variables(caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """The caller's variables by name."""
    return [variable_read(variable) for variable in await services.variables.list_variables(caller)]


@endpoint("PATCH", "/api/v1/variables/{variable_id}", Answer(200, VariableRead), Answer(400, Detail), Answer(404, Detail), tag=_TAG)
async def update_variable(variable_id: UUID, body: VariableUpdate, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Change a variable; what is not sent stays."""
    changes = {name: getattr(body, name) for name in body.model_fields_set - {"id"}}
    return variable_read(await services.variables.update(caller, str(variable_id), **changes))


@endpoint("DELETE", "/api/v1/variables/{variable_id}", Answer(204), Answer(404, Detail), tag=_TAG)
async def delete_variable(variable_id: UUID, caller: Caller, services: ProjectServices) -> None:
    """Forget a variable."""
    await services.variables.delete(caller, str(variable_id))


ENDPOINTS = (create_variable, list_variables, update_variable, delete_variable)
