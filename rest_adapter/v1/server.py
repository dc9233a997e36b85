"""What the server says of itself: version, settings that clients need, health."""

from typing import Any, Literal

from projects.access.caller import Caller
from projects.services import ProjectServices
from rest_adapter.errors import JsonResponse
from rest_adapter.information import ServerInformation
from rest_adapter.routing import Answer, Header, OwnerRule, endpoint
from rest_adapter.v1.models import Wire

_TAG = "Server"


class VersionRead(Wire):
    version: str
    main_version: str
    package: str


class FeatureFlags(Wire):
    wxo_deployments: bool = False
    mvp_components: bool = False
    instance_migration: bool = False
    data_subject_requests: bool = False


class PublicConfig(Wire):
    """What everybody may know. Features that this server does not have are off."""

    feature_flags: FeatureFlags = FeatureFlags()
    max_file_size_upload: int
    event_delivery: str = "polling"
    voice_mode_available: bool = False
    frontend_timeout: int = 0
    mcp_base_url: str
    enable_extension_reload: bool = False
    authz_enabled: bool = False
    catalog_governance_enabled: bool = False
    substitute_outdated_component_code: bool = True
    type: Literal["public", "full"] = "public"
    allow_custom_components: bool = False


class FullConfig(PublicConfig):
    """What a known caller may know."""

    type: Literal["public", "full"] = "full"
    serialization_max_items_length: int = 1_000
    serialization_max_text_length: int = 6_000
    auto_saving: bool = True
    auto_saving_interval: int = 5_000
    health_check_max_retries: int = 5
    webhook_polling_interval: int = 0
    public_flow_cleanup_interval: int = 3_600
    public_flow_expiration: int = 86_400
    webhook_auth_enable: bool = True
    default_folder_name: str
    hide_getting_started_progress: bool = False
    embedded_mode: bool = False
    hide_logout_button: bool = False
    hide_new_project_button: bool = False
    hide_new_flow_button: bool = False
    hide_starter_projects: bool = False
    mcp_servers_locked: bool = False
    custom_component_admin_only: bool = False
    a2a_enabled: bool = False
    agentic_experience: bool = False
    assistant_max_message_length: int = 2_000
    local_vector_store_available: bool = False
    default_vector_store_backend: str = "sqlite"
    configured_vector_store_backends: tuple[str, ...] = ()
    blocked_component_types: tuple[str, ...] = ()


class Health(Wire):
    status: str


class HealthCheck(Wire):
    status: str
    chat: str
    db: str


class HealthCheckFailed(Wire):
    detail: HealthCheck


_AUTHENTICATION = Header("X-Headwater-Authentication", "`on`, or `off` where anybody gets in without a credential.")


@endpoint("GET", "/health", Answer(200, Health, headers=(_AUTHENTICATION,)), owner=OwnerRule.PUBLIC, tag=_TAG)
async def health(information: ServerInformation) -> JsonResponse:
    """The process answers, and says in a header whether it asks for credentials."""
    # A header, because clients compare the body with the one they know.
    is_open = information.auto_login or information.anonymous_access
    return JsonResponse({"status": "ok"}, 200, {_AUTHENTICATION.name: "off" if is_open else "on"})


@endpoint(
    "GET",
    "/health_check",
    Answer(200, HealthCheck),
    Answer(500, HealthCheckFailed, "The database cannot be reached."),
    owner=OwnerRule.PUBLIC,
    tag=_TAG,
)
async def health_check(services: ProjectServices) -> JsonResponse:
    """The process answers and its database does."""
    if await services.is_database_reachable():
        return JsonResponse({"status": "ok", "chat": "ok", "db": "ok"})
    return JsonResponse({"detail": {"status": "nok", "chat": "ok", "db": "error: the database cannot be reached"}}, 500)


@endpoint("GET", "/api/v1/version", Answer(200, VersionRead), owner=OwnerRule.PUBLIC, tag=_TAG)
async def read_version(information: ServerInformation) -> dict[str, str]:
    """Which release this is."""
    return {"version": information.version, "main_version": information.version.partition("+")[0], "package": information.package}


@endpoint("GET", "/api/v1/config", Answer(200, FullConfig | PublicConfig), owner=OwnerRule.PUBLIC, tag=_TAG)
async def read_config(caller: Caller | None, information: ServerInformation) -> dict[str, Any]:
    """What a client should know before it talks; more of it to a known caller."""
    common = {
        "max_file_size_upload": information.max_upload_megabytes,
        "mcp_base_url": information.public_url,
        "voice_mode_available": information.voice_mode_available,
    }
    if caller is None:
        return PublicConfig.model_validate(common).model_dump(mode="json")
    own = {"default_folder_name": information.default_project_name, "mcp_servers_locked": information.mcp_servers_locked}
    return FullConfig.model_validate({**common, **own}).model_dump(mode="json")


HOT_ENDPOINTS = (health, health_check)
ENDPOINTS = (read_version, read_config)
