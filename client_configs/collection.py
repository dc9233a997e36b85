"""Where in a file the servers are: a table of them by name, or a list of them that carry their name in a field."""

from dataclasses import dataclass
from typing import Any, TypeVar

from client_configs.problems import UneditableFile

Held = TypeVar("Held", dict[str, Any], list[Any])


@dataclass(frozen=True, slots=True)
class Collection:
    path: tuple[str, ...]
    name_field: str | None = None
    """None for a table by name; else the field of each item of a list that holds its name."""

    @property
    def title(self) -> str:
        return ".".join(self.path)

    def entries_of(self, document: Any) -> dict[str, Any]:
        """The entries by name; none when the collection is not there or not of this kind."""
        held = document
        for step in self.path:
            held = held.get(step) if isinstance(held, dict) else None
        if self.name_field is None:
            return dict(held) if isinstance(held, dict) else {}
        if not isinstance(held, list):
            return {}
        return {str(item[self.name_field]): item for item in held if isinstance(item, dict) and self.name_field in item}

    def with_entry(self, document: Any, name: str, entry: Any) -> Any:
        """A copy of the document with the entry put in; what an edited text must say."""
        return self._changed(document, self.path, name, entry, remove=False)

    def without_entry(self, document: Any, name: str) -> Any:
        return self._changed(document, self.path, name, None, remove=True)

    def _changed(self, document: Any, path: tuple[str, ...], name: str, entry: Any, *, remove: bool) -> Any:
        if path:
            held = self._as(dict, document)
            held[path[0]] = self._changed(held.get(path[0]), path[1:], name, entry, remove=remove)
            return held
        if self.name_field is None:
            table = self._as(dict, document)
            if remove:
                table.pop(name, None)
            else:
                table[name] = entry
            return table
        items = self._as(list, document)
        position = next((at for at, item in enumerate(items) if isinstance(item, dict) and item.get(self.name_field) == name), None)
        if remove:
            return [item for item in items if not (isinstance(item, dict) and item.get(self.name_field) == name)]
        if position is None:
            return [*items, entry]
        return [*items[:position], entry, *items[position + 1 :]]

    def _as(self, kind: type[Held], document: Any) -> Held:
        """A copy of what the file holds there, or of nothing. Something else there is the person's, and is not thrown away."""
        if document and not isinstance(document, kind):
            raise UneditableFile(f"{self.title!r} holds something else than entries: mend the file first.")
        return kind(document or ())
