"""How often and how many at once: calls of each credential and of each tool, counted in this process where both faces pass.

A bucket holds a minute's worth of calls and fills evenly, so a burst is fine and a steady flood is not.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from time import monotonic

from projects.errors import TooManyRequests

MAX_BUCKETS = 20_000
RETRY_WHEN_BUSY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class CallLimits:
    """0 is no limit."""

    per_minute_per_key: int = 60_000
    per_minute_per_tool: int = 0  # of one credential
    at_once_per_key: int = 128


class Buckets:
    """One token bucket a name. Memory is bounded: the one used longest ago is forgotten first, which makes it full again."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = monotonic) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name → tokens left, and when that was

    def seconds_until_free(self, name: str) -> float:
        """0.0 when a call may be made now."""
        left, _ = self._level(name)
        return 0.0 if left >= 1 else (1 - left) / self._per_second

    def take(self, name: str) -> None:
        left, now = self._level(name)
        self._levels[name] = (left - 1, now)
        self._levels.move_to_end(name)
        if len(self._levels) > MAX_BUCKETS:
            self._levels.popitem(last=False)

    def _level(self, name: str) -> tuple[float, float]:
        now = self._clock()
        left, then = self._levels.get(name, (self._capacity, now))
        return min(self._capacity, left + (now - then) * self._per_second), now


class CallCounter:
    """Counts for the whole process. A call that is refused is not counted."""

    def __init__(self, limits: CallLimits, *, clock: Callable[[], float] = monotonic) -> None:
        self._limits = limits
        self._keys = Buckets(limits.per_minute_per_key, clock=clock) if limits.per_minute_per_key else None
        self._tools = Buckets(limits.per_minute_per_tool, clock=clock) if limits.per_minute_per_tool else None
        self._running: Counter[str] = Counter()

    def admit(self, principal: str, flow_id: str) -> None:
        """Count one call of a flow. Raises TooManyRequests, which says when the next one may be made."""
        at_once = self._limits.at_once_per_key
        if at_once and self._running[principal] >= at_once:
            raise TooManyRequests(
                f"{at_once} calls of this credential are going on already; wait until one of them ends.",
                retry_after_seconds=RETRY_WHEN_BUSY_SECONDS,
            )
        tool = f"{principal} {flow_id}"
        if self._keys is not None and (seconds := self._keys.seconds_until_free(principal)) > 0:
            raise _too_many(f"This credential may make {self._limits.per_minute_per_key:,} calls a minute", seconds)
        if self._tools is not None and (seconds := self._tools.seconds_until_free(tool)) > 0:
            raise _too_many(f"This credential may call one tool {self._limits.per_minute_per_tool:,} times a minute", seconds)
        if self._keys is not None:
            self._keys.take(principal)
        if self._tools is not None:
            self._tools.take(tool)

    def begin(self, principal: str) -> None:
        """One more call of this credential is going on, until `end`."""
        self._running[principal] += 1

    def end(self, principal: str) -> None:
        self._running[principal] -= 1
        if not self._running[principal]:
            del self._running[principal]


def _too_many(rule: str, seconds: float) -> TooManyRequests:
    whole = ceil(seconds)
    return TooManyRequests(f"{rule}, and has made them.", retry_after_seconds=whole)
