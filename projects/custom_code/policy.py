"""Whether the texts that flows carry may run here, and where."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from projects.custom_code.host import CodeRunner


class CustomCode(StrEnum):
    OFF = "off"
    SANDBOXED = "sandboxed"
    TRUSTED = "trusted"


def code_hash(code: str) -> str:
    """SHA-256 of the text in hex: by it a text is shown, trusted and found again."""
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _nothing(hash: str) -> bool:
    return False


async def _no_news() -> None:
    return None


@dataclass(frozen=True, slots=True)
class CustomCodePolicy:
    """`is_trusted` knows the hashes that the operator trusts, one by one. `runner` is None exactly when nothing may run.

    `refresh` is awaited before flows are compiled: it brings what `is_trusted` knows up to date with the catalogue's version.
    `unavailable` says why nothing can run although the mode would allow it: a sandbox without its program.
    """

    mode: CustomCode = CustomCode.OFF
    is_trusted: Callable[[str], bool] = _nothing
    runner: CodeRunner | None = None
    refresh: Callable[[], Awaitable[None]] = _no_news
    unavailable: str = ""

    def allows(self, hash: str) -> bool:
        """Whether the text of this hash may run."""
        return self.refusal(hash) is None

    def refusal(self, hash: str) -> tuple[str, str] | None:
        """Why the text may not run and what the operator can do about it; None when it may."""
        match self.mode:
            case CustomCode.OFF:
                return (
                    "Its code is not run: this server runs no code from flows.",
                    "The operator can allow it with HEADWATER_CUSTOM_CODE=sandboxed, or with trusted after reading it. Or replace the node "
                    "by a built-in or plugin component (entry-point group headwater.components).",
                )
            case CustomCode.SANDBOXED if self.runner is None or self.unavailable:
                return (
                    f"Its code is not run: {self.unavailable or 'there is no sandbox here.'}",
                    "Install what is missing, or let the operator choose another HEADWATER_CUSTOM_CODE.",
                )
            case CustomCode.TRUSTED if not self.is_trusted(hash):
                return (
                    f"Its code is not run: nobody has trusted it yet. Its SHA-256 is {hash}.",
                    f"Read it with `headwater code show {hash}`; then the operator trusts it with: headwater code trust {hash}",
                )
        return None


NO_CODE = CustomCodePolicy()


def policy_of(source: object) -> CustomCodePolicy:
    """The policy that a source of components carries; without one nothing runs."""
    found = getattr(source, "custom_code", None)
    return found if isinstance(found, CustomCodePolicy) else NO_CODE
