"""A flow as the use cases see it, and what a caller may say when making or changing one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic_core import from_json

from projects.flows import document as flow_document
from projects.kept_text import check_characters, check_text, refused
from storage.tables import FlowRow

MAX_NAME_LENGTH = 1_000
MAX_NAME_BYTES = 2_400  # PostgreSQL indexes at most some 2,700 bytes a row, and " (n)" may follow
MAX_ENDPOINT_NAME_LENGTH = 200  # leaves room for "-n" in the column
MAX_DESCRIPTION_LENGTH = 100_000
MAX_TAGS = 100

_ENDPOINT_NAME = re.compile(r"[A-Za-z0-9_-]+")
_COLOUR = re.compile(r"#[0-9A-Za-z]{6}")


class Unset(Enum):
    """The type of `UNSET`, which says "leave it as it is" where None is a value."""

    UNSET = "unset"


UNSET = Unset.UNSET

Access: TypeAlias = Literal["PRIVATE", "PUBLIC"]
FlowType: TypeAlias = Literal["workflow", "agent"]


@dataclass(frozen=True, slots=True)
class Flow:
    """`document` is the JSON text of the graph as it came in; None when there is none, or when it was not asked for."""

    id: str
    owner_id: str
    project_id: str
    name: str
    description: str | None
    endpoint_name: str | None
    version: int
    is_component: bool
    has_webhook: bool
    is_locked: bool
    is_tool: bool
    tool_name: str | None
    tool_description: str | None
    access: str
    flow_type: str
    icon: str | None
    icon_background: str | None
    gradient: str | None
    tags: list[str] | None
    created_at: datetime
    updated_at: datetime
    document: str | None = None

    @classmethod
    def from_row(cls, row: FlowRow, *, with_document: bool) -> "Flow":
        return cls(
            id=row.id,
            owner_id=row.owner_id,
            project_id=row.project_id,
            name=row.name,
            description=row.description,
            endpoint_name=row.endpoint_name,
            version=row.version,
            is_component=row.is_component,
            has_webhook=row.has_webhook,
            is_locked=row.is_locked,
            is_tool=row.is_tool,
            tool_name=row.tool_name,
            tool_description=row.tool_description,
            access=row.access,
            flow_type=row.flow_type,
            icon=row.icon,
            icon_background=row.icon_background,
            gradient=row.gradient,
            tags=None if row.tags is None else from_json(row.tags),
            created_at=row.created_at,
            updated_at=row.updated_at,
            document=row.document if with_document else None,
        )

    @classmethod
    def from_header(cls, row: Sequence[Any]) -> "Flow":
        """Of the values of `HEADER_NAMES`, which are the fields in their order: by place, because lists have thousands of them."""
        *others, tags, created_at, updated_at = row
        values = [*others, None if tags is None else from_json(tags), created_at, updated_at]
        return cls(*values)


class FlowSummary(NamedTuple):
    """What long lists show of a flow. A tuple, for lists of thousands: it is made several times as fast. `tags` are JSON text."""

    id: str
    project_id: str
    name: str
    description: str | None
    endpoint_name: str | None
    is_component: bool
    is_tool: bool
    tool_name: str | None
    tool_description: str | None
    access: str
    flow_type: str
    tags: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowDraft:
    """A flow to be made. Without a project it goes to the caller's default one; without an id it gets a new one."""

    name: str
    description: str | None = None
    endpoint_name: str | None = None
    document: str | None = None
    project_id: str | None = None
    id: str | None = None
    is_component: bool = False
    is_locked: bool = False
    is_tool: bool = False
    tool_name: str | None = None
    tool_description: str | None = None
    access: Access = "PRIVATE"
    flow_type: FlowType = "workflow"
    icon: str | None = None
    icon_background: str | None = None
    gradient: str | None = None
    tags: list[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowChanges:
    """What is to change; everything left `UNSET` stays."""

    name: str | Unset = UNSET
    description: str | Unset | None = UNSET
    endpoint_name: str | Unset | None = UNSET
    document: str | Unset | None = UNSET
    project_id: str | Unset | None = UNSET  # None: the caller's default project
    is_component: bool | Unset = UNSET
    is_locked: bool | Unset = UNSET
    is_tool: bool | Unset = UNSET
    tool_name: str | Unset | None = UNSET
    tool_description: str | Unset | None = UNSET
    access: Access | Unset = UNSET
    flow_type: FlowType | Unset = UNSET
    icon: str | Unset | None = UNSET
    icon_background: str | Unset | None = UNSET
    gradient: str | Unset | None = UNSET
    tags: list[str] | Unset | None = UNSET

    def given(self) -> dict[str, Any]:
        """Name → value of what was set."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not UNSET}


ChangeKind: TypeAlias = Literal["created", "updated", "deleted"]


@dataclass(frozen=True, slots=True)
class FlowChanged:
    """Told after the commit. A flow that moved is told as updated in its new project, with the old one in `moved_from`."""

    flow_id: str
    owner_id: str
    project_id: str
    kind: ChangeKind
    moved_from: str | None = None


def draft_values(draft: FlowDraft) -> dict[str, Any]:
    """Every value of the draft by name."""
    return {field.name: getattr(draft, field.name) for field in fields(draft)}


def check_values(values: dict[str, Any]) -> None:
    """The limits on what a flow says of itself. Raises InvalidInput for the first value that is out of them."""
    for name, max_length in _TEXT_LIMITS.items():
        value = values.get(name)
        if value is None:
            if name == "name" and "name" in values:
                raise refused("name", "A flow needs a name.", kind="string_type")
            continue
        if not isinstance(value, str):
            raise refused(name, f"{name} must be a text, not {type(value).__name__}.", kind="string_type")
        check_text(value, name, max_length=max_length)
    if "name" in values:
        if not values["name"].strip():
            raise refused("name", "A flow's name may not be empty.")
        if len(values["name"].encode()) > MAX_NAME_BYTES:
            raise refused("name", f"The name takes more than {MAX_NAME_BYTES:,} bytes in UTF-8; make it shorter.", kind="string_too_long")
    endpoint_name = values.get("endpoint_name")
    if endpoint_name is not None and not _ENDPOINT_NAME.fullmatch(endpoint_name):
        raise refused("endpoint_name", "endpoint_name may have only letters, digits, hyphens and underscores, and at least one of them.")
    colour = values.get("icon_background")
    if colour is not None and not _COLOUR.fullmatch(colour):
        raise refused("icon_background", "The icon's background must be # and six digits, for example #3366ff.")
    for name, allowed in (("access", ("PRIVATE", "PUBLIC")), ("flow_type", ("workflow", "agent"))):
        if name in values and values[name] not in allowed:
            raise refused(name, f"{name} must be {allowed[0]} or {allowed[1]}.", kind="enum")
    for name in ("is_component", "is_locked", "is_tool"):
        if name in values and not isinstance(values[name], bool):
            raise refused(name, f"{name} must be true or false.", kind="bool_type")
    _check_tags(values.get("tags"))


def _check_tags(tags: Any) -> None:
    if tags is None:
        return
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise refused("tags", "tags must be a list of texts.", kind="list_type")
    if len(tags) > MAX_TAGS:
        raise refused("tags", f"A flow can have {MAX_TAGS} tags; these are {len(tags)}.", kind="too_long")
    for tag in tags:
        check_text(tag, "tags", max_length=MAX_NAME_LENGTH)


_TEXT_LIMITS = {
    "name": MAX_NAME_LENGTH,
    "endpoint_name": MAX_ENDPOINT_NAME_LENGTH,
    "description": MAX_DESCRIPTION_LENGTH,
    "tool_name": MAX_NAME_LENGTH,
    "tool_description": MAX_DESCRIPTION_LENGTH,
    "icon": MAX_NAME_LENGTH,
    "icon_background": 7,
    "gradient": 64,
}


def webhook_in(document: str | None) -> bool:
    """Whether the document has a webhook node. Raises InvalidInput for a text that is no flow document."""
    if document is None:
        return False
    check_characters(document, "data")
    try:
        graph = from_json(document)
    except ValueError as error:
        raise refused("data", f"The flow's data is not valid JSON: {error}.", kind="json_invalid") from None
    if graph is None or graph == {}:
        return False
    if not isinstance(graph, dict):
        raise refused("data", "The flow's data must be an object with nodes and edges.", kind="dict_type")
    if not isinstance(graph.get("nodes"), list) or "edges" not in graph:
        raise refused("data", "The flow's data must have both nodes and edges, each a list.")
    return any("Webhook" in str(node["id"]) for node in flow_document.parse_document(document).nodes)
