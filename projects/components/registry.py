"""The one door by which components become known: ours by the table in `builtin.py`, a plugin's by its entry point.

A plugin package names a `Component` subclass, or a list of them, in the entry-point group `headwater.components`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points

from projects.custom_code.policy import NO_CODE, CustomCodePolicy
from projects.engine.component import Component

ENTRY_POINT_GROUP = "headwater.components"

# Bundled components of newer exports: `ext:<bundle>:<Class>@<slot>`.
_EXTENSION = re.compile(r"ext:[^:]+:(?P<name>[^@]+)(@.*)?")

logger = logging.getLogger(__name__)


class ComponentRegistry:
    """Every known component, findable under all the names documents have used for it."""

    def __init__(
        self, components: Iterable[type[Component]] | Callable[[], Iterable[type[Component]]], *, custom_code: CustomCodePolicy = NO_CODE
    ) -> None:
        """Given as a function they are loaded when somebody first asks. Raises ValueError, then, when two have one type."""
        self.custom_code = custom_code  # for nodes that bring their own
        self._given = components
        if not callable(components):
            _ = self._components

    @cached_property
    def _components(self) -> dict[str, type[Component]]:
        found: dict[str, type[Component]] = {}
        for component in self._given() if callable(self._given) else self._given:
            taken = found.setdefault(component.type, component)
            if taken is not component:
                raise ValueError(
                    f"Two components are called {component.type!r}: {_origin(taken)} and {_origin(component)}. Rename one of them."
                )
        return found

    @cached_property
    def _names(self) -> dict[str, type[Component]]:
        """A type beats an alias, an alias beats a class name, and that beats a display name; in each, the first one registered."""
        names = dict(self._components)
        for names_of in (_aliases, _class_name, _display_name):
            for component in self._components.values():
                for name in names_of(component):
                    names.setdefault(name, component)
        return names

    def find(self, document_type: str) -> type[Component] | None:
        """The component behind a type, an older type, a class name, a display name or an `ext:` name; None if there is none."""
        found = self._names.get(document_type)
        if found is None and (extension := _EXTENSION.fullmatch(document_type)):
            found = self._names.get(extension["name"])
        return found

    def __iter__(self) -> Iterator[type[Component]]:
        return iter(self._components.values())

    def __len__(self) -> int:
        return len(self._components)

    def by_category(self) -> dict[str, list[type[Component]]]:
        """Category → its components, both in order of registration."""
        found: dict[str, list[type[Component]]] = {}
        for component in self:
            found.setdefault(component.category, []).append(component)
        return found


def builtin_components() -> tuple[type[Component], ...]:
    from projects.components.builtin import BUILTIN  # a hundred modules, which a server that starts does not wait for

    return BUILTIN


def load_registry(*, plugins: bool = True, custom_code: CustomCodePolicy = NO_CODE) -> ComponentRegistry:
    """Ours first, so that a plugin adds types and never takes one over unseen. Nothing is imported before somebody asks for a component."""

    def load() -> list[type[Component]]:
        components = list(builtin_components())
        if plugins:
            taken = {component.type for component in components}
            for component in _plugin_components():
                if component.type in taken:
                    logger.error("The plugin component %s is left out: the type %r is taken.", _origin(component), component.type)
                    continue
                taken.add(component.type)
                components.append(component)
        return components

    return ComponentRegistry(load, custom_code=custom_code)


def _plugin_components() -> Iterator[type[Component]]:
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            yield from _loaded(entry_point)
        except Exception:  # A broken plugin must not stop the server: flows that need it report the type as unknown.
            logger.exception("The plugin %r (%s) could not be loaded.", entry_point.name, entry_point.value)


def _loaded(entry_point: EntryPoint) -> list[type[Component]]:
    found = entry_point.load()
    components = list(found) if isinstance(found, list | tuple) else [found]
    for component in components:
        if not (isinstance(component, type) and issubclass(component, Component)):
            raise TypeError(f"{component!r} is no subclass of projects.engine.component.Component.")
        if not isinstance(getattr(component, "type", None), str):
            raise TypeError(f"{_origin(component)} has no `type`.")
    return components


def _aliases(component: type[Component]) -> tuple[str, ...]:
    return component.aliases


def _class_name(component: type[Component]) -> tuple[str, ...]:
    return (component.__name__,)


def _display_name(component: type[Component]) -> tuple[str, ...]:
    return (component.display_name,) if component.display_name else ()


def _origin(component: type[Component]) -> str:
    return f"{component.__module__}.{component.__qualname__}"
