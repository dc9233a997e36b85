"""So many tries a minute, by address."""

import pytest

from projects.errors import TooManyRequests
from rest_adapter.rate_limit import MAX_ADDRESSES, RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_the_sixth_try_within_a_minute_is_refused_and_a_minute_later_not() -> None:
    clock = Clock()
    limit = RateLimit(5, clock=clock)
    for _ in range(5):
        limit.count("a")
    with pytest.raises(TooManyRequests) as refused:
        limit.count("a")
    assert refused.value.retry_after_seconds == 60
    limit.count("b")
    clock.now += 60
    limit.count("a")


def test_addresses_are_forgotten_rather_than_kept_without_end() -> None:
    limit = RateLimit(1, clock=Clock())
    limit.count("first")
    for number in range(MAX_ADDRESSES):
        limit.count(str(number))
    limit.count("first")
