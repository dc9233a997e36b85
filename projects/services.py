"""The use cases as one record, for the faces."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from projects.access.accounts import AccountService
from projects.access.api_keys import ApiKeyService
from projects.components.registry import ComponentRegistry
from projects.files import FileService
from projects.flow_reports import ReportService
from projects.flows.library import FlowLibrary
from projects.flows.prepared import FlowCache
from projects.invocation import InvocationService
from projects.lifecycle import ProjectService
from projects.messages import MessageService
from projects.monitoring import MonitoringService
from projects.run_resources import ModelSource
from projects.runs.events import EventPort
from projects.tools import ToolService
from projects.variables import VariableService


@dataclass(frozen=True, slots=True)
class ProjectServices:
    """Built once by `wiring.py`; everything in it lives as long as the process."""

    accounts: AccountService
    api_keys: ApiKeyService
    projects: ProjectService
    flows: FlowLibrary
    reports: ReportService
    prepared_flows: FlowCache
    variables: VariableService
    files: FileService
    models: ModelSource
    messages: MessageService
    monitoring: MonitoringService
    invocations: InvocationService
    tools: ToolService
    events: EventPort
    registry: ComponentRegistry
    is_database_reachable: Callable[[], Awaitable[bool]]
