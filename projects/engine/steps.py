"""How much one run may do: every vertex built, every tool called, in its loops and in the flows it runs, is one step."""

from __future__ import annotations

from projects.errors import LimitReached

DEFAULT_STEPS = 10_000


class Steps:
    """Counts the steps of one run and of everything it starts. One object is shared by all of them."""

    __slots__ = ("limit", "taken")

    def __init__(self, limit: int = DEFAULT_STEPS) -> None:
        self.limit = limit
        self.taken = 0

    def take(self) -> int:
        """One more step; how many there are now. Raises LimitReached past the bound."""
        self.taken += 1
        if self.taken > self.limit:
            raise LimitReached(
                f"This run was stopped after {self.limit:,} steps: a loop over many rows, or flows that run each other without an end. "
                "Give it less to do at once, or raise HEADWATER_MAX_STEPS_PER_RUN."
            )
        return self.taken
