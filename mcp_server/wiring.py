"""Builds every long-lived object once, and closes them in reverse.

Above: the command line and `app.py`. Below: `projects` and, only here in this folder, `storage`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mcp_server import running_processes
from mcp_server.first_start import FirstStart, give_everybody_the_environment, make_first_things
from mcp_server.settings import SECRET_KEY_FILE, Settings, SettingsProblem
from projects.access.accounts import AccessSettings, AccountService
from projects.access.api_keys import ApiKeyService
from projects.access.passwords import Passwords
from projects.access.project_access import ProjectAccessService
from projects.builds import BuildService
from projects.components.registry import load_registry
from projects.custom_code.policy import CustomCode, CustomCodePolicy
from projects.custom_code.trust import CodeTrustService, TrustedHashes
from projects.default_project import DefaultProject
from projects.errors import InvalidInput, Unavailable
from projects.files import FileLimits, FileService
from projects.flow_reports import ReportService
from projects.flows.flow import FlowChanged
from projects.flows.library import FlowLibrary
from projects.flows.prepared import FlowCache
from projects.guests import GuestRules
from projects.installs import InstallKeys
from projects.invocation import InvocationService, RunSettings
from projects.knowledge import KnowledgeService
from projects.lifecycle import ProjectService
from projects.mcp_servers import McpServerService
from projects.messages import MessageService
from projects.models.choice import ModelRegistry, ModelSettings
from projects.monitoring import MonitoringService
from projects.outgoing.clients import GuardedHttp
from projects.outgoing.guard import Guard
from projects.outgoing.tool_servers import ToolServers
from projects.plugin_content import load_plugin_content
from projects.prompts import PromptService
from projects.rate_limits import CallCounter, CallLimits
from projects.resources import ResourceService
from projects.run_files import RunFiles
from projects.run_resources import ModelSource, RunResources
from projects.runs.events import EventPort, files_topic, flows_topic
from projects.runs.housekeeping import Retention, RunHousekeeping
from projects.runs.idempotency import KeyedRuns
from projects.runs.live import LiveRuns
from projects.runs.observers import RunObservers
from projects.runs.other_processes import OtherProcesses, follow_others
from projects.runs.queue import QueueLimits, RunQueue
from projects.runs.service import RunService
from projects.runs.waiting import WaitingRuns
from projects.secret_rotation import encrypt_anew
from projects.services import ProjectServices
from projects.sql_queries import SqlQueries
from projects.store import StoreService
from projects.tools import ToolService
from projects.unused_files import UnusedFiles
from projects.variables import VariableService
from projects.voice.service import VoiceService
from projects.voice.settings import OPENAI_REALTIME_URL, OPENAI_URL, RealtimeProtocol, VoiceSettings, realtime_url_beside
from storage import migrate as storage_migrate
from storage.blobs.local_disk import LocalDisk
from storage.database import Database, DatabaseSettings, DatabaseUnavailable
from storage.encryption import SecretBox, load_or_create_secrets, new_secret, replace_secrets
from storage.notifications import Notifications
from storage.queue_leases import QueueGlances
from storage.run_writer import RunWriter

if TYPE_CHECKING:
    from storage.queue_procrastinate import RunJobs

logger = logging.getLogger(__name__)

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


async def rotate_secret_key(settings: Settings) -> int:
    """Encrypt everything that is kept anew, under a new key; how many values that were. Every login ends with the old key.

    A key of the data folder is replaced here, and at every moment in between the file holds what is needed to read everything. A key
    that a setting gives is replaced by whoever sets it: what the former ones encrypted is then brought to the present one.
    """
    _prepare_folder(settings)
    keys = secret_keys_of(settings)
    path = settings.data_dir / SECRET_KEY_FILE
    if settings.secret_key is None:
        if running_processes.is_anyone_alive(settings.data_dir):
            raise SettingsProblem(f"A server runs on {settings.data_dir} and knows only the present key: stop it first.")
        keys = [new_secret(), *keys]
        replace_secrets(path, keys)
    elif not settings.older_secret_keys:
        raise SettingsProblem(
            "The secret key is a setting: put a new one into HEADWATER_SECRET_KEY and the old one into HEADWATER_OLDER_SECRET_KEYS first."
        )
    await migrate(settings)
    with _explained():
        async with Database(database_settings(settings)) as database:
            count = await encrypt_anew(database, SecretBox(keys[0], older_keys=keys[1:]))
    if settings.secret_key is None:
        replace_secrets(path, keys[:1])
    return count


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    on_first_start: Callable[[FirstStart], None] | None = None,
    with_first_key: bool = True,
    takes_runs: bool = True,
    passwords: Passwords | None = None,
) -> AsyncIterator[ProjectServices]:
    """Everything the faces need, on a database of the newest shape, with what dead processes left behind settled.

    The first user and the first project are there. `on_first_start` is told when they were made now; an API key is made for it
    unless `with_first_key` is false.
    Without `takes_runs` runs that wait for their turn are left to other processes. `passwords` hashes at another cost than the usual one.
    """
    await migrate(settings)
    secret_keys = secret_keys_of(settings)
    at = database_settings(settings)
    run_settings = RunSettings(
        environment=settings.environment_for_flows,
        max_running=settings.max_running_runs,
        max_steps=settings.max_steps_per_run,
        max_depth=settings.max_flow_depth,
        max_seconds=settings.max_run_seconds,
    )
    async with AsyncExitStack() as stack:
        stack.enter_context(_explained())
        database = await stack.enter_async_context(Database(at))
        stack.enter_context(running_processes.announced(settings.data_dir, run_settings.process_id))
        running_processes.forget_the_dead(settings.data_dir)
        writer = await stack.enter_async_context(RunWriter(at))
        models = await stack.enter_async_context(ModelRegistry(model_settings(settings), Guard(settings.allowed_addresses)))
        events = EventPort()
        others = await _other_processes(stack, at, run_settings.process_id, events)
        queue = await _queue(stack, settings, database, run_settings.process_id, others, takes_runs=takes_runs)
        await queue.recover()
        files = _files(settings, database, events)
        unused_files = await stack.enter_async_context(UnusedFiles(files))
        observers = RunObservers()
        code = await _custom_code(stack, settings, database, observers)
        services = _build(
            settings, database, writer, run_settings, secret_keys, models, files, unused_files, events, queue, observers, code, passwords
        )
        if others is not None:
            following = asyncio.create_task(follow_others(run_settings.process_id, events, services.invocations.stop))
            stack.push_async_callback(_end, following)
        await stack.enter_async_context(services.invocations)
        await stack.enter_async_context(services.builds)
        await stack.enter_async_context(services.run_housekeeping)
        first = await make_first_things(services, settings, with_api_key=on_first_start is not None and with_first_key)
        if first is not None and on_first_start is not None:
            on_first_start(first)
        if settings.store_environment_variables:
            await give_everybody_the_environment(services)
        yield services


async def _custom_code(stack: AsyncExitStack, settings: Settings, database: Database, observers: RunObservers) -> CustomCodePolicy:
    """The policy for code of flows, with the place where it runs."""
    match settings.custom_code:
        case CustomCode.OFF:
            return CustomCodePolicy(CustomCode.OFF)
        case CustomCode.TRUSTED:
            from projects.custom_code.in_process import InProcess  # brings all that such code may import

            trusted = TrustedHashes(database)
            runner = stack.enter_context(InProcess())
            stack.enter_context(observers.watching(runner))
            return CustomCodePolicy(CustomCode.TRUSTED, trusted.is_trusted, runner, trusted.refresh)
        case CustomCode.SANDBOXED:
            from projects.custom_code.sandbox.command import Bounds
            from projects.custom_code.sandbox.pool import SandboxPool

            bounds = Bounds(settings.custom_code_seconds, settings.custom_code_megabytes * 1024 * 1024)
            pool = await stack.enter_async_context(SandboxPool(bounds))
            if pool.unavailable:
                logger.warning("Flows with code of their own cannot run: %s", pool.unavailable)
            stack.enter_context(observers.watching(pool))
            return CustomCodePolicy(CustomCode.SANDBOXED, runner=pool, unavailable=pool.unavailable)


def _build(
    settings: Settings,
    database: Database,
    writer: RunWriter,
    run_settings: RunSettings,
    secret_keys: Sequence[str],
    models: ModelRegistry,
    files: FileService,
    unused_files: UnusedFiles,
    events: EventPort,
    queue: RunQueue,
    observers: RunObservers,
    custom_code: CustomCodePolicy,
    passwords: Passwords | None,
) -> ProjectServices:
    secret_box = SecretBox(secret_keys[0], older_keys=secret_keys[1:])
    default_project = DefaultProject(
        name=settings.first_project_name, auth_settings=None if settings.auto_login else {"auth_type": "apikey"}
    )
    registry = load_registry(custom_code=custom_code)

    def tell(change: FlowChanged) -> None:
        events.publish(flows_topic(change.owner_id), change)
        if change.kind == "deleted":
            unused_files.sweep_soon()

    access = AccessSettings(
        secret_key=secret_keys[0],
        access_token_seconds=settings.access_token_expire_seconds,
        refresh_token_seconds=settings.refresh_token_expire_seconds,
        signup_is_open=settings.enable_signup,
        new_user_is_active=settings.new_user_is_active,
    )
    projects = ProjectService(
        database, tell, default_project=default_project, secret_box=secret_box, has_known_address=settings.has_known_address
    )
    library = FlowLibrary(database, tell, default_project=default_project)
    prepared = FlowCache(database, library, registry)
    to_import = settings.environment_for_flows if settings.store_environment_variables else {}
    variables = VariableService(database, secret_box, environment=to_import)
    messages = MessageService(database)
    mcp_servers = McpServerService(database, secret_box, is_locked=settings.mcp_servers_locked)
    resources = _resources(settings, models=models, files=files, knowledge=KnowledgeService(database, messages), mcp_servers=mcp_servers)
    waiting = WaitingRuns(database, secret_box, process_id=run_settings.process_id)
    live = LiveRuns()
    invocations = InvocationService(
        flows=prepared,
        messages=messages,
        variables=variables,
        writer=writer,
        events=events,
        resources=resources,
        settings=run_settings,
        waiting=waiting,
        live=live,
        keyed=KeyedRuns(database),
        queue=queue,
        calls=CallCounter(
            CallLimits(settings.calls_per_minute_per_key, settings.calls_per_minute_per_tool, settings.max_running_calls_per_key)
        ),
        observers=observers,
    )
    guests = GuestRules(variables, models)
    tools = ToolService(database=database, projects=projects, library=library, flows=prepared, invocations=invocations, guests=guests)
    content = load_plugin_content()
    return ProjectServices(
        accounts=AccountService(database, access, passwords=passwords, on_removed=unused_files.sweep_soon),
        api_keys=(api_keys := ApiKeyService(database, writer)),
        installs=InstallKeys(api_keys),
        project_access=ProjectAccessService(database, secret_box),
        projects=projects,
        flows=library,
        reports=ReportService(library, registry, variables, files, environment=run_settings.environment, models=resources.models),
        prepared_flows=prepared,
        variables=variables,
        files=files,
        models=models,
        mcp_servers=mcp_servers,
        store=StoreService(database, registry, variables),
        tool_servers=resources.tool_servers,
        messages=messages,
        monitoring=MonitoringService(database),
        invocations=invocations,
        builds=(
            builds := BuildService(
                invocations=invocations,
                library=library,
                flows=prepared,
                registry=registry,
                guests=guests,
                messages=messages,
                public_builds_per_minute=settings.public_builds_per_minute,
            )
        ),
        voice=VoiceService(
            builds=builds,
            library=library,
            messages=messages,
            variables=variables,
            guard=Guard(settings.allowed_addresses),
            settings=_voice_settings(settings),
            environment=run_settings.environment,
        ),
        runs=RunService(database, live, invocations.settle_expired),
        observers=observers,
        run_housekeeping=RunHousekeeping(
            database,
            invocations,
            waiting.list_expired,
            process_id=run_settings.process_id,
            retention=Retention(
                vertex_builds=settings.max_vertex_builds_to_keep,
                vertex_builds_per_vertex=settings.max_vertex_builds_per_vertex,
                transactions=settings.max_transactions_to_keep,
                results=timedelta(hours=settings.run_results_hours),
            ),
        ),
        tools=tools,
        resources=ResourceService(
            database,
            files=files,
            messages=messages,
            tools=tools,
            content=content,
            limit_bytes=settings.max_resource_megabytes * 1_000_000,
        ),
        prompts=PromptService(projects=projects, library=library, tools=tools, messages=messages, content=content),
        events=events,
        registry=registry,
        code_trust=CodeTrustService(database, registry),
        secret_box=secret_box,
        is_database_reachable=database.is_reachable,
    )


def _files(settings: Settings, database: Database, events: EventPort) -> FileService:
    def tell(owner_id: str) -> None:
        events.publish(files_topic(owner_id), owner_id)

    limits = FileLimits(
        file_bytes=settings.max_upload_megabytes * 1024 * 1024, user_bytes=settings.max_files_megabytes_per_user * 1024 * 1024
    )
    return FileService(database, LocalDisk(settings.data_dir / FILES_FOLDER), limits, on_change=tell)


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


def _voice_settings(settings: Settings) -> VoiceSettings:
    beside = OPENAI_REALTIME_URL if settings.openai_base_url is None else realtime_url_beside(settings.openai_base_url)
    return VoiceSettings(
        realtime_url=settings.voice_realtime_url or beside,
        realtime_protocol=RealtimeProtocol(settings.voice_realtime_protocol),
        realtime_model=settings.voice_realtime_model or "",
        transcription_model=settings.voice_transcription_model or "",
        speech_url=settings.openai_base_url or OPENAI_URL,
        elevenlabs_url=settings.elevenlabs_url,
        max_sessions=settings.max_voice_conversations,
        idle_seconds=settings.voice_idle_seconds,
        max_seconds=settings.max_voice_seconds,
        slow_seconds=settings.voice_slow_seconds,
    )


def _resources(
    settings: Settings, *, models: ModelSource, files: FileService, knowledge: KnowledgeService, mcp_servers: McpServerService
) -> RunResources:
    """What runs may reach beyond their graph. Each helper replaces the line of its own source."""
    guard = Guard(settings.allowed_addresses)
    return RunResources(
        models=models,
        files=RunFiles(files),
        knowledge=knowledge,
        outgoing=GuardedHttp(guard, max_bytes=settings.max_answer_megabytes * 1_000_000),
        tool_servers=ToolServers(
            guard,
            allowed_commands=settings.allowed_mcp_commands,
            max_bytes=settings.max_answer_megabytes * 1_000_000,
            registered=mcp_servers.find_config,
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


def secret_keys_of(settings: Settings) -> list[str]:
    """The key that is written with, and those that are still read."""
    if settings.secret_key is not None:
        return [settings.secret_key.get_secret_value(), *settings.older_secret_keys]
    path = settings.data_dir / SECRET_KEY_FILE
    try:
        return [*load_or_create_secrets(path), *settings.older_secret_keys]
    except (OSError, ValueError) as error:
        raise SettingsProblem(f"The secret key in {path} cannot be read: {error}.") from None


async def _other_processes(stack: AsyncExitStack, at: DatabaseSettings, process_id: str, events: EventPort) -> Notifications | None:
    """With PostgreSQL the way to the others on the database; with SQLite they see in it what they have to know."""
    if at.dialect == "sqlite":
        return None
    others = OtherProcesses(process_id, events)
    notifications = await stack.enter_async_context(Notifications(at, process_id, others.take, others.say_hello))
    others.begin(notifications)
    stack.callback(others.end)
    return notifications


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def _queue(
    stack: AsyncExitStack, settings: Settings, database: Database, process_id: str, others: Notifications | None, *, takes_runs: bool
) -> RunQueue:
    async def dead_among(process_ids: Sequence[str]) -> Sequence[str]:
        # With PostgreSQL the other processes may be on other machines: there the database knows who is connected.
        return running_processes.dead_among(settings.data_dir, process_ids) if others is None else await others.dead_among(process_ids)

    is_taking = takes_runs and settings.background_runs > 0
    jobs = glances = None
    if database.dialect == "postgresql":
        if is_taking:
            jobs = await stack.enter_async_context(_run_jobs(database.settings))
    elif is_taking:
        glances = stack.enter_context(closing(QueueGlances(database.settings)))
    limits = QueueLimits(settings.background_runs, settings.max_queued_runs, settings.max_run_attempts)
    return RunQueue(database, process_id=process_id, limits=limits, dead_among=dead_among, jobs=jobs, glances=glances, is_taking=is_taking)


def _run_jobs(at: DatabaseSettings) -> "RunJobs":
    try:
        from storage.queue_procrastinate import RunJobs  # only PostgreSQL installations need it
    except ModuleNotFoundError as error:
        raise SettingsProblem(f"PostgreSQL needs the package {error.name}: pip install 'headwater[postgres]'.") from error
    return RunJobs(at)
