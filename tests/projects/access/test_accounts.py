import asyncio
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from argon2 import Parameters, PasswordHasher, extract_parameters
from sqlalchemy import select, update

from projects.access.accounts import AccessSettings, AccountService, SessionTokens, UserChanges
from projects.access.caller import Caller, Credential
from projects.errors import AlreadyExists, InvalidInput, InvalidToken, NotFound, NotPermitted
from storage.database import Database, DatabaseSettings
from storage.ids import new_id
from storage.tables import SessionRow, UserRow
from tests.projects.access.conftest import CHEAP


@pytest.fixture
async def ada(accounts: AccountService) -> Caller:
    user = await accounts.create_user("Ada", "correct horse", is_superuser=True)
    return Caller(user.id, user.username, True, Credential.LOCAL)


async def test_a_login_gives_tokens_that_are_the_user(accounts: AccountService, ada: Caller) -> None:
    before = datetime.now(UTC)
    tokens = await accounts.log_in("ADA", "correct horse")
    caller = await accounts.authenticate_token(tokens.access_token)
    assert (caller.user_id, caller.username, caller.is_superuser, caller.via) == (ada.user_id, "Ada", True, Credential.SESSION)
    claims = jwt.decode(tokens.access_token, options={"verify_signature": False})
    assert set(claims) == {"sub", "type", "exp", "iat", "jti", "sid"}
    assert (claims["sub"], claims["type"], claims["sid"]) == (ada.user_id, "access", caller.credential_id)
    assert timedelta(seconds=3_590) < tokens.access_expires_at - before < timedelta(seconds=3_610)
    assert timedelta(days=6.9) < tokens.refresh_expires_at - before < timedelta(days=7.1)
    last_login = (await accounts.get_user(caller)).last_login_at
    assert last_login is not None
    assert last_login >= before


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("Ada", "wrong"),
        ("nobody", "correct horse"),
        ("", ""),
        ("Ada", ""),
        ("a\0", "x"),
        ("\ud800", "\ud800"),
        ("x" * 10_000, "x" * 100_000),
    ],
)
async def test_a_wrong_pair_is_refused_in_the_same_words(accounts: AccountService, ada: Caller, username: str, password: str) -> None:
    with pytest.raises(InvalidToken) as refused:
        await accounts.log_in(username, password)
    assert refused.value.message == "Incorrect username or password"


async def test_an_unknown_user_costs_as_many_hashes_as_a_wrong_password(
    accounts: AccountService, ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Parameters] = []
    verify = PasswordHasher.verify

    def counting(self: PasswordHasher, password_hash: str, password: bytes) -> bool:
        checked.append(extract_parameters(password_hash))
        return verify(self, password_hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    for username in ("Ada", "nobody"):
        with pytest.raises(InvalidToken):
            await accounts.log_in(username, "wrong")
    assert len(checked) == 2
    assert checked[0] == checked[1]


async def test_an_inactive_user_neither_logs_in_nor_goes_on(accounts: AccountService, ada: Caller) -> None:
    tokens = await accounts.log_in("Ada", "correct horse")
    await accounts.authenticate_token(tokens.access_token)
    await accounts.create_user("other", "x", is_superuser=True)
    await accounts.set_active("ada", False)
    for refused in (
        accounts.log_in("Ada", "correct horse"),
        accounts.authenticate_token(tokens.access_token),
        accounts.refresh(tokens.refresh_token),
    ):
        with pytest.raises(InvalidToken):
            await refused


async def test_logging_out_ends_every_token_of_the_session_in_every_process(
    accounts: AccountService, ada: Caller, database_settings: DatabaseSettings
) -> None:
    async with Database(database_settings) as elsewhere:
        other_process = AccountService(elsewhere, CHEAP)
        for token in ("access_token", "refresh_token"):
            tokens, kept = await accounts.log_in("Ada", "correct horse"), await accounts.log_in("Ada", "correct horse")
            for service in (accounts, other_process):
                await service.authenticate_token(tokens.access_token)
            await accounts.log_out(getattr(tokens, token))
            for service in (accounts, other_process):
                with pytest.raises(InvalidToken):
                    await service.authenticate_token(tokens.access_token)
                with pytest.raises(InvalidToken):
                    await service.refresh(tokens.refresh_token)
                await service.authenticate_token(kept.access_token)


async def test_logging_out_with_no_token_of_ours_is_no_error(accounts: AccountService, ada: Caller) -> None:
    tokens = await accounts.log_in("Ada", "correct horse")
    for token in ("", "nonsense", "a.b.c", "\ud800", "x" * 100_000):
        await accounts.log_out(token)
    await accounts.log_out(tokens.access_token)
    await accounts.log_out(tokens.access_token)


async def test_a_refresh_goes_on_with_the_same_session_and_works_once(accounts: AccountService, ada: Caller) -> None:
    first = await accounts.log_in("Ada", "correct horse")
    second = await accounts.refresh(first.refresh_token)
    assert second.refresh_token != first.refresh_token
    assert await accounts.authenticate_token(second.access_token) == await accounts.authenticate_token(first.access_token)
    with pytest.raises(InvalidToken):
        await accounts.refresh(first.refresh_token)
    third = await accounts.refresh(second.refresh_token)
    await accounts.log_out(third.access_token)
    for tokens in (first, second, third):
        with pytest.raises(InvalidToken):
            await accounts.authenticate_token(tokens.access_token)


async def test_of_tabs_that_refresh_at_once_one_gets_tokens_and_the_session_stays(accounts: AccountService, ada: Caller) -> None:
    tokens = await accounts.log_in("Ada", "correct horse")
    answers = await asyncio.gather(*(accounts.refresh(tokens.refresh_token) for _ in range(5)), return_exceptions=True)
    (good,) = (answer for answer in answers if isinstance(answer, SessionTokens))
    assert sum(isinstance(answer, InvalidToken) for answer in answers) == 4
    await accounts.authenticate_token(good.access_token)
    await accounts.refresh(good.refresh_token)


async def test_an_old_refresh_token_that_comes_late_ends_the_session(database: Database, accounts: AccountService, ada: Caller) -> None:
    first = await accounts.log_in("Ada", "correct horse")
    second = await accounts.refresh(first.refresh_token)
    long_ago = "0190" + new_id()[4:]
    async with database.transaction() as session:
        await session.execute(update(SessionRow).values(refresh_id=long_ago))
    with pytest.raises(InvalidToken, match="used before"):
        await accounts.refresh(first.refresh_token)
    with pytest.raises(InvalidToken):
        await accounts.authenticate_token(second.access_token)


async def test_a_token_is_good_only_for_what_it_was_made_for(accounts: AccountService, ada: Caller) -> None:
    tokens = await accounts.log_in("Ada", "correct horse")
    with pytest.raises(InvalidToken):
        await accounts.authenticate_token(tokens.refresh_token)
    with pytest.raises(InvalidToken):
        await accounts.refresh(tokens.access_token)


async def test_forged_and_foreign_tokens_are_refused(database: Database, accounts: AccountService, ada: Caller) -> None:
    tokens = await accounts.log_in("Ada", "correct horse")
    claims = jwt.decode(tokens.access_token, options={"verify_signature": False})
    header = jwt.get_unverified_header(tokens.access_token)
    foreign = AccountService(database, CHEAP.model_copy(update={"secret_key": "another secret"}))
    head, body, signature = tokens.access_token.split(".")
    forged = [
        jwt.encode(claims, "", algorithm="none", headers={"kid": header["kid"]}),
        jwt.encode(claims, "x" * 64, algorithm="HS256", headers={"kid": header["kid"]}),
        jwt.encode(claims, CHEAP.secret_key + "x" * 64, algorithm="HS256"),
        f"{head}.{body}.",
        f"{head}.{body}.{signature[::-1]}",
        f"{head}.{body[:-2]}.{signature}",
        (await foreign.log_in("Ada", "correct horse")).access_token,
        "",
        "nonsense",
        "sk-" + "A" * 43,
        "\ud800",
        "x" * 1_000_000,
    ]
    for token in forged:
        with pytest.raises(InvalidToken):
            await accounts.authenticate_token(token)


async def test_an_expired_token_is_refused(database: Database, ada: Caller) -> None:
    brief = AccountService(database, CHEAP.model_copy(update={"access_token_seconds": -1}))
    tokens = await brief.log_in("Ada", "correct horse")
    with pytest.raises(InvalidToken, match="expired"):
        await brief.authenticate_token(tokens.access_token)
    assert isinstance(await brief.refresh(tokens.refresh_token), SessionTokens)


async def test_a_session_past_its_end_is_refused_and_forgotten_at_the_next_login(
    database: Database, accounts: AccountService, ada: Caller
) -> None:
    tokens = await accounts.log_in("Ada", "correct horse")
    async with database.transaction() as session:
        await session.execute(update(SessionRow).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    with pytest.raises(InvalidToken):
        await accounts.authenticate_token(tokens.access_token)
    with pytest.raises(InvalidToken):
        await accounts.refresh(tokens.refresh_token)
    await accounts.log_in("Ada", "correct horse")
    async with database.reading() as session:
        assert len((await session.execute(select(SessionRow.id))).scalars().all()) == 1


async def test_a_username_is_taken_in_any_case(accounts: AccountService, ada: Caller) -> None:
    for name in ("Ada", "ADA", "ada"):
        with pytest.raises(AlreadyExists) as taken:
            await accounts.create_user(name, "password")
        assert taken.value.field == "username"
    assert [user.username for user in await accounts.list_users()] == ["Ada"]


@pytest.mark.parametrize(
    ("username", "password"), [("", "x"), ("  ", "x"), ("x" * 256, "x"), ("a\nb", "x"), ("bob", ""), ("bob", "x" * 1_025)]
)
async def test_what_cannot_be_a_name_or_a_password_is_refused(accounts: AccountService, username: str, password: str) -> None:
    with pytest.raises(InvalidInput):
        await accounts.create_user(username, password)


async def test_a_user_is_found_by_name_and_never_shows_the_password(database: Database, accounts: AccountService, ada: Caller) -> None:
    user = await accounts.find_user_by_name("aDA")
    assert user is not None
    assert user == await accounts.get_user(ada)
    assert await accounts.find_user_by_name("nobody") is None
    with pytest.raises(NotFound):
        await accounts.get_user(Caller(new_id(), "ghost", False, Credential.LOCAL))
    async with database.reading() as session:
        password_hash = (await session.execute(select(UserRow.password_hash))).scalar_one()
    assert password_hash.startswith("$argon2id$")
    assert password_hash not in repr(user)


async def test_changing_the_password_needs_the_current_one_and_a_login(accounts: AccountService, ada: Caller) -> None:
    tokens, other = await accounts.log_in("Ada", "correct horse"), await accounts.log_in("Ada", "correct horse")
    caller = await accounts.authenticate_token(tokens.access_token)
    for current, new in (("wrong", "new password"), ("correct horse", "correct horse"), ("correct horse", "")):
        with pytest.raises(InvalidInput):
            await accounts.change_password(caller, current=current, new=new)
    with pytest.raises(NotPermitted):
        await accounts.change_password(
            Caller(ada.user_id, "Ada", True, Credential.API_KEY, new_id()), current="correct horse", new="new password"
        )
    await accounts.change_password(caller, current="correct horse", new="new password")
    await accounts.authenticate_token(tokens.access_token)
    with pytest.raises(InvalidToken):
        await accounts.authenticate_token(other.access_token)
    with pytest.raises(InvalidToken):
        await accounts.log_in("Ada", "correct horse")
    await accounts.log_in("Ada", "new password")


async def test_a_password_set_by_the_administrator_ends_every_session(accounts: AccountService, ada: Caller) -> None:
    tokens = await accounts.log_in("Ada", "correct horse")
    await accounts.set_password("ada", "given")
    with pytest.raises(InvalidToken):
        await accounts.authenticate_token(tokens.access_token)
    await accounts.log_in("Ada", "given")
    for change in (accounts.set_password("nobody", "x"), accounts.set_active("nobody", True), accounts.delete_user("nobody")):
        with pytest.raises(NotFound):
            await change


async def test_a_deleted_user_is_gone_with_sessions(accounts: AccountService, ada: Caller) -> None:
    tokens = await accounts.log_in("Ada", "correct horse")
    await accounts.create_user("other", "x", is_superuser=True)
    await accounts.delete_user("ada")
    with pytest.raises(InvalidToken):
        await accounts.authenticate_token(tokens.access_token)
    assert [user.username for user in await accounts.list_users()] == ["other"]


async def test_a_hash_made_with_older_costs_is_renewed_at_login(database: Database, accounts: AccountService, ada: Caller) -> None:
    dearer = AccountService(database, CHEAP.model_copy(update={"password_rounds": 2}))
    await dearer.log_in("Ada", "correct horse")
    async with database.reading() as session:
        assert "t=2" in (await session.execute(select(UserRow.password_hash))).scalar_one()
    await dearer.log_in("Ada", "correct horse")


async def test_the_first_user_is_made_once_also_by_several_starters(database: Database) -> None:
    starters = [AccountService(database, CHEAP) for _ in range(4)]
    answers = await asyncio.gather(*(starter.ensure_first_user("admin", "first password") for starter in starters))
    assert sorted(made for _, made in answers) == [False, False, False, True]
    assert len({user.id for user, _ in answers}) == 1
    user, made = await starters[0].ensure_first_user("another", "password")
    assert (user.username, user.is_superuser, made) == ("admin", True, False)


async def test_the_first_user_does_not_take_over_an_ordinary_account(accounts: AccountService) -> None:
    await accounts.create_user("admin", "hers")
    with pytest.raises(AlreadyExists, match="HEADWATER_SUPERUSER"):
        await accounts.ensure_first_user("admin", "ours")
    await accounts.log_in("admin", "hers")


async def test_one_active_superuser_stays_whoever_is_changed_or_deleted(accounts: AccountService) -> None:
    for name in ("first", "second"):
        await accounts.create_user(name, "x", is_superuser=True)
    await accounts.set_active("first", False)
    for change in (accounts.set_active("second", False), accounts.set_superuser("second", False), accounts.delete_user("second")):
        with pytest.raises(NotPermitted, match="last active superuser"):
            await change
    assert (await accounts.automatic_caller()).username == "second"
    await accounts.delete_user("first")
    await accounts.log_in("second", "x")


async def test_of_two_superusers_who_shut_each_other_out_at_once_one_stays(accounts: AccountService) -> None:
    first, second = [await accounts.create_user(name, "x", is_superuser=True) for name in ("first", "second")]
    known = Caller(second.id, second.username, True, Credential.SESSION)  # asked while it still was one
    await accounts.set_active("second", False)
    for change in (accounts.update_user(known, first.id, UserChanges(is_active=False)), accounts.remove_user(known, first.id)):
        with pytest.raises(NotPermitted, match="last active superuser"):
            await change
    assert (await accounts.automatic_caller()).username == "first"


async def test_automatic_login_is_the_first_active_superuser(accounts: AccountService) -> None:
    with pytest.raises(InvalidToken):
        await accounts.automatic_caller()
    await accounts.create_user("plain", "x")
    first = await accounts.create_user("first", "x", is_superuser=True)
    second = await accounts.create_user("second", "x", is_superuser=True)
    assert await accounts.automatic_caller() == Caller(first.id, "first", True, Credential.AUTOMATIC)
    assert (await accounts.local_caller()).user_id == first.id
    assert (await accounts.local_caller("PLAIN")).via is Credential.LOCAL
    await accounts.set_active("first", False)
    assert (await accounts.automatic_caller()).user_id == second.id
    caller = await accounts.authenticate_token((await accounts.log_in_automatically()).access_token)
    assert (caller.user_id, caller.via) == (second.id, Credential.SESSION)
    with pytest.raises(NotFound):
        await accounts.local_caller("nobody")


def test_settings_do_not_show_the_secret() -> None:
    assert "hunter2" not in repr(AccessSettings(secret_key="hunter2"))
