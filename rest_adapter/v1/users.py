"""The account of whoever asks."""

from typing import Any
from uuid import UUID

from projects.access.accounts import User
from projects.access.caller import Caller
from projects.services import ProjectServices
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.v1.models import Instant, Wire


class UserRead(Wire):
    id: UUID
    username: str
    profile_image: str | None
    store_api_key: str | None
    is_active: bool
    is_superuser: bool
    create_at: Instant  # spelled so on the wire
    updated_at: Instant
    last_login_at: Instant | None
    optins: dict[str, Any] | None


_OPTINS = {"github_starred": False, "dialog_dismissed": False, "discord_clicked": False}


def user_read(user: User) -> dict[str, Any]:
    shown = UserRead(
        id=UUID(user.id),
        username=user.username,
        profile_image=user.profile_image,
        store_api_key=None,
        is_active=user.is_active,
        is_superuser=user.is_superuser,
        create_at=user.created_at,
        updated_at=user.updated_at,
        last_login_at=user.last_login_at,
        optins=_OPTINS | (user.preferences or {}),
    )
    return shown.model_dump(mode="json")


@endpoint("GET", "/api/v1/users/whoami", Answer(200, UserRead), owner=OwnerRule.CALLER, tag="Users")
async def whoami(caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """The account that the presented credential belongs to."""
    return user_read(await services.accounts.get_user(caller))


ENDPOINTS = (whoami,)
