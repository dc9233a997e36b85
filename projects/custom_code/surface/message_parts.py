"""What a message consists of besides its text, and the small records around fields and logs; all of them dicts with attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projects.custom_code.surface.records import dotdict


class Source(dotdict):
    """Which component a message comes from."""

    def __init__(self, id: str | None = None, display_name: str | None = None, source: str | None = None, **more: Any) -> None:
        super().__init__(id=id, display_name=display_name, source=source, **more)


class Properties(dotdict):
    """How a message is shown, and where it comes from."""

    def __init__(self, **given: Any) -> None:
        source = given.pop("source", None)
        if not isinstance(source, Source):
            source = Source(**source) if isinstance(source, Mapping) else Source(source=source)
        super().__init__(source=source, icon=None, state="complete", usage=None, targets=[], allow_markdown=False)
        self.update(given)


class ContentBlock(dotdict):
    """A titled list of contents below a message."""

    def __init__(self, title: str = "", contents: list[Any] | None = None, **more: Any) -> None:
        super().__init__(
            title=title, contents=[dict(item) for item in contents or []], **{"allow_markdown": True, "media_url": None, **more}
        )


class _Content(dotdict):
    kind = ""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"type": self.kind, "duration": None, "header": {}, **given})


class TextContent(_Content):
    kind = "text"


class CodeContent(_Content):
    kind = "code"


class ErrorContent(_Content):
    kind = "error"


class JSONContent(_Content):
    kind = "json"


class MediaContent(_Content):
    kind = "media"


class ToolContent(_Content):
    kind = "tool_use"


class Log(dotdict):
    """An entry of a component's log."""


class EditMode:
    """How a cell of a table is edited."""

    MODAL = "modal"
    POPOVER = "popover"
    INLINE = "inline"


class Column(dotdict):
    """A column of a table field."""


class TableSchema(dotdict):
    """The columns of a table field."""
