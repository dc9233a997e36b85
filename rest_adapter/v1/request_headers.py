"""What the headers of a request say about the run it asks for."""

from typing import Any

from starlette.requests import Request

from projects.engine.context import DEPTH_HEADER
from projects.runs.idempotency import request_key
from projects.runs.request import RequestKey
from rest_adapter.routing import Header

RUN_ID_HEADER = "x-headwater-run-id"  # of an answer: the run it tells of

IDEMPOTENCY_KEY = Header(
    "Idempotency-Key", "The same key with the same request gives the same run and answer for 24 hours; with another request it is a 422."
)

_VARIABLE_PREFIX = b"x-langflow-global-var-"


def request_variables(request: Request) -> dict[str, str]:
    """Variables for this run alone, sent as headers; names are upper-case."""
    return {
        name[len(_VARIABLE_PREFIX) :].decode("latin-1").upper(): value.decode("latin-1")
        for name, value in request.scope["headers"]
        if name.startswith(_VARIABLE_PREFIX)
    }


def call_depth(request: Request) -> int:
    """How many of our own runs stand behind this request; what is no small number is none."""
    text = request.headers.get(DEPTH_HEADER, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0


def idempotency_key(request: Request, *asked: Any) -> RequestKey | None:
    """The request's `Idempotency-Key`, for what was `asked`: the route's name, the flow and the body, as JSON types."""
    key = request.headers.get("idempotency-key")
    return None if key is None else request_key(key, asked)
