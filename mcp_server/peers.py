"""Servers on other machines and the same database: how they prove themselves to each other, and which of them is asked.

Above: `relay.py`. Whoever knows the installation's secret key can read the whole database, so that knowing it is what a peer shows; the
key itself never travels. A proof is good for one request: its method, its address, whom it is for, one minute, once.
"""

import hmac
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

GOOD_SECONDS = 60  # what the clocks of two machines may be apart
REST_SECONDS = 5.0
NONCE_BYTES = 16
NONCE_SLOTS = 1 << 18  # some four thousand requests a second; 6 MiB at most
PROBED_SLOTS = 64
_PURPOSE = b"headwater: requests between the servers of one database"
_SLOT = struct.Struct("=16sq")  # a nonce, and until when it must not come again


class SeenNonces:
    """What was used already, for one process or for all that are forked after it was made. Its memory is bounded and never grows.

    Where it is full a nonce counts as used: that request is then an ordinary one.
    """

    def __init__(self, *, is_shared: bool = False) -> None:
        self._slots = mmap.mmap(-1, NONCE_SLOTS * _SLOT.size)
        self._lock: int | None = None
        if is_shared:
            self._lock, path = tempfile.mkstemp()
            Path(path).unlink()

    def use(self, nonce: bytes, *, until: int, now: int) -> bool:
        """Whether it was not used before; it is from now on, until that second of the epoch. `nonce` has 16 random bytes."""
        first = int.from_bytes(nonce[:8], "big")
        with self._alone():
            free = None
            for step in range(PROBED_SLOTS):
                place = (first + step) % NONCE_SLOTS * _SLOT.size
                known, good_until = _SLOT.unpack_from(self._slots, place)
                if good_until < now:
                    free = place if free is None else free
                elif known == nonce:
                    return False
            if free is None:
                return False
            _SLOT.pack_into(self._slots, free, nonce, until)
            return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time; the system gives the lock back however its holder ends."""
        if self._lock is None:
            yield
            return
        import fcntl  # where there is fork, there is this

        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)


class Proofs:
    """Made with the first key, believed when made with any of them, as in a change of keys."""

    def __init__(self, secret_keys: Sequence[str], nonces: SeenNonces, clock: Callable[[], float] = time.time) -> None:
        self._keys = [hmac.digest(each.encode(), _PURPOSE, "sha256") for each in secret_keys]
        self._nonces = nonces
        self._clock = clock

    def make(self, method: str, target: bytes, origin: bytes) -> bytes:
        """`target` is path and query as they are sent, `origin` what is said of the client that the request comes from."""
        nonce = os.urandom(NONCE_BYTES)
        said = b"%d.%s" % (self._clock(), nonce.hex().encode())
        return b"%s.%s" % (said, _seal(self._keys[0], method, target, origin, said))

    def accept(self, proof: bytes, method: str, target: bytes, origin: bytes) -> bool:
        """Whether it was made for this request, now, and was not shown before."""
        said, _, seal = proof.rpartition(b".")
        if not any(hmac.compare_digest(seal, _seal(key, method, target, origin, said)) for key in self._keys):
            return False
        # What is sealed was written by `make`.
        made_at, nonce = said.split(b".")
        now, until = int(self._clock()), int(made_at) + GOOD_SECONDS
        return abs(now - int(made_at)) <= GOOD_SECONDS and self._nonces.use(bytes.fromhex(nonce.decode()), until=until, now=now)


def _seal(key: bytes, method: str, target: bytes, origin: bytes, said: bytes) -> bytes:
    # No part can hold a line break: they are parts of one request's head.
    text = b"\n".join((method.encode(), target, origin, said))
    return hmac.digest(key, text, "sha256").hex().encode()


class Peer:
    """One server elsewhere. After a failure it rests for some seconds, and then one request tries it before the others do."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.is_this_server = False  # the same list may be given to all of them
        self._has_failed = False
        self._rests_until = 0.0

    def is_resting(self) -> bool:
        return self.is_this_server or time.monotonic() < self._rests_until

    def begin_asking(self) -> None:
        if self._has_failed:
            self._rests_until = time.monotonic() + REST_SECONDS

    def has_answered(self) -> None:
        self._has_failed = False
        self._rests_until = 0.0

    def has_failed(self) -> None:
        self._has_failed = True
        self._rests_until = time.monotonic() + REST_SECONDS


@dataclass(frozen=True, slots=True)
class Peers:
    """The other servers by their addresses, such as http://10.0.0.2:7860, and what stands between them and strangers.

    `own_hosts` are the names this server answers to, None for every name: what it passes on was sent to one of them.
    """

    addresses: Sequence[str]
    proofs: Proofs
    own_hosts: Sequence[str] | None
