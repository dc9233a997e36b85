"""Figures for a monitoring system, in Prometheus' text format."""

from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import Response

from projects.access.caller import Caller
from projects.errors import CredentialsMissing, NotPermitted
from rest_adapter.errors import JsonResponse
from rest_adapter.information import ServerInformation
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.v1.models import Detail

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


@endpoint(
    "GET",
    "/metrics",
    Answer(200, None, "Prometheus' text format.", media_type="text/plain"),
    Answer(403, Detail, "Only superusers may read them here."),
    Answer(404, Detail, "There are none: the operator switched them off."),
    owner=OwnerRule.CALLER,
    tag="Server",
)
async def read_metrics(caller: Caller | None, information: ServerInformation, request: Request) -> Response:
    """Figures about this process: requests, runs, components, calls of models."""
    if information.metrics is None:
        return JsonResponse({"detail": "Not Found"}, 404)
    if not (_is_open(information, request) or (caller is not None and caller.is_superuser)):
        if caller is None:
            raise CredentialsMissing("Metrics are for superusers: send a superuser's API key as bearer.")
        raise NotPermitted("Only superusers may read the metrics.")
    return Response(information.metrics(), headers={"content-type": _TEXT, "cache-control": "no-store"})


def _is_open(information: ServerInformation, request: Request) -> bool:
    if information.metrics_readers != "this machine":
        return information.metrics_readers == "everybody"
    # What a proxy on this machine passes on came from somewhere else.
    if request.client is None or "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


ENDPOINTS = (read_metrics,)
