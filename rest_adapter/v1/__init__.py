"""The table of contents of the REST face. Hot routes come first, because the router looks at one after the other; the rest in URL order."""

from rest_adapter.routing import Endpoint
from rest_adapter.v1 import (
    api_keys,
    documents,
    files,
    flows,
    login,
    mcp_projects,
    monitor,
    projects,
    runs,
    server,
    starter_projects,
    users,
    variables,
)
from rest_adapter.v2 import files as own_files

ENDPOINTS: tuple[Endpoint, ...] = (
    *runs.HOT_ENDPOINTS,  # /api/v1/run/… /api/v1/webhook/…
    *server.HOT_ENDPOINTS,  # /health /health_check
    *api_keys.ENDPOINTS,  # /api/v1/api_key/
    *server.ENDPOINTS,  # /api/v1/config /api/v1/version
    *files.ENDPOINTS,  # /api/v1/files/
    *flows.ENDPOINTS,  # /api/v1/flows/
    *login.ENDPOINTS,  # /api/v1/login /api/v1/logout …
    *mcp_projects.ENDPOINTS,  # /api/v1/mcp/project/
    *monitor.ENDPOINTS,  # /api/v1/monitor/
    *projects.ENDPOINTS,  # /api/v1/projects/ /api/v1/folders/
    *runs.ENDPOINTS,  # /api/v1/runs/
    *starter_projects.ENDPOINTS,  # /api/v1/starter-projects/
    *users.ENDPOINTS,  # /api/v1/users/
    *variables.ENDPOINTS,  # /api/v1/variables/
    *own_files.ENDPOINTS,  # /api/v2/files
    *documents.ENDPOINTS,  # /docs /openapi.json
)
