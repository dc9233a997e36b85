"""How much one run may do: every vertex built, every tool called, in its loops and in the flows it runs, is one step. And how much it
may make in these steps: a text that each step doubles would soon be larger than any machine."""

from __future__ import annotations

from typing import Any

from projects.engine.values import characters_of
from projects.errors import LimitReached

DEFAULT_STEPS = 10_000
MAX_CHARACTERS = 50_000_000  # of one result
MAX_CHARACTERS_IN_ALL = 1_000_000_000


class Steps:
    """Counts the steps of one run and of everything it starts. One object is shared by all of them."""

    __slots__ = ("characters", "limit", "taken")

    def __init__(self, limit: int = DEFAULT_STEPS) -> None:
        self.limit = limit
        self.taken = 0
        self.characters = 0

    def take(self) -> int:
        """One more step; how many there are now. Raises LimitReached past the bound."""
        self.taken += 1
        if self.taken > self.limit:
            raise LimitReached(
                f"This run was stopped after {self.limit:,} steps: a loop over many rows, or flows that run each other without an end. "
                "Give it less to do at once, or raise HEADWATER_MAX_STEPS_PER_RUN."
            )
        return self.taken

    def count_result(self, value: Any) -> None:
        """What a step has made. Raises LimitReached for too much of it, at once or with all before."""
        count = characters_of(value, MAX_CHARACTERS)
        if count > MAX_CHARACTERS:
            raise LimitReached(f"One result may hold {MAX_CHARACTERS:,} characters, and this one would hold more. Give it less at once.")
        self.characters += count
        if self.characters > MAX_CHARACTERS_IN_ALL:
            raise LimitReached(
                f"This run was stopped after its results held {MAX_CHARACTERS_IN_ALL:,} characters together. Give it less to do at once."
            )
