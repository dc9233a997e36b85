"""What chains are made of, for servers without LangChain: steps put together with `|`, each run with what the one before it gave."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any


class Runnable:
    """A step: subclasses give `invoke`, or `ainvoke` too where it waits."""

    def __or__(self, other: Any) -> RunnableSequence:
        return RunnableSequence(self, other)

    def __ror__(self, other: Any) -> RunnableSequence:
        return RunnableSequence(other, self)

    def pipe(self, *others: Any) -> RunnableSequence:
        return RunnableSequence(self, *others)

    def invoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        raise NotImplementedError

    async def ainvoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        return await asyncio.to_thread(self.invoke, input, config, **more)

    def batch(self, inputs: list[Any], config: Any = None, **more: Any) -> list[Any]:
        return [self.invoke(item, config, **more) for item in inputs]

    async def abatch(self, inputs: list[Any], config: Any = None, **more: Any) -> list[Any]:
        return list(await asyncio.gather(*(self.ainvoke(item, config, **more) for item in inputs)))

    def stream(self, input: Any, config: Any = None, **more: Any) -> Iterator[Any]:
        yield self.invoke(input, config, **more)

    async def astream(self, input: Any, config: Any = None, **more: Any) -> AsyncIterator[Any]:
        yield await self.ainvoke(input, config, **more)

    def with_config(self, *given: Any, **more: Any) -> Any:
        return self


class RunnableSequence(Runnable):
    """One step after the other."""

    def __init__(self, *steps: Any) -> None:
        self.steps: list[Runnable] = []
        for step in steps:
            self.steps += step.steps if isinstance(step, RunnableSequence) else [as_runnable(step)]

    def invoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        for step in self.steps:
            input = step.invoke(input, config)
        return input

    async def ainvoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        for step in self.steps:
            input = await step.ainvoke(input, config)
        return input


class RunnableLambda(Runnable):
    """A function as a step; one that waits can only be awaited."""

    def __init__(self, func: Callable[..., Any], afunc: Callable[..., Any] | None = None, **more: Any) -> None:
        self.func = func
        self.afunc = afunc or (func if inspect.iscoroutinefunction(func) else None)

    def invoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        return self.func(input)

    async def ainvoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        return await (self.afunc(input) if self.afunc is not None else asyncio.to_thread(self.func, input))


class RunnableParallel(Runnable):
    """Several steps with the same input; their answers by name."""

    def __init__(self, steps: Mapping[str, Any] | None = None, **more: Any) -> None:
        self.named = {name: as_runnable(step) for name, step in {**(steps or {}), **more}.items()}

    def invoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        return {name: step.invoke(input, config) for name, step in self.named.items()}

    async def ainvoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        made = await asyncio.gather(*(step.ainvoke(input, config) for step in self.named.values()))
        return dict(zip(self.named, made, strict=True))


class RunnablePassthrough(Runnable):
    """Gives what it got."""

    def invoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        return input

    async def ainvoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        return input


def as_runnable(step: Any) -> Runnable:
    """TypeError for what cannot be a step."""
    if hasattr(step, "invoke"):
        return step  # type: ignore[no-any-return]
    if isinstance(step, Mapping):
        return RunnableParallel(step)
    if callable(step):
        return RunnableLambda(step)
    raise TypeError(f"A {type(step).__name__} can be no step of a chain.")


PARTS: dict[str, Any] = {
    part.__name__: part for part in (Runnable, RunnableSequence, RunnableLambda, RunnableParallel, RunnablePassthrough)
}
