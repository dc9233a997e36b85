"""What every provider's failures have in common: the words, the deadline, and that no key is ever repeated."""

from __future__ import annotations

import asyncio
import importlib
import math
import re
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from projects.errors import PackageMissing, ProviderBusy, ProviderFailed, ProviderTimedOut

T = TypeVar("T")

MAX_REASON = 500

_TOO_LONG = re.compile(
    r"context.{0,3}(length|window|size)|maximum context|too many (input )?tokens|prompt is too long|input is too long"
    r"|token count.{0,40}exceeds|exceeds? the (maximum|available)",
    re.IGNORECASE,
)
_END = object()


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was asked, for messages."""

    provider: str
    model: str
    key: str = ""

    def failed(self, status: int | None, reason: str, *, headers: Mapping[str, str] | None = None, code: str = "") -> ProviderFailed:
        """The error for an answer of that status."""
        shown = self._clean(reason)
        if status == 429 and code not in ("insufficient_quota", "billing_not_active"):
            seconds = _retry_after(headers or {})
            return ProviderBusy(
                f"{self.provider} has too many requests for {self.model} just now; try again in {seconds} s. It said: {shown}",
                provider=self.provider,
                retry_after_seconds=seconds,
            )
        if status in (400, 413, 422) and (code in ("context_length_exceeded", "exceed_context_size_error") or _TOO_LONG.search(reason)):
            text = (
                f"The text is too long for {self.model} of {self.provider}. "
                f"Send less (a shorter history, smaller files), or choose a model with a larger context. It said: {shown}"
            )
        elif status in (401, 403):
            text = f"{self.provider} refused the key ({status}). Check the provider's API key. It said: {shown}"
        elif status == 404:
            text = f"{self.provider} does not know the model {self.model!r}, or its address is wrong ({status}). It said: {shown}"
        else:
            text = f"{self.provider} failed{f' with {status}' if status else ''} for {self.model}: {shown}"
        return ProviderFailed(text, provider=self.provider, provider_status=status)

    def unreachable(self, reason: str) -> ProviderFailed:
        return ProviderFailed(f"{self.provider} could not be reached: {self._clean(reason)}", provider=self.provider)

    def broke_off(self) -> ProviderFailed:
        return ProviderFailed(f"{self.provider} broke off in the middle of the answer of {self.model}.", provider=self.provider)

    def unreadable(self, *, status: int | None = 200) -> ProviderFailed:
        return ProviderFailed(
            f"{self.provider} sent something that is no answer of a model. Is the address that of a model's API?",
            provider=self.provider,
            provider_status=status,
        )

    def timed_out(self, seconds: float) -> ProviderTimedOut:
        return ProviderTimedOut(f"{self.provider} did not answer for {self.model} within {seconds:g} s.", provider=self.provider)

    def _clean(self, reason: str) -> str:
        text = reason.strip() or "nothing"
        if len(self.key) > 7:
            text = text.replace(self.key, "*****")
        return text if len(text) <= MAX_REASON else text[:MAX_REASON] + "…"


@contextmanager
def deadline_told(asked: Asked, seconds: float) -> Iterator[None]:
    """A deadline that passed inside, as the provider's failure."""
    try:
        yield
    except TimeoutError:
        raise asked.timed_out(seconds) from None


async def within(seconds: float, waiting: Awaitable[T]) -> T:
    async with asyncio.timeout(seconds):
        return await waiting


async def each_within(seconds: float, items: AsyncIterator[T]) -> AsyncIterator[T]:
    """The items, none of which may take longer."""
    while True:
        item: Any = await within(seconds, anext(items, _END))
        if item is _END:
            return
        yield item


def sdk(module: str, *, extra: str, node: str) -> ModuleType:
    """A provider's SDK, imported now. Raises PackageMissing with the line that installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        who = f"{node} needs" if node else "This model needs"
        line = f'pip install "headwater[{extra}]"' if extra else f"pip install {module}"
        raise PackageMissing(f"{who} a package that is not installed here. The operator installs it with: {line}") from None


def _retry_after(headers: Mapping[str, str]) -> int:
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return 1  # a date, or nothing
    return max(1, min(3600, math.ceil(seconds))) if math.isfinite(seconds) else 1
