"""The stock components that a text is derived from: which they are, what its classes inherit of them, and ours at work for them.

A text sees a class with the inputs, outputs and output methods of ours; what a method of it does is done here, by our component.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from projects import catalogue
from projects.components.registry import ComponentRegistry, builtin_components
from projects.custom_code.host import GIVEN, CodeFailed, Handle
from projects.custom_code.surface import table
from projects.custom_code.surface.component import Component as Surface
from projects.custom_code.surface.component import is_taken
from projects.engine import coercion
from projects.engine.component import Component, ComponentError, PauseRun
from projects.errors import HeadwaterError

Bases = Mapping[str, type[Component]]
"""The name that a text imports → the component of ours that it means."""


@cache
def _registry() -> ComponentRegistry:
    return ComponentRegistry(builtin_components)


def find(name: str) -> type[Component] | None:
    """The component that this name of a class means; None when there is none of ours."""
    return _registry().find(name) if name.isidentifier() else None


def can_be_derived_from(component: type[Component]) -> bool:
    """Not what only the runner can do: to repeat a branch, to wait for a person, to tell and be told."""
    if component.asks_person or component.repeats or component.listens_to or component.notifies:
        return False
    return not any(is_taken(Surface, item.name) for item in component.declared_inputs)


def is_offered(name: str) -> bool:
    """Whether a text may import this name from `components`."""
    return name in table.WRITTEN_STOCK or ((found := find(name)) is not None and can_be_derived_from(found))


def reaches_out(component: type[Component]) -> bool:
    """Whether it goes to other machines: what a text in a sandbox may not do by way of it either."""
    return (component.reads_world or component.writes_world) and not component.stays_home


def bases_of(names: Iterable[str]) -> dict[str, type[Component]]:
    """Those of the names that a text takes from `components`, without the few that the surface has written out."""
    wanted = sorted(set(names) - table.WRITTEN_STOCK)
    return {name: found for name in wanted if (found := find(name)) is not None and can_be_derived_from(found)}


def declarations(bases: Bases, awaited: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What `surface/stock.py` makes the classes of, as JSON types: {name: {"display_name", "description", "fields", "outputs", "awaited"}}.

    "awaited" are the methods that the text awaits: some of theirs are coroutines and some are not, and the text knows which.
    """
    listed = sorted(awaited)
    return {name: {**_declared(component), "awaited": listed} for name, component in bases.items()}


def _declared(component: type[Component]) -> dict[str, Any]:
    node = catalogue.component_node(component)
    fields = [field for name, field in node["template"].items() if name not in ("_type", "code")]
    outputs = [{key: item[key] for key in ("name", "display_name", "method", "types", "tool_mode")} for item in node["outputs"]]
    return {"display_name": component.display_name, "description": component.description, "fields": fields, "outputs": outputs}


class StockAtWork:
    """Our components at work for one build of a vertex. `made` holds their models and tools, which the text knows by their places."""

    def __init__(self, owner: Component, bases: Bases, *, shares_objects: bool, handed: Callable[[Handle], Any]) -> None:
        self._owner = owner
        self._bases = bases
        self._shares_objects = shares_objects
        self._handed = handed
        self._last: tuple[tuple[str, str], Component] | None = None
        self._lock = asyncio.Lock()
        self.made: list[Any] = []

    async def run(self, name: str, *, build: str, output: str, inputs: Mapping[str, Any], given: Callable[[str, int], Any]) -> Any:
        """The output's value, and the names of the outputs that were stopped. Raises CodeFailed.

        Outputs that are asked for by the same `build` with the same inputs come from one instance. `given` knows the objects of inputs.
        """
        component = self._bases.get(name)
        if component is None:
            raise CodeFailed(f"This component's text does not import {name!r}.")
        if reaches_out(component) and not self._shares_objects:
            raise CodeFailed(f"{name} reaches other machines, which code in a sandbox may not.")
        async with self._lock:
            try:
                return await self._computed(component, (name, build), output, inputs, given)
            except (ComponentError, HeadwaterError, coercion.CoercionError) as error:
                raise CodeFailed(str(error)) from error
            except PauseRun as error:
                raise CodeFailed(f"{name} waits for a person, which it cannot do for another component's code.") from error
            except CodeFailed:
                raise
            except Exception as error:  # A component's own code: whatever it raises is its failure.
                raise CodeFailed(str(error) or type(error).__name__, error=type(error).__name__) from error

    async def _computed(
        self, component: type[Component], key: tuple[str, str], output: str, inputs: Mapping[str, Any], given: Callable[[str, int], Any]
    ) -> tuple[Any, list[str]]:
        owner = self._owner
        values = self._values(component, inputs, given)
        if self._last is not None and self._last[0] == key and self._last[1].inputs == values:
            instance = self._last[1]
        else:
            instance = component(vertex=owner.vertex, inputs=values, context=owner.context)
            instance.wanted = tuple(item.name for item in component.declared_outputs if item.name in owner.wanted) or (output,)
            instance.log_entries = owner.log_entries
            await instance.before_outputs()
            self._last = (key, instance)
        method = next((item.method for item in component.declared_outputs if item.name == output), "") or component.method_for(output)
        if not method:
            raise CodeFailed(f"{key[0]} has no output {output!r}.")
        instance.computing = output
        value = await getattr(instance, method)()
        if instance.artifact is not None:
            owner.artifact = instance.artifact
        if instance.token_usage:
            owner.token_usage = instance.token_usage
        return value, sorted(instance.stopped_outputs)

    def _values(self, component: type[Component], inputs: Mapping[str, Any], given: Callable[[str, int], Any]) -> dict[str, Any]:
        declared = {item.name: item for item in component.declared_inputs}
        values = {name: [] if item.default == "" and item.is_list else deepcopy(item.default) for name, item in declared.items()}
        for name, value in inputs.items():
            item = declared.get(name)
            real = self._real(value, given)
            if item is not None:
                values[name] = coercion.coerce(item.kind, real, is_list=item.is_list)
            elif component.takes_more_fields:
                values[name] = real
        return values

    def _real(self, value: Any, given: Callable[[str, int], Any]) -> Any:
        """An input with its models and tools in the place of what stands for them."""
        if isinstance(value, list):
            found: list[Any] = []
            for item in value:
                real = self._real(item, given)
                found += real if isinstance(item, Handle) and isinstance(real, list) else [real]
            return found
        if isinstance(value, Handle):
            return self._handed(value)
        if isinstance(value, dict) and GIVEN in value:
            return given(str(value.get("field")), int(value.get("index") or 0))
        return value
