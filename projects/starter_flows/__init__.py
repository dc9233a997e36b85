"""Flows to begin with: exports like any other, of the components that run here.

A first project gets `FILES`, which call no model and no network. The examples are these and more, to be copied by whoever wants one.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from uuid import UUID

from projects.flows import export_file
from projects.flows.flow import FlowDraft

FILES = ("split_text.json", "evaluate_expression.json", "json_rows_to_table.json", "fill_template.json")

EXAMPLE_FILES = (
    "chat.json",
    "chat_with_history.json",
    "agent_with_tools.json",
    "router.json",
    "human_approval.json",
    "loop.json",
    "webhook.json",
    "fill_knowledge.json",
    "ask_knowledge.json",
    "pick_fields.json",
    "extract_addresses.json",
    "sub_flow.json",
    *FILES,
)


def drafts() -> list[FlowDraft]:
    """The first project's, in the order of the list; without ids, so that every installation gives them its own."""
    return _read(FILES)


def examples() -> list[FlowDraft]:
    """All of them, those of the first project last."""
    return _read(EXAMPLE_FILES)


def _read(names: Sequence[str]) -> list[FlowDraft]:
    folder = files("projects.starter_flows")
    return [export_file.read_draft(json.loads(folder.joinpath(name).read_text(encoding="utf-8"))) for name in names]


def example_id(name: str) -> str:
    """The id under which a starter flow is shown before anybody has a copy of it; always the same."""
    return str(UUID(bytes=hashlib.sha256(f"starter flow {name}".encode()).digest()[:16], version=4))
