"""Accounts: the caller's own, and for superusers everybody's."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from pydantic import Field

from projects.access.accounts import MAX_PASSWORD_CHARACTERS, MAX_USERNAME_CHARACTERS, User, UserChanges
from projects.access.caller import Caller, Credential
from projects.access.permissions import require_person
from projects.errors import InvalidInput, NotFound, NotPermitted
from projects.services import ProjectServices
from rest_adapter.errors import BadRequest, JsonResponse
from rest_adapter.information import ServerInformation
from rest_adapter.routing import Answer, Credentials, Header, OwnerRule, RateRule, endpoint
from rest_adapter.v1.models import Detail, Instant, Wire


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


Username = Annotated[str, Field(min_length=1, max_length=MAX_USERNAME_CHARACTERS)]
Password = Annotated[str, Field(min_length=1, max_length=MAX_PASSWORD_CHARACTERS)]


class OptIns(Wire):
    github_starred: bool | None = None
    dialog_dismissed: bool | None = None
    discord_clicked: bool | None = None


class UserCreate(Wire):
    username: Username
    password: Password
    optins: OptIns | None = None


class UserUpdate(Wire):
    """What is left out or null stays. When somebody last logged in is the server's own knowledge and cannot be set."""

    username: Username | None = None
    password: Password | None = None
    profile_image: str | None = Field(default=None, max_length=1_000)
    is_active: bool | None = None
    is_superuser: bool | None = None
    optins: OptIns | None = None


class PasswordReset(Wire):
    current_password: Annotated[str, Field(max_length=MAX_PASSWORD_CHARACTERS)]
    password: Password


class UsersQuery(Wire):
    """`search` is a part of the name, `username` the whole of it; neither minds case."""

    skip: int = Field(default=0, ge=0, le=1_000_000_000)
    limit: int = Field(default=10, ge=1, le=200)
    search: str | None = None
    username: str | None = None


class UsersRead(Wire):
    total_count: int
    users: list[UserRead]
    deletion_requests: dict[str, Any]


class UserDeleted(Wire):
    detail: str
    request_id: UUID


_TAG = "Users"
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


@endpoint(
    "POST",
    "/api/v1/users/",
    Answer(201, UserRead, headers=(Header("Location", "Where the account is."),)),
    Answer(400, Detail, "The name is taken."),
    Answer(401, Detail, "A session token that is not good."),
    Answer(403, Detail, "Sign-up is closed, and the caller is no superuser."),
    owner=OwnerRule.CALLER,
    credentials=Credentials.OPTIONAL,
    tag=_TAG,
    rate_rule=RateRule.STRANGER,
)
async def create_user(body: UserCreate, caller: Caller | None, services: ProjectServices, information: ServerInformation) -> JsonResponse:
    """Make an account, as a superuser or, where sign-up is open, for oneself. It is active when the server's setting says so."""
    if information.auto_login and (caller is None or not caller.is_superuser):
        raise NotPermitted("With automatic login on, only a superuser makes accounts.")
    user = await services.accounts.sign_up(caller, body.username, body.password, preferences=_preferences(body.optins))
    await services.projects.default_project(Caller(user.id, user.username, user.is_superuser, Credential.LOCAL))
    return JsonResponse(user_read(user), 201, {"Location": f"/api/v1/users/{user.id}"})


@endpoint("GET", "/api/v1/users/", Answer(200, UsersRead), owner=OwnerRule.CALLER, tag=_TAG)
async def list_users(query: UsersQuery, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Accounts by name; for superusers."""
    users, total = await services.accounts.page_users(
        caller, search=query.search, username=query.username, skip=query.skip, limit=query.limit
    )
    return {"total_count": total, "users": [user_read(user) for user in users], "deletion_requests": {}}


@endpoint("GET", "/api/v1/users/whoami", Answer(200, UserRead), owner=OwnerRule.CALLER, tag=_TAG)
async def whoami(caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """The account that the presented credential belongs to."""
    return user_read(await services.accounts.get_user(caller))


@endpoint("GET", "/api/v1/users/{user_id}", Answer(200, UserRead), Answer(404, Detail), owner=OwnerRule.CALLER, tag=_TAG)
async def read_user(user_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """The caller's own account, or for a superuser anybody's."""
    return user_read(await services.accounts.read_user(caller, str(user_id)))


@endpoint(
    "PATCH",
    "/api/v1/users/{user_id}",
    Answer(200, UserRead),
    Answer(400, Detail, "The name is taken, or a password that is changed elsewhere."),
    Answer(404, Detail),
    owner=OwnerRule.CALLER,
    tag=_TAG,
)
async def update_user(user_id: UUID, body: UserUpdate, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Change an account: one's own, or as a superuser anybody's."""
    if body.password is not None and not caller.is_superuser:
        raise BadRequest("The password is changed at /reset-password, together with the current one.")
    changes = UserChanges(
        username=body.username,
        password=body.password,
        profile_image=body.profile_image,
        is_active=body.is_active,
        is_superuser=body.is_superuser,
        preferences=_preferences(body.optins),
    )
    return user_read(await services.accounts.update_user(caller, str(user_id), changes))


@endpoint(
    "PATCH",
    "/api/v1/users/{user_id}/reset-password",
    Answer(200, UserRead),
    Answer(400, Detail, "The current password is wrong, or the new one is the same."),
    Answer(404, Detail, "Not the caller's own account."),
    owner=OwnerRule.CALLER,
    tag=_TAG,
    rate_rule=RateRule.CALLER,
    statuses={InvalidInput: 400},
)
async def reset_password(user_id: UUID, body: PasswordReset, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Change the own password. Needs a login, not a key; every other login of the account ends."""
    require_person(caller)
    if str(user_id) != caller.user_id:
        raise NotFound("user", str(user_id))
    return user_read(await services.accounts.change_password(caller, current=body.current_password, new=body.password))


@endpoint(
    "DELETE",
    "/api/v1/users/{user_id}",
    Answer(202, UserDeleted),
    Answer(400, Detail, "One's own account."),
    Answer(404, Detail),
    owner=OwnerRule.CALLER,
    tag=_TAG,
    statuses={InvalidInput: 400},
)
async def delete_user(user_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Delete an account with everything it owns; for superusers."""
    await services.accounts.remove_user(caller, str(user_id))
    return {"detail": "User deletion started", "request_id": str(uuid4())}


def _preferences(given: OptIns | None) -> dict[str, Any] | None:
    return None if given is None else given.model_dump(exclude_none=True)


ENDPOINTS = (create_user, list_users, whoami, read_user, update_user, reset_password, delete_user)
