"""What keeps people who are not the user apart: their sessions, and how often they may come."""

import pytest

from projects.access.caller import Caller, Credential
from projects.access.project_access import AuthType, ProjectAccess, auth_type_of
from projects.access.rate_counter import MAX_KEYS, RateCounter, address_key
from projects.access.session_spaces import inside, is_guest, session_for, space_of
from projects.errors import InvalidInput, TooManyRequests

ADA = Caller("ada-id", "ada", True, Credential.LOCAL)
OPEN = ProjectAccess("p", "ada-id", "ada", AuthType.NONE)
TRUSTING = ProjectAccess("p", "ada-id", "ada", AuthType.OAUTH, issuer="https://as.example")


def test_a_user_names_sessions_freely() -> None:
    assert session_for(ADA, "x") == "x"
    assert session_for(ADA, None) != session_for(ADA, None)
    assert space_of(ADA.principal, "x") == ""
    assert inside("", "x") == "x"


def test_a_guest_is_nobody_in_particular_and_no_superuser() -> None:
    guest = OPEN.guest()
    assert (guest.is_guest, guest.is_confined, guest.is_superuser, guest.principal) == (True, True, False, "guest:p")
    assert is_guest(guest.principal)
    assert not is_guest(ADA.principal)


def test_the_same_name_in_two_mcp_sessions_is_two_sessions() -> None:
    one, two = OPEN.guest("session-1"), OPEN.guest("session-2")
    assert session_for(one, "x") == session_for(one, "x") != session_for(two, "x")
    assert session_for(one, session_for(one, "x")) == session_for(one, "x")
    assert session_for(two, session_for(one, "x")) != session_for(one, "x")


def test_without_an_mcp_session_a_guest_goes_on_with_what_it_was_told_and_makes_up_nothing() -> None:
    guest = OPEN.guest()
    told = session_for(guest, None)
    assert session_for(guest, told) == told
    for made_up in ("x", "guest:p:x", told + ":x", "guest:q:" + "0" * 32):
        with pytest.raises(InvalidInput):
            session_for(guest, made_up)


def test_a_flow_that_names_a_session_stays_in_the_space_of_its_caller() -> None:
    for caller in (OPEN.guest(), OPEN.guest("session"), TRUSTING.token_holder("carol")):
        session = session_for(caller, None)
        space = space_of(caller.principal, session)
        assert space
        assert inside(space, session) == session
        assert inside(space, "the owner's") == f"{space}:the owner's"
        assert inside(space, f"{space}x") == f"{space}:{space}x"
        assert inside(space, "") == ""
    carol, other = TRUSTING.token_holder("carol"), TRUSTING.token_holder("carol2")
    assert session_for(other, session_for(carol, "x")).startswith(f"{other.principal}:")


def test_settings_that_do_not_plainly_say_otherwise_want_a_key() -> None:
    for settings in (None, {}, {"auth_type": None}, {"auth_type": "magic"}, {"auth_type": ["none"]}, {"auth_type": "NONE"}):
        assert auth_type_of(settings) is AuthType.API_KEY
    assert auth_type_of({"auth_type": "none"}) is AuthType.NONE


def test_a_rate_is_counted_by_key_for_a_minute_and_memory_is_bounded() -> None:
    now = 0.0
    counter = RateCounter(2, clock=lambda: now)
    for _ in range(2):
        counter.require("a", "slower")
        counter.count("a")
    with pytest.raises(TooManyRequests) as refused:
        counter.require("a", "slower")
    assert refused.value.retry_after_seconds == 61
    counter.require("b", "slower")
    now = 60.0
    counter.require("a", "slower")
    for number in range(MAX_KEYS + 10):
        counter.count(str(number))
    assert len(counter._times) == MAX_KEYS


def test_one_customers_addresses_count_as_one() -> None:
    assert address_key("2001:db8:1:2::1") == address_key("2001:db8:1:2:ffff::9") != address_key("2001:db8:1:3::1")
    assert address_key("::ffff:192.0.2.1") == address_key("192.0.2.1") == "192.0.2.1"
    assert address_key("testclient") == "testclient"
