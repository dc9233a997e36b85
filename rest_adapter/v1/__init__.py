"""The table of contents of the REST face. Hot routes come first, because the router looks at one after the other; the rest in URL order."""

from rest_adapter.routing import Endpoint
from rest_adapter.v1 import (
    api_keys,
    background_runs,
    build,
    catalogue,
    client_installs,
    code_trust,
    custom_components,
    deprecated,
    documents,
    endpoint_page,
    files,
    flows,
    login,
    logs,
    mcp_projects,
    metrics,
    monitor,
    profile_pictures,
    project_artefacts,
    projects,
    responses,
    runs,
    server,
    starter_projects,
    store,
    users,
    validation,
    variables,
    voice,
    webhooks,
)
from rest_adapter.v2 import files as own_files
from rest_adapter.v2 import mcp_servers
from rest_adapter.websocket_routing import WebSocketEndpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *runs.HOT_ENDPOINTS,  # /api/v1/run/
    *webhooks.HOT_ENDPOINTS,  # /api/v1/webhook/
    *server.HOT_ENDPOINTS,  # /health /health_check
    *api_keys.ENDPOINTS,  # /api/v1/api_key/
    *catalogue.ENDPOINTS,  # /api/v1/all
    *build.ENDPOINTS,  # /api/v1/build/ /api/v1/build_public_tmp/
    *server.ENDPOINTS,  # /api/v1/config /api/v1/version
    *custom_components.ENDPOINTS,  # /api/v1/custom_component
    *code_trust.ENDPOINTS,  # /api/v1/custom_code/
    *deprecated.ENDPOINTS,  # /api/v1/process/ /api/v1/predict/ /api/v1/task/ /api/v1/upload/
    *files.ENDPOINTS,  # /api/v1/files/
    *profile_pictures.ENDPOINTS,  # /api/v1/files/profile_pictures/
    *flows.ENDPOINTS,  # /api/v1/flows/
    *login.ENDPOINTS,  # /api/v1/login /api/v1/logout …
    *mcp_projects.ENDPOINTS,  # /api/v1/mcp/project/
    *client_installs.ENDPOINTS,  # /api/v1/mcp/project/…/install …
    *project_artefacts.ENDPOINTS,  # /api/v1/mcp/project/…/bundle …/server.json
    *monitor.ENDPOINTS,  # /api/v1/monitor/
    *projects.ENDPOINTS,  # /api/v1/projects/ /api/v1/folders/
    *responses.ENDPOINTS,  # /api/v1/responses
    *runs.ENDPOINTS,  # /api/v1/run/advanced/
    *background_runs.ENDPOINTS,  # /api/v1/runs
    *starter_projects.ENDPOINTS,  # /api/v1/starter-projects/
    *store.ENDPOINTS,  # /api/v1/store/
    *users.ENDPOINTS,  # /api/v1/users/
    *validation.ENDPOINTS,  # /api/v1/validate/
    *variables.ENDPOINTS,  # /api/v1/variables/
    *voice.ENDPOINTS,  # /api/v1/voice/
    *webhooks.ENDPOINTS,  # /api/v1/webhook-events/
    *own_files.ENDPOINTS,  # /api/v2/files
    *mcp_servers.ENDPOINTS,  # /api/v2/mcp/servers
    *logs.ENDPOINTS,  # /logs /logs-stream
    *metrics.ENDPOINTS,  # /metrics
    *endpoint_page.ENDPOINTS,  # /docs/endpoints
    *documents.ENDPOINTS,  # /docs /openapi.json
)

WEBSOCKET_ENDPOINTS: tuple[WebSocketEndpoint, ...] = voice.WEBSOCKET_ENDPOINTS
