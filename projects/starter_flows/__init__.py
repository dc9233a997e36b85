"""The flows that a first project begins with: exports like any other, calling no model and no network."""

import json
from importlib.resources import files

from projects.flows import export_file
from projects.flows.flow import FlowDraft

FILES = ("split_text.json", "evaluate_expression.json", "json_rows_to_table.json", "fill_template.json")


def drafts() -> list[FlowDraft]:
    """In the order of the list; without ids, so that every installation gives them its own."""
    folder = files("projects.starter_flows")
    return [export_file.read_draft(json.loads(folder.joinpath(name).read_text(encoding="utf-8"))) for name in FILES]
