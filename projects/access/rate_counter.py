"""How often something happened for one key (an address, a project) in the last minute, counted in this process."""

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from time import monotonic

from projects.errors import TooManyRequests

WINDOW_SECONDS = 60.0
MAX_KEYS = 10_000


class RateCounter:
    """At most `per_minute` for each key in any minute. Memory is bounded: the key seen longest ago is forgotten first."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def require(self, key: str, message: str) -> None:
        """Raise TooManyRequests with the message when there were enough; nothing is counted."""
        times = self._times.get(key)
        if times is None:
            return
        now = self._clock()
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        if len(times) >= self._per_minute:
            wait = max(1, int(times[0] + WINDOW_SECONDS - now) + 1)
            raise TooManyRequests(message, retry_after_seconds=wait)

    def count(self, key: str) -> None:
        times = self._times.pop(key, None)
        if times is None:
            times = deque(maxlen=self._per_minute)
        self._times[key] = times  # moved to the end
        times.append(self._clock())
        if len(self._times) > MAX_KEYS:
            del self._times[next(iter(self._times))]


@lru_cache(maxsize=1_024)  # asked for every request, mostly of the same few
def address_key(host: str) -> str:
    """Whose tries are counted together: one IPv4 address, or the /64 network that one IPv6 customer has."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped) if address.ipv4_mapped is not None else address.exploded[:19]
    return host
