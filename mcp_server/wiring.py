"""Builds every long-lived object once, and closes them in reverse.

Above: the command line and `app.py`. Below: `projects` and, only here in this folder, `storage`.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime

from pydantic import ValidationError

from mcp_server import running_processes
from mcp_server.first_start import FirstStart, make_first_things
from mcp_server.settings import SECRET_KEY_FILE, Settings, SettingsProblem
from projects.access.accounts import AccessSettings, AccountService
from projects.access.api_keys import ApiKeyService
from projects.components.registry import load_registry
from projects.default_project import DefaultProject
from projects.errors import InvalidInput, Unavailable
from projects.files import FileLimits, FileService
from projects.flow_reports import ReportService
from projects.flows.flow import FlowChanged
from projects.flows.library import FlowLibrary
from projects.flows.prepared import FlowCache
from projects.invocation import InvocationService, RunSettings
from projects.knowledge import KnowledgeService
from projects.lifecycle import ProjectService
from projects.messages import MessageService
from projects.models.choice import ModelRegistry, ModelSettings
from projects.monitoring import MonitoringService
from projects.outgoing.clients import GuardedHttp
from projects.outgoing.guard import Guard
from projects.outgoing.tool_servers import ToolServers
from projects.run_files import RunFiles
from projects.run_resources import ModelSource, RunResources
from projects.runs.events import EventPort, flows_topic
from projects.services import ProjectServices
from projects.sql_queries import SqlQueries
from projects.tools import ToolService
from projects.variables import VariableService
from storage import migrate as storage_migrate
from storage.blobs.local_disk import LocalDisk
from storage.database import Database, DatabaseSettings, DatabaseUnavailable
from storage.encryption import SecretBox, load_or_create_secret
from storage.run_writer import RunWriter
from storage.runs import RunRepository

FILES_FOLDER = "files"
MODELS_FOLDER = "models"
# A call asks for the catalogue's version several times, and each answer costs as much as running a small flow. Changes made by this
# process are seen at once all the same; those of another one, such as `headwater key revoke`, after this time.
VERSION_MEMORY_SECONDS = 0.002


def database_settings(settings: Settings) -> DatabaseSettings:
    """Raises SettingsProblem for an address that is none."""
    try:
        return DatabaseSettings(
            url=settings.resolved_database_url, pool_size=settings.database_pool_size, version_memory_seconds=VERSION_MEMORY_SECONDS
        )
    except ValidationError as error:
        reason = error.errors(include_url=False, include_context=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise SettingsProblem(f"HEADWATER_DATABASE_URL cannot be used: {reason}.") from None


async def migrate(settings: Settings) -> bool:
    """Bring the database to the newest shape; whether there was anything to do."""
    _prepare_folder(settings)
    with _explained():
        return await storage_migrate.upgrade(database_settings(settings))


@asynccontextmanager
async def open_services(
    settings: Settings, *, on_first_start: Callable[[FirstStart], None] | None = None
) -> AsyncIterator[ProjectServices]:
    """Everything the faces need, on a database of the newest shape, with what dead processes left behind settled.

    The first user and the first project are there. `on_first_start` is told when they were made now, with an API key made for it.
    """
    await migrate(settings)
    secret_key = _secret_key(settings)
    at = database_settings(settings)
    run_settings = RunSettings(
        environment=settings.environment_for_flows,
        max_running=settings.max_running_runs,
        max_steps=settings.max_steps_per_run,
        max_depth=settings.max_flow_depth,
    )
    async with AsyncExitStack() as stack:
        stack.enter_context(_explained())
        database = await stack.enter_async_context(Database(at))
        stack.enter_context(running_processes.announced(settings.data_dir, run_settings.process_id))
        await _settle_what_was_left_behind(database, settings, run_settings.process_id)
        writer = await stack.enter_async_context(RunWriter(at))
        models = await stack.enter_async_context(ModelRegistry(model_settings(settings), Guard(settings.allowed_addresses)))
        services = _build(settings, database, writer, run_settings, secret_key, models)
        await stack.enter_async_context(services.invocations)
        first = await make_first_things(services, settings, with_api_key=on_first_start is not None)
        if first is not None and on_first_start is not None:
            on_first_start(first)
        yield services


def _build(
    settings: Settings, database: Database, writer: RunWriter, run_settings: RunSettings, secret_key: str, models: ModelRegistry
) -> ProjectServices:
    secret_box = SecretBox(secret_key)
    default_project = DefaultProject(name=settings.first_project_name)
    events = EventPort()
    registry = load_registry()

    def tell(change: FlowChanged) -> None:
        events.publish(flows_topic(change.owner_id), change)

    access = AccessSettings(
        secret_key=secret_key,
        access_token_seconds=settings.access_token_expire_seconds,
        refresh_token_seconds=settings.refresh_token_expire_seconds,
        signup_is_open=settings.enable_signup,
        new_user_is_active=settings.new_user_is_active,
    )
    projects = ProjectService(database, tell, default_project=default_project, secret_box=secret_box)
    library = FlowLibrary(database, tell, default_project=default_project)
    prepared = FlowCache(database, library, registry)
    to_import = settings.environment_for_flows if settings.store_environment_variables else {}
    variables = VariableService(database, secret_box, environment=to_import)
    messages = MessageService(database)
    files = FileService(
        database, LocalDisk(settings.data_dir / FILES_FOLDER), FileLimits(file_bytes=settings.max_upload_megabytes * 1024 * 1024)
    )
    resources = _resources(settings, models=models, files=files, knowledge=KnowledgeService(database, messages))
    invocations = InvocationService(
        flows=prepared,
        messages=messages,
        variables=variables,
        writer=writer,
        events=events,
        resources=resources,
        settings=run_settings,
    )
    return ProjectServices(
        accounts=AccountService(database, access),
        api_keys=ApiKeyService(database, writer),
        projects=projects,
        flows=library,
        reports=ReportService(library, registry, variables, files, environment=run_settings.environment, models=resources.models),
        prepared_flows=prepared,
        variables=variables,
        files=files,
        models=models,
        messages=messages,
        monitoring=MonitoringService(database),
        invocations=invocations,
        tools=ToolService(database=database, projects=projects, library=library, flows=prepared, invocations=invocations),
        events=events,
        registry=registry,
        is_database_reachable=database.is_reachable,
    )


def model_settings(settings: Settings) -> ModelSettings:
    return ModelSettings(
        default_model=settings.default_model or "",
        default_embedding_model=settings.default_embedding_model or "",
        openai_base_url=settings.openai_base_url or "",
        ollama_base_url=settings.ollama_base_url or "",
        models_dir=settings.data_dir / MODELS_FOLDER,
        timeout_seconds=settings.model_timeout_seconds,
        max_retries=settings.model_retries,
    )


def _resources(settings: Settings, *, models: ModelSource, files: FileService, knowledge: KnowledgeService) -> RunResources:
    """What runs may reach beyond their graph. Each helper replaces the line of its own source."""
    guard = Guard(settings.allowed_addresses)
    return RunResources(
        models=models,
        files=RunFiles(files),
        knowledge=knowledge,
        outgoing=GuardedHttp(guard, max_bytes=settings.max_answer_megabytes * 1_000_000),
        tool_servers=ToolServers(
            guard, allowed_commands=settings.allowed_mcp_commands, max_bytes=settings.max_answer_megabytes * 1_000_000
        ),
        databases=_databases(settings),
    )


def _databases(settings: Settings) -> SqlQueries:
    try:
        return SqlQueries(settings.allowed_databases)
    except InvalidInput as error:
        raise SettingsProblem(f"allowed_databases: {error.message}") from error


@contextmanager
def _explained() -> Iterator[None]:
    """Storage's troubles on opening in words for whoever starts the process."""
    try:
        yield
    except storage_migrate.DatabaseTooNew as error:
        raise SettingsProblem(str(error)) from error
    except DatabaseUnavailable as error:
        raise Unavailable(f"The database cannot be used: {error}") from error


def _prepare_folder(settings: Settings) -> None:
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsProblem(f"The data folder {settings.data_dir} cannot be made: {error.strerror or error}.") from None


def _secret_key(settings: Settings) -> str:
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    path = settings.data_dir / SECRET_KEY_FILE
    try:
        return load_or_create_secret(path)
    except (OSError, ValueError) as error:
        raise SettingsProblem(f"The secret key in {path} cannot be read: {error}.") from None


async def _settle_what_was_left_behind(database: Database, settings: Settings, process_id: str) -> None:
    """Runs in progress whose process is gone end as `interrupted`; those of a living one, such as a stdio server, go on.

    With PostgreSQL the other processes may be on other machines, so only a lease that is over tells that they are gone.
    """
    running_processes.forget_the_dead(settings.data_dir)
    async with database.transaction() as session:
        runs = RunRepository(session)
        owners = await runs.list_lease_owners() if database.dialect == "sqlite" else []
        dead = running_processes.dead_among(settings.data_dir, (owner for owner in owners if owner != process_id))
        await runs.interrupt_left_behind(
            lease_owner=process_id,
            now=datetime.now(UTC),
            error=json.dumps({"code": "interrupted", "message": "The server stopped before this run had ended."}),
            queued_kinds=("webhook", "background"),
            dead_lease_owners=dead,
        )
