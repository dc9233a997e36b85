"""`ComponentWithCache`, and what its cache answers."""

from __future__ import annotations

from typing import Any

from projects.custom_code.surface.component import Component


class _SharedCache:
    """What `ComponentWithCache` keeps: it lasts for the run."""

    def __init__(self, owner: Component) -> None:
        self._owner = owner

    @property
    def _kept(self) -> dict[str, Any]:
        found: dict[str, Any] = self._owner.ctx.setdefault("_component_cache", {})
        return found

    def get(self, key: str, **_more: Any) -> Any:
        return self._kept.get(key, CACHE_MISS)

    def set(self, key: str, value: Any, **_more: Any) -> None:
        self._kept[key] = value

    def delete(self, key: str, **_more: Any) -> None:
        self._kept.pop(key, None)

    def upsert(self, key: str, value: Any, **_more: Any) -> None:
        if isinstance(old := self._kept.get(key), dict) and isinstance(value, dict):
            value = {**old, **value}
        self._kept[key] = value

    def clear(self) -> None:
        self._kept.clear()


class CacheMiss:
    """What a cache answers for a key it does not have; false."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "<CACHE_MISS>"


CACHE_MISS = CacheMiss()


class ComponentWithCache(Component):
    """A component with a cache that its siblings in the run share."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._shared_component_cache = _SharedCache(self)
