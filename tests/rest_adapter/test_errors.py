"""Every error of the domain as an answer: a status somebody decided on, one shape, and the headers that go with it."""

import json
from collections.abc import Iterator

import pytest

from projects.errors import HeadwaterError, InvalidToken, PluginFailed, TooManyRequests, Unavailable
from projects.runs.kept_errors import FailedBefore
from projects.voice.realtime import RealtimeClosed
from rest_adapter.errors import STATUSES, status_of, to_response
from tests.application import Application

# They are 500 because nothing better is known: a plugin's own failure, and one of which only the message was kept.
NOTHING_KNOWN = {PluginFailed, FailedBefore}
# Told on the socket of its conversation, where there are no statuses any more.
TOLD_ELSEWHERE = {RealtimeClosed}
# Nothing that a caller sends is to blame for these.
OURS_OR_A_PROVIDERS = {500: {"ComponentFailed"}, 502: {"ProviderFailed"}, 503: {"Unavailable", "ProviderBusy"}, 504: {"ProviderTimedOut"}}


def kinds(base: type[HeadwaterError] = HeadwaterError) -> Iterator[type[HeadwaterError]]:
    """All of the tree; what the MCP face adds for itself is its own affair."""
    for kind in base.__subclasses__():
        if not kind.__module__.startswith("mcp_server"):
            yield kind
        yield from kinds(kind)


def test_every_kind_of_error_has_a_status_and_only_failures_of_ours_are_5xx() -> None:
    for kind in set(kinds()) - NOTHING_KNOWN - TOLD_ELSEWHERE:
        assert any(base in STATUSES for base in kind.__mro__), kind.__name__
        status = next(STATUSES[base] for base in kind.__mro__ if base in STATUSES)
        assert status < 500 or kind.__name__ in OURS_OR_A_PROVIDERS[status], kind.__name__


def test_codes_are_told_apart() -> None:
    codes = [kind.__dict__["code"] for kind in kinds() if "code" in kind.__dict__]  # the others are their parents' under another name
    assert len(codes) == len(set(codes)) and "error" not in codes


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (InvalidToken("Log in again."), {"www-authenticate": "Bearer"}),
        (TooManyRequests("Wait.", retry_after_seconds=7), {"retry-after": "7"}),
        (Unavailable("Busy.", retry_after_seconds=3), {"retry-after": "3"}),
    ],
)
def test_an_answer_that_asks_for_another_try_says_how_and_when(error: HeadwaterError, headers: dict[str, str]) -> None:
    answer = to_response(error)
    assert headers.items() <= dict(answer.headers).items()
    assert json.loads(bytes(answer.body))["detail"] == error.message
    assert status_of(error) == answer.status_code


async def test_a_busy_database_is_503_with_the_time_to_wait(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise Unavailable("The database is busy or cannot be reached; try again shortly.")

    monkeypatch.setattr(type(application.services.projects), "list_projects", fail)
    answer = await application.http.get("/api/v1/projects/")
    assert (answer.status_code, answer.headers["retry-after"], list(answer.json())) == (503, "1", ["detail"])
