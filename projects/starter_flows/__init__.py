"""The flows that a first project begins with: exports like any other, calling no model and no network."""

import hashlib
import json
from importlib.resources import files
from uuid import UUID

from projects.flows import export_file
from projects.flows.flow import FlowDraft

FILES = ("split_text.json", "evaluate_expression.json", "json_rows_to_table.json", "fill_template.json")


def drafts() -> list[FlowDraft]:
    """In the order of the list; without ids, so that every installation gives them its own."""
    folder = files("projects.starter_flows")
    return [export_file.read_draft(json.loads(folder.joinpath(name).read_text(encoding="utf-8"))) for name in FILES]


def example_id(name: str) -> str:
    """The id under which a starter flow is shown before anybody has a copy of it; always the same."""
    return str(UUID(bytes=hashlib.sha256(f"starter flow {name}".encode()).digest()[:16], version=4))
