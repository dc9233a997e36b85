"""The use cases as one record, for the faces."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from projects.access.accounts import AccountService
from projects.access.api_keys import ApiKeyService
from projects.access.project_access import ProjectAccessService
from projects.builds import BuildService
from projects.components.registry import ComponentRegistry
from projects.custom_code.trust import CodeTrustService
from projects.files import FileService
from projects.flow_reports import ReportService
from projects.flows.library import FlowLibrary
from projects.flows.prepared import FlowCache
from projects.installs import InstallKeys
from projects.invocation import InvocationService
from projects.lifecycle import ProjectService
from projects.mcp_servers import McpServerService
from projects.messages import MessageService
from projects.monitoring import MonitoringService
from projects.prompts import PromptService
from projects.resources import ResourceService
from projects.run_resources import ModelSource, ToolServerSource
from projects.runs.events import EventPort
from projects.runs.housekeeping import RunHousekeeping
from projects.runs.observers import RunObservers
from projects.runs.service import RunService
from projects.store import StoreService
from projects.tools import ToolService
from projects.variables import VariableService
from projects.voice.service import VoiceService
from storage.encryption import SecretBox


@dataclass(frozen=True, slots=True)
class ProjectServices:
    """Built once by `wiring.py`; everything in it lives as long as the process."""

    accounts: AccountService
    api_keys: ApiKeyService
    installs: InstallKeys
    project_access: ProjectAccessService
    projects: ProjectService
    flows: FlowLibrary
    reports: ReportService
    prepared_flows: FlowCache
    variables: VariableService
    files: FileService
    models: ModelSource
    mcp_servers: McpServerService
    store: StoreService
    tool_servers: ToolServerSource
    messages: MessageService
    monitoring: MonitoringService
    invocations: InvocationService
    builds: BuildService
    runs: RunService
    run_housekeeping: RunHousekeeping
    observers: RunObservers
    tools: ToolService
    resources: ResourceService
    prompts: PromptService
    voice: VoiceService
    events: EventPort
    registry: ComponentRegistry
    code_trust: CodeTrustService
    secret_box: SecretBox
    is_database_reachable: Callable[[], Awaitable[bool]]
