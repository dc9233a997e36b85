"""So many long connections at once, and so many for each caller."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from projects.access.caller import Caller
from projects.errors import TooManyRequests, Unavailable

RETRY_AFTER_SECONDS = 5


class Places:
    def __init__(self, limit: int, per_caller: int) -> None:
        self._limit = limit
        self._per_caller = per_caller
        self._taken: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self._taken.total()

    def require_one(self, caller: Caller) -> None:
        """Raise TooManyRequests or Unavailable when there is none left."""
        if self._taken[caller.principal] >= self._per_caller:
            message = f"{self._per_caller} streams of this credential are open already: close one."
            raise TooManyRequests(message, retry_after_seconds=RETRY_AFTER_SECONDS)
        if self._taken.total() >= self._limit:
            message = "Too many streams are open here: try again later, or use streamable HTTP."
            raise Unavailable(message, retry_after_seconds=RETRY_AFTER_SECONDS)

    @contextmanager
    def taken_by(self, caller: Caller) -> Iterator[None]:
        self._taken[caller.principal] += 1
        try:
            yield
        finally:
            self._taken[caller.principal] -= 1
            if not self._taken[caller.principal]:
                del self._taken[caller.principal]
