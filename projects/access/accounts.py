"""People: their accounts, their logins, and the tokens that stand for a login until it is ended."""

import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field
from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncSession

from projects import unit_of_work
from projects.access import permissions
from projects.access.caller import Caller, Credential
from projects.access.passwords import Passwords
from projects.access.tokens import Algorithm, TokenClaims, TokenSigner, TokenType
from projects.errors import AlreadyExists, InvalidInput, InvalidToken, NotFound, NotPermitted
from projects.kept_text import can_be_kept, json_text, refused
from storage import catalogue
from storage.catalogue import CatalogueCache
from storage.database import Conflict, Database
from storage.ids import created_at, new_id
from storage.sessions import SessionRepository
from storage.tables import SessionRow, UserRow
from storage.users import UserRepository

MAX_USERNAME_CHARACTERS = 255
MAX_PASSWORD_CHARACTERS = 1_024
# A browser's tabs may refresh at the same moment with the same token: only later than this a second use means that it was stolen.
REFRESH_GRACE = timedelta(seconds=30)


class ApprovalPending(NotPermitted):
    """A login of an account that was never active."""

    code = "approval_pending"


class AccessSettings(BaseModel):
    """How people are known."""

    secret_key: str = Field(min_length=1, repr=False, description="Signs session tokens")
    access_token_seconds: int = Field(default=3_600, gt=0, description="How long an access token is good")
    refresh_token_seconds: int = Field(default=604_800, gt=0, description="How long a login lasts without a refresh")
    algorithm: Algorithm = Field(default="HS256", description="Signature of session tokens")
    signup_is_open: bool = Field(default=False, description="Whether anybody may make an account")
    new_user_is_active: bool = Field(default=False, description="Whether an account made over the API may be used at once")
    password_rounds: int = Field(default=3, ge=1, description="Argon2 time cost")
    password_memory_kib: int = Field(default=65_536, ge=64, description="Argon2 memory cost")


@dataclass(frozen=True)
class User:
    """A person, without the password."""

    id: str
    username: str
    is_active: bool
    is_superuser: bool
    profile_image: str | None
    preferences: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True)
class UserChanges:
    """What is to change of an account; None leaves it."""

    username: str | None = None
    password: str | None = None
    profile_image: str | None = None
    is_active: bool | None = None
    is_superuser: bool | None = None
    preferences: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class SessionTokens:
    """What a login or a refresh hands out."""

    access_token: str
    refresh_token: str
    access_expires_at: datetime
    refresh_expires_at: datetime


@dataclass(frozen=True, slots=True)
class _GoodToken:
    caller: Caller
    expires_at: float


class AccountService:
    """Accounts and sessions. Usernames are told apart without regard to case."""

    def __init__(
        self,
        database: Database,
        settings: AccessSettings,
        *,
        passwords: Passwords | None = None,
        on_removed: Callable[[], None] | None = None,
    ) -> None:
        self._database = database
        self._on_removed = on_removed
        self._settings = settings
        self._tokens = TokenSigner(settings.secret_key, settings.algorithm)
        self._passwords = passwords or Passwords(rounds=settings.password_rounds, memory_kib=settings.password_memory_kib)
        self._good_tokens: CatalogueCache[bytes, _GoodToken] = CatalogueCache()
        self._automatic: CatalogueCache[None, Caller] = CatalogueCache()

    async def log_in(self, username: str, password: str) -> SessionTokens:
        """A new session. InvalidToken for a wrong pair, without a hint which half is wrong, and for an account that was deactivated;
        ApprovalPending for one that nobody has activated yet."""
        user = await self._find_row(username)
        password_hash = None if user is None else user.password_hash
        if len(password) > MAX_PASSWORD_CHARACTERS:
            password, password_hash = "", None
        if not await self._passwords.matches(password, password_hash) or user is None or password_hash is None:
            raise InvalidToken("Incorrect username or password")
        if not user.is_active and user.last_login_at is None:
            raise ApprovalPending("This account waits for approval: ask an administrator to activate it.")
        if not user.is_active:
            raise InvalidToken("This account is not active: ask an administrator to activate it.")
        renewed = await self._passwords.hash(password) if self._passwords.is_outdated(password_hash) else None
        return await self._start_session(user.id, proved_by=password_hash, renewed_hash=renewed)

    async def log_in_automatically(self) -> SessionTokens:
        """A session of the first superuser without a password; only for a process that was told to allow it."""
        return await self._start_session((await self.automatic_caller()).user_id)

    async def log_out(self, token: str) -> None:
        """End the session of an access or refresh token, expired or not. A token of no session is no error: there is nothing to end."""
        try:
            claims = self._tokens.read_any(token)
        except InvalidToken:
            return
        async with unit_of_work.writing(self._database) as session:
            if await SessionRepository(session).revoke(claims.session_id, revoked_at=datetime.now(UTC)):
                await catalogue.bump(session)

    async def refresh(self, refresh_token: str) -> SessionTokens:
        """New tokens of the same session. A refresh token is good once; InvalidToken for every other one."""
        claims = self._tokens.read(TokenType.REFRESH, refresh_token)
        now = datetime.now(UTC)
        refresh_id = new_id()
        ends = now + timedelta(seconds=self._settings.refresh_token_seconds)
        used_twice = False
        async with unit_of_work.writing(self._database) as session:
            sessions = SessionRepository(session)
            found = await sessions.find_with_user(claims.session_id)
            if found is None or found[0].revoked_at is not None or found[0].expires_at <= now or not found[1].is_active:
                raise InvalidToken("This session has ended: log in again.")
            current = found[0].refresh_id
            if current == claims.token_id:
                if not await sessions.rotate(claims.session_id, old_refresh_id=current, new_refresh_id=refresh_id, expires_at=ends):
                    raise InvalidToken("This refresh token was just used: take the newer one.")
            else:
                used_twice = True
                if now - created_at(current) > REFRESH_GRACE:
                    await sessions.revoke(claims.session_id, revoked_at=now)
                    await catalogue.bump(session)
        if used_twice:
            raise InvalidToken("This refresh token was used before: log in again.")
        return self._sign(claims.user_id, claims.session_id, refresh_id, now=now, ends=ends)

    async def authenticate_token(self, access_token: str) -> Caller:
        """Whose session this is. Raises InvalidToken when it is expired, ended, or its user is inactive."""
        digest = hashlib.sha256(access_token.encode("utf-8", "surrogatepass")).digest()
        version = await unit_of_work.catalogue_version(self._database)
        now = datetime.now(UTC)
        good = self._good_tokens.find(version, digest)
        if good is None or good.expires_at <= now.timestamp():
            good = await self._read_token(access_token, now)
            self._good_tokens.keep(version, digest, good)
        return good.caller

    async def automatic_caller(self) -> Caller:
        """The first superuser, for requests without a credential; only for a process that was told to allow it."""
        version = await unit_of_work.catalogue_version(self._database)
        caller = self._automatic.find(version, None)
        if caller is None:
            async with unit_of_work.reading(self._database) as session:
                user = await UserRepository(session).find_first_superuser()
            if user is None:
                raise InvalidToken("There is no active superuser: create one with `headwater user create`.")
            caller = Caller(user.id, user.username, user.is_superuser, Credential.AUTOMATIC)
            self._automatic.keep(version, None, caller)
        return caller

    async def local_caller(self, username: str | None = None) -> Caller:
        """For the command line on the server's own machine: the named user, else the first superuser."""
        if username is not None:
            user = await self._find_row(username)
        else:
            async with unit_of_work.reading(self._database) as session:
                user = await UserRepository(session).find_first_superuser()
        if user is None:
            raise NotFound("user", username or "superuser")
        return Caller(user.id, user.username, user.is_superuser, Credential.LOCAL)

    async def get_user(self, caller: Caller) -> User:
        async with unit_of_work.reading(self._database) as session:
            row = await UserRepository(session).find(caller.user_id)
        if row is None:
            raise NotFound("user", caller.user_id)
        return _to_user(row)

    async def find_user_by_name(self, username: str) -> User | None:
        row = await self._find_row(username)
        return None if row is None else _to_user(row)

    async def list_users(self) -> list[User]:
        """By name."""
        async with unit_of_work.reading(self._database) as session:
            return [_to_user(row) for row in await UserRepository(session).list_all()]

    async def create_user(
        self,
        username: str,
        password: str,
        *,
        is_superuser: bool = False,
        is_active: bool = True,
        preferences: Mapping[str, Any] | None = None,
    ) -> User:
        """A new account. AlreadyExists when the name is taken in any case."""
        if not _is_username(username):
            raise _bad_username()
        _check_password(password)
        kept_preferences = None if preferences is None else json_text(dict(preferences), "optins")
        password_hash = await self._passwords.hash(password)
        now = datetime.now(UTC)
        row = UserRow(
            id=new_id(),
            username=username,
            username_key=username.casefold(),
            password_hash=password_hash,
            is_active=is_active,
            is_superuser=is_superuser,
            preferences=kept_preferences,
            created_at=now,
            updated_at=now,
        )
        try:
            async with unit_of_work.writing(self._database) as session:
                await catalogue.bump(session)
                await UserRepository(session).add(row)
        except Conflict as error:
            raise AlreadyExists(f"The username is taken: {username}", field="username") from error
        return _to_user(row)

    async def sign_up(self, caller: Caller | None, username: str, password: str, *, preferences: Mapping[str, Any] | None = None) -> User:
        """A new account, made by a superuser or, where sign-up is open, by anybody; never a superuser's."""
        if (caller is None or not caller.is_superuser) and not self._settings.signup_is_open:
            raise NotPermitted("Sign-up is closed here: ask an administrator for an account.")
        return await self.create_user(username, password, is_active=self._settings.new_user_is_active, preferences=preferences)

    async def page_users(
        self, caller: Caller, *, search: str | None = None, username: str | None = None, skip: int = 0, limit: int = 10
    ) -> tuple[list[User], int]:
        """By name, and how many there are in all; for superusers. `search` is a part of the name, `username` all of it."""
        permissions.require_superuser(caller)
        if any(not can_be_kept(text) for text in (search, username) if text is not None):
            return [], 0
        async with unit_of_work.reading(self._database) as session:
            rows, total = await UserRepository(session).page(
                key_contains=search.casefold() if search else None,
                username_key=username.casefold() if username else None,
                offset=skip,
                limit=limit,
            )
        return [_to_user(row) for row in rows], total

    async def read_user(self, caller: Caller, user_id: str) -> User:
        """The caller's own account, or for a superuser anybody's."""
        self._check_may_see(caller, user_id)
        async with unit_of_work.reading(self._database) as session:
            row = await UserRepository(session).find(user_id)
        if row is None:
            raise NotFound("user", user_id)
        return _to_user(row)

    async def update_user(self, caller: Caller, user_id: str, changes: UserChanges) -> User:
        """Raises NotPermitted, NotFound, AlreadyExists. One active superuser always stays."""
        self._check_may_see(caller, user_id)
        if changes.is_superuser is not None and not caller.is_superuser:
            raise NotPermitted("Only a superuser may say who is one.")
        if changes.is_active is False and user_id == caller.user_id:
            raise NotPermitted("You may not deactivate your own account.")
        if changes.is_active is not None and not caller.is_superuser:
            raise NotPermitted("Only a superuser may say which accounts are active.")
        if changes.username is not None and not _is_username(changes.username):
            raise _bad_username()
        if changes.password is not None:
            permissions.require_person(caller)
            _check_password(changes.password)
        password_hash = None if changes.password is None else await self._passwords.hash(changes.password)

        async def work(session: AsyncSession) -> User:
            users, now = UserRepository(session), datetime.now(UTC)
            row = await users.find(user_id)
            if row is None:
                raise NotFound("user", user_id)
            if changes.username is not None and changes.username != row.username:
                other = await users.find_by_username_key(changes.username.casefold())
                if other is not None and other.id != row.id:
                    raise AlreadyExists(f"The username is taken: {changes.username}", field="username")
                row.username, row.username_key = changes.username, changes.username.casefold()
            for name in ("is_active", "is_superuser", "profile_image"):
                if (value := getattr(changes, name)) is not None:
                    setattr(row, name, value)
            if changes.preferences is not None:
                kept = {} if row.preferences is None else from_json(row.preferences)
                row.preferences = json_text({**kept, **changes.preferences}, "optins")
            if changes.is_active is False:  # a stolen session does not come back with the account
                await SessionRepository(session).revoke_all(user_id=user_id, revoked_at=now)
            if password_hash is not None:
                row.password_hash = password_hash
                own = caller.credential_id if user_id == caller.user_id and caller.via is Credential.SESSION else None
                await SessionRepository(session).revoke_all(user_id=user_id, revoked_at=now, but=own)
            row.updated_at = now
            await session.flush()
            if changes.is_superuser is False or changes.is_active is False:
                await _require_a_superuser(session)
            return _to_user(row)

        return await unit_of_work.change_catalogue(self._database, work)

    async def remove_user(self, caller: Caller, user_id: str) -> None:
        """With everything the user owns; by a superuser, and not the own account. One active superuser always stays."""
        if user_id == caller.user_id:
            raise InvalidInput("You may not delete your own account.")
        permissions.require_superuser(caller)

        async def work(session: AsyncSession) -> None:
            if not await UserRepository(session).delete(user_id):
                raise NotFound("user", user_id)
            await _require_a_superuser(session)  # the caller may have been one a moment ago

        await unit_of_work.change_catalogue(self._database, work)
        if self._on_removed is not None:
            self._on_removed()

    @staticmethod
    def _check_may_see(caller: Caller, user_id: str) -> None:
        # Refused alike whether there is such an account or not.
        if user_id != caller.user_id and not caller.is_superuser:
            raise NotPermitted("This is not your account, and only a superuser may use another one.")

    async def ensure_first_user(self, username: str, password: str) -> tuple[User, bool]:
        """A superuser to begin with: made when there is none that is active, else the oldest; and whether it was made now."""
        async with unit_of_work.reading(self._database) as session:
            first = await UserRepository(session).find_first_superuser()
        if first is not None:
            return _to_user(first), False
        try:
            return await self.create_user(username, password, is_superuser=True), True
        except AlreadyExists:
            # Another process that starts at the same moment was quicker; or the name belongs to somebody who is no superuser.
            async with unit_of_work.reading(self._database) as session:
                first = await UserRepository(session).find_first_superuser()
            if first is None:
                raise AlreadyExists(
                    f"There is no active superuser, and the name of a new one, {username}, is taken: set HEADWATER_SUPERUSER to another.",
                    field="username",
                ) from None
            return _to_user(first), False

    async def change_password(self, caller: Caller, *, current: str, new: str) -> User:
        """By the person: needs the current password and a login, and ends every other session."""
        permissions.require_person(caller)
        _check_password(new)
        async with unit_of_work.reading(self._database) as session:
            row = await UserRepository(session).find(caller.user_id)
        if not await self._passwords.matches(current, None if row is None else row.password_hash):
            raise InvalidInput("The current password is wrong.")
        if current == new:
            raise InvalidInput("The new password is the current one.")
        kept = caller.credential_id if caller.via is Credential.SESSION else None
        return await self._replace_password(caller.user_id, new, keep_session=kept)

    async def set_password(self, username: str, password: str) -> User:
        """By an administrator: ends every session of the user."""
        _check_password(password)
        return await self._replace_password((await self._get_by_name(username)).id, password, keep_session=None)

    async def set_active(self, username: str, is_active: bool) -> User:
        """An inactive user's keys and sessions are refused from the next request on. Raises NotPermitted for the last active superuser."""
        return await self._change_by_name(username, is_active=is_active)

    async def set_superuser(self, username: str, is_superuser: bool) -> User:
        return await self._change_by_name(username, is_superuser=is_superuser)

    async def delete_user(self, username: str) -> None:
        """With everything the user owns. Raises NotPermitted for the last active superuser."""
        user = await self._get_by_name(username)
        async with unit_of_work.writing(self._database) as session:
            await catalogue.bump(session)
            if not await UserRepository(session).delete(user.id):
                raise NotFound("user", username)
            if user.is_superuser and user.is_active:
                await _require_a_superuser(session)

    async def _start_session(self, user_id: str, *, proved_by: str | None = None, renewed_hash: str | None = None) -> SessionTokens:
        now = datetime.now(UTC)
        ends = now + timedelta(seconds=self._settings.refresh_token_seconds)
        row = SessionRow(id=new_id(), user_id=user_id, refresh_id=new_id(), created_at=now, expires_at=ends)
        async with unit_of_work.writing(self._database) as session:
            await catalogue.bump(session)
            user = await UserRepository(session).find(user_id)
            # Checking a password takes long; meanwhile the account may have changed.
            if user is None or not user.is_active or proved_by not in (None, user.password_hash):
                raise InvalidToken("Incorrect username or password")
            user.last_login_at = now
            if renewed_hash is not None:
                user.password_hash = renewed_hash
            sessions = SessionRepository(session)
            await sessions.delete_ended(user_id=user_id, before=now)
            await sessions.add(row)
        return self._sign(user_id, row.id, row.refresh_id, now=now, ends=ends)

    def _sign(self, user_id: str, session_id: str, refresh_id: str, *, now: datetime, ends: datetime) -> SessionTokens:
        access_ends = min(now + timedelta(seconds=self._settings.access_token_seconds), ends)
        access = TokenClaims(user_id, session_id, new_id(), access_ends.timestamp())
        refresh = TokenClaims(user_id, session_id, refresh_id, ends.timestamp())
        return SessionTokens(
            access_token=self._tokens.sign(TokenType.ACCESS, access, issued_at=now),
            refresh_token=self._tokens.sign(TokenType.REFRESH, refresh, issued_at=now),
            access_expires_at=access_ends,
            refresh_expires_at=ends,
        )

    async def _read_token(self, access_token: str, now: datetime) -> _GoodToken:
        claims = self._tokens.read(TokenType.ACCESS, access_token)
        async with unit_of_work.reading(self._database) as session:
            found = await SessionRepository(session).find_with_user(claims.session_id)
        if found is None or found[0].revoked_at is not None or found[0].expires_at <= now or found[1].id != claims.user_id:
            raise InvalidToken("This session has ended: log in again.")
        login, user = found
        if not user.is_active:
            raise InvalidToken("This account is not active: ask an administrator to activate it.")
        caller = Caller(user.id, user.username, user.is_superuser, Credential.SESSION, login.id)
        return _GoodToken(caller, min(claims.expires_at, login.expires_at.timestamp()))

    async def _find_row(self, username: str) -> UserRow | None:
        if not _is_username(username):
            return None
        async with unit_of_work.reading(self._database) as session:
            return await UserRepository(session).find_by_username_key(username.casefold())

    async def _get_by_name(self, username: str) -> User:
        user = await self.find_user_by_name(username)
        if user is None:
            raise NotFound("user", username)
        return user

    async def _replace_password(self, user_id: str, password: str, *, keep_session: str | None) -> User:
        password_hash = await self._passwords.hash(password)
        now = datetime.now(UTC)
        async with unit_of_work.writing(self._database) as session:
            await catalogue.bump(session)
            row = await UserRepository(session).find(user_id)
            if row is None:
                raise NotFound("user", user_id)
            row.password_hash = password_hash
            row.updated_at = now
            await SessionRepository(session).revoke_all(user_id=user_id, revoked_at=now, but=keep_session)
        return _to_user(row)

    async def _change_by_name(self, username: str, **values: bool) -> User:
        user = await self._get_by_name(username)
        async with unit_of_work.writing(self._database) as session:
            await catalogue.bump(session)
            row = await UserRepository(session).find(user.id)
            if row is None:
                raise NotFound("user", username)
            for name, value in values.items():
                setattr(row, name, value)
            row.updated_at = now = datetime.now(UTC)
            if values.get("is_active") is False:
                await SessionRepository(session).revoke_all(user_id=row.id, revoked_at=now)
            await session.flush()
            if user.is_superuser and user.is_active:
                await _require_a_superuser(session)
        return _to_user(row)


async def _require_a_superuser(session: AsyncSession) -> None:
    if await UserRepository(session).find_first_superuser() is None:
        raise NotPermitted("The last active superuser has to stay one. Make another first: headwater user create NAME --superuser")


def _is_username(username: str) -> bool:
    if not username.strip() or len(username.casefold()) > MAX_USERNAME_CHARACTERS:
        return False
    # Control characters and surrogates: some databases keep neither.
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in username)


def _bad_username() -> InvalidInput:
    return refused("username", f"A username has 1 to {MAX_USERNAME_CHARACTERS} characters, none of them a control character.")


def _check_password(password: str) -> None:
    if not password or len(password) > MAX_PASSWORD_CHARACTERS:
        raise refused("password", f"A password has 1 to {MAX_PASSWORD_CHARACTERS} characters.")


def _to_user(row: UserRow) -> User:
    return User(
        id=row.id,
        username=row.username,
        is_active=row.is_active,
        is_superuser=row.is_superuser,
        profile_image=row.profile_image,
        preferences=None if row.preferences is None else from_json(row.preferences),
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_login_at=row.last_login_at,
    )
