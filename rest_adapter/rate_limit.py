"""How often one address or user may try something, counted in this process."""

from collections import deque
from collections.abc import Callable
from time import monotonic

from projects.errors import TooManyRequests

WINDOW_SECONDS = 60.0
MAX_ADDRESSES = 10_000


class RateLimit:
    """At most `per_minute` tries by one address (or user) in any minute. Memory is bounded: the one seen longest ago is forgotten first."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._tries: dict[str, deque[float]] = {}

    def count(self, address: str) -> None:
        """Count one try. Raises TooManyRequests when it is one too many; such a try is not counted."""
        now = self._clock()
        tries = self._tries.pop(address, None) or deque[float]()
        self._tries[address] = tries  # moved to the end
        if len(self._tries) > MAX_ADDRESSES:
            del self._tries[next(iter(self._tries))]
        while tries and tries[0] <= now - WINDOW_SECONDS:
            tries.popleft()
        if len(tries) >= self._per_minute:
            raise TooManyRequests("Too many tries; wait a minute.", retry_after_seconds=60)
        tries.append(now)
