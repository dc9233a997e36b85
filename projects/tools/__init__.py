"""Which flows are tools: names, arguments, answers, hints, the lint, and calling them. Imports what is below."""

from projects.tools.hints import Hints
from projects.tools.lint import Finding, Severity
from projects.tools.names import NAME_LENGTH, RESERVED_NAMES, clean_name, server_name, unique_name
from projects.tools.results import ResultShape
from projects.tools.service import ToolMap, ToolService
from projects.tools.tool import Tool, make_tool

__all__ = [
    "NAME_LENGTH",
    "RESERVED_NAMES",
    "Finding",
    "Hints",
    "ResultShape",
    "Severity",
    "Tool",
    "ToolMap",
    "ToolService",
    "clean_name",
    "make_tool",
    "server_name",
    "unique_name",
]
