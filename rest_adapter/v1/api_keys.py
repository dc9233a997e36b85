"""API keys: list, create, revoke. The clear key is in the answer to its creation and nowhere else."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from projects.access.api_keys import ApiKey
from projects.access.caller import Caller
from projects.errors import NotFound
from projects.services import ProjectServices
from rest_adapter.errors import JsonResponse
from rest_adapter.information import ServerInformation
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.v1.models import STORE_COOKIE, Detail, Seconds, Wire, seconds_text

_TAG = "API keys"
_KEY_LENGTH = 46  # sk- and 43 characters
_SHOWN_LENGTH = 8
_STORE_KEY_NAME = "__store_api_key__"  # such names are not listed


class ApiKeyCreate(Wire):
    name: str | None = Field(default=None, max_length=255)
    expires_at: datetime | None = Field(default=None, description="Without a zone it is UTC.")


class ApiKeyRead(Wire):
    name: str | None
    last_used_at: Seconds | None
    total_uses: int
    is_active: bool
    expires_at: Seconds | None
    id: UUID
    api_key: str
    user_id: UUID
    created_at: Seconds


class ApiKeyCreated(Wire):
    name: str | None
    last_used_at: Seconds | None
    total_uses: int
    is_active: bool
    expires_at: Seconds | None
    id: UUID
    api_key: str
    user_id: UUID


class StoreKey(Wire):
    api_key: str = Field(min_length=1, max_length=10_000)


class ApiKeyList(Wire):
    total_count: int
    user_id: UUID
    api_keys: list[ApiKeyRead]


def _seconds(moment: datetime | None) -> str | None:
    return None if moment is None else seconds_text(moment)


def _key(key: ApiKey, shown: str) -> dict[str, Any]:
    return {
        "name": key.name,
        "last_used_at": _seconds(key.last_used_at),
        "total_uses": key.total_uses,
        "is_active": key.is_active,
        "expires_at": _seconds(key.expires_at),
        "id": key.id,
        "api_key": shown,
        "user_id": key.user_id,
    }


@endpoint("GET", "/api/v1/api_key/", Answer(200, ApiKeyList), owner=OwnerRule.CALLER, tag=_TAG)
async def list_api_keys(caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """The caller's keys, each by its first characters."""
    keys = await services.api_keys.list_keys(caller)
    shown = [{**_key(key, key.prefix[:_SHOWN_LENGTH].ljust(_KEY_LENGTH, "*")), "created_at": _seconds(key.created_at)} for key in keys]
    return {"total_count": len(keys), "user_id": caller.user_id, "api_keys": shown}


@endpoint("POST", "/api/v1/api_key/", Answer(200, ApiKeyCreated), owner=OwnerRule.CALLER, tag=_TAG)
async def create_api_key(body: ApiKeyCreate, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """A new key. Keep it: it is shown this once."""
    key, clear = await services.api_keys.create(caller, name=body.name, expires_at=body.expires_at)
    return _key(key, clear)


@endpoint(
    "POST",
    "/api/v1/api_key/store",
    Answer(200, Detail),
    owner=OwnerRule.CALLER,
    tag=_TAG,
    replaced_by="/api/v1/store/ without a key of its own",
)
async def keep_store_key(body: StoreKey, caller: Caller, services: ProjectServices, information: ServerInformation) -> JsonResponse:
    """Keep the key of Langflow's former store, encrypted. The store of this server wants none, so it is never used and never shown."""
    await services.variables.keep_credential(caller, _STORE_KEY_NAME, body.api_key)
    response = JsonResponse({"detail": "API Key saved"})
    # Its value was ciphertext for the server itself; we have no use for one in a browser.
    response.set_cookie(STORE_COOKIE, "None", httponly=True, samesite="lax", secure=information.cookie_secure)
    return response


@endpoint(
    "DELETE",
    "/api/v1/api_key/{api_key_id}",
    Answer(200, Detail),
    Answer(400, Detail, "No such key of the caller's."),
    owner=OwnerRule.CALLER,
    tag=_TAG,
    statuses={NotFound: 400},  # what clients of this API expect of an unknown key
)
async def delete_api_key(api_key_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, str]:
    """Revoke a key; it is refused from the next request on."""
    await services.api_keys.delete(caller, str(api_key_id))
    return {"detail": "API Key deleted"}


ENDPOINTS = (list_api_keys, create_api_key, keep_store_key, delete_api_key)
