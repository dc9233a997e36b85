"""Every address of the process as one list, made from the routing records: what it does, who may ask, and whether it is served."""

from collections.abc import Iterable, Sequence

from rest_adapter.information import EndpointState, ListedEndpoint
from rest_adapter.routing import Credentials, Endpoint
from rest_adapter.websocket_routing import WebSocketEndpoint

_CREDENTIALS = {
    Credentials.ANY: "an API key or a login",
    Credentials.OPTIONAL: "none needed; an API key or a login counts",
    Credentials.REFRESH_COOKIE: "the cookie of a login",
    Credentials.PASSWORD: "name and password",
    Credentials.NONE: "none",
}
# Addresses that Langflow's documentation names and this server leaves out on purpose.
NOT_SERVED: tuple[ListedEndpoint, ...] = (
    ListedEndpoint(
        method="GET",
        path="/api/v1/flows/read",
        does="A flow under an address of older pages",
        credentials=_CREDENTIALS[Credentials.ANY],
        group="Flows",
        state=EndpointState.NOT_SERVED,
        remark="Langflow's releases have no such route. Use GET /api/v1/flows/ or GET /api/v1/flows/{flow_id}.",
    ),
)


def list_endpoints(
    endpoints: Iterable[Endpoint], websockets: Iterable[WebSocketEndpoint], others: Iterable[ListedEndpoint]
) -> Sequence[ListedEndpoint]:
    """By group, and in each by path; what nothing groups comes last."""
    rest = [_line(record, method) for record in endpoints for method in record.methods]
    everything = [*rest, *map(_websocket_line, websockets), *others, *NOT_SERVED]
    return sorted(everything, key=lambda each: (not each.group, each.group, each.path, each.method))


def _line(record: Endpoint, method: str) -> ListedEndpoint:
    return ListedEndpoint(
        method=method,
        path=record.path,
        does=record.summary,
        credentials=_CREDENTIALS[record.credentials],
        group=record.tag,
        state=EndpointState.DEPRECATED if record.is_deprecated else EndpointState.SERVED,
        remark=f"Use {record.replaced_by}." if record.is_deprecated else "",
    )


def _websocket_line(record: WebSocketEndpoint) -> ListedEndpoint:
    return ListedEndpoint(
        method="WS", path=record.path, does=record.summary, credentials=_CREDENTIALS[record.credentials], group=record.tag
    )
