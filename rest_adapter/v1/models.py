"""Shapes that several routes share."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

T = TypeVar("T")


class Wire(BaseModel):
    """Base of every shape on the wire: unknown keys are ignored, as clients of this API count on.

    Each is compiled when it is first used: most serve the OpenAPI document alone, and all of them at once would delay every start.
    """

    model_config = ConfigDict(extra="ignore", from_attributes=True, protected_namespaces=(), defer_build=True)


def seconds_text(moment: datetime) -> str:
    """2026-11-22T00:06:50+00:00"""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def instant_text(moment: datetime) -> str:
    """2026-11-22T00:06:50.123456Z"""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


Seconds = Annotated[datetime, PlainSerializer(seconds_text, return_type=str)]
Instant = Annotated[datetime, PlainSerializer(instant_text, return_type=str)]


STORE_COOKIE = "apikey_tkn_lflw"  # of a service we do not have; clients expect it to come and go with the others

# As many as one statement can name on every database.
Ids = Annotated[list[UUID], Field(max_length=10_000)]


class Detail(Wire):
    """Every refusal."""

    detail: str | dict[str, Any]


class TooMany(Detail):
    """`retry_after` is in seconds, and the same as in the header."""

    retry_after: str


class ValidationEntry(Wire):
    type: str
    loc: list[str | int]
    msg: str
    ctx: dict[str, Any] | None = None


class ValidationDetail(Wire):
    """A refusal of values: a list with their places, or a text or object that names them."""

    detail: list[ValidationEntry] | str | dict[str, Any]


class Said(Wire):
    message: str


class Paging(Wire):
    page: int = Field(default=1, ge=1, le=1_000_000)
    size: int = Field(default=50, ge=1, le=100)


class Page(Wire, Generic[T]):
    items: list[T]
    total: int
    page: int
    size: int
    pages: int


def page_of(items: list[Any], total: int, paging: Paging) -> dict[str, Any]:
    return {"items": items, "total": total, "page": paging.page, "size": paging.size, "pages": -(-total // paging.size)}
