"""The code that flows bring: what there is, and which of it the operator trusts. For superusers."""

from typing import Any

from projects.access.caller import Caller
from projects.custom_code.trust import CodeText
from projects.services import ProjectServices
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.v1.models import Detail, Instant, Wire

_TAG = "Custom code"
_SUPERUSERS = Answer(403, Detail, "The caller is no superuser.")
_PERSONS = Answer(403, Detail, "The caller is no superuser, or came with an API key.")
_UNKNOWN = Answer(404, Detail, "No flow has code of this hash, or nobody trusts it.")


class PlaceRead(Wire):
    flow_id: str
    flow_name: str
    owner: str
    node_id: str
    display_name: str


class CodeRead(Wire):
    """`hash` is the SHA-256 of the text in hex."""

    hash: str
    is_trusted: bool
    trusted_by: str | None
    trusted_at: Instant | None
    places: list[PlaceRead]


class CodeWithText(CodeRead):
    code: str


def _read(text: CodeText) -> dict[str, Any]:
    return {
        "hash": text.hash,
        "is_trusted": text.is_trusted,
        "trusted_by": text.trusted_by,
        "trusted_at": text.trusted_at,
        "places": [
            {
                "flow_id": place.flow_id,
                "flow_name": place.flow_name,
                "owner": place.owner,
                "node_id": place.node_id,
                "display_name": place.display_name,
            }
            for place in text.places
        ],
    }


@endpoint("GET", "/api/v1/custom_code", Answer(200, list[CodeRead]), _SUPERUSERS, owner=OwnerRule.CALLER, tag=_TAG)
async def list_code(caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """The code in everybody's flows that no built-in component replaces, and what is trusted of it."""
    return [_read(text) for text in await services.code_trust.list_texts(caller)]


@endpoint("GET", "/api/v1/custom_code/{hash}", Answer(200, CodeWithText), _SUPERUSERS, _UNKNOWN, owner=OwnerRule.CALLER, tag=_TAG)
async def read_code(hash: str, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """One text, to be read before it is trusted."""
    text = await services.code_trust.get(caller, hash)
    return {**_read(text), "code": text.code}


@endpoint("PUT", "/api/v1/custom_code/{hash}/trust", Answer(200, CodeRead), _PERSONS, _UNKNOWN, owner=OwnerRule.CALLER, tag=_TAG)
async def trust_code(hash: str, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Let the code of this hash run in the server's process where HEADWATER_CUSTOM_CODE is trusted. Wants a login."""
    return _read(await services.code_trust.trust(caller, hash))


@endpoint("DELETE", "/api/v1/custom_code/{hash}/trust", Answer(204), _PERSONS, _UNKNOWN, owner=OwnerRule.CALLER, tag=_TAG)
async def revoke_code(hash: str, caller: Caller, services: ProjectServices) -> None:
    """Trust it no longer: runs that begin from now on are refused. Wants a login."""
    await services.code_trust.revoke(caller, hash)


ENDPOINTS = (list_code, read_code, trust_code, revoke_code)
