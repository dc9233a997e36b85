"""Which flow has which tool name, kept with its project so that restarts and other processes agree."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import from_json

from projects.kept_text import json_text
from projects.lifecycle import Project
from projects.unit_of_work import writing
from storage.database import Database
from storage.projects import ProjectRepository

KEY = "tool_names"  # in the project's `mcp_settings`


def kept_names(project: Project) -> dict[str, str]:
    """Flow id → name."""
    stored = (project.mcp_settings or {}).get(KEY)
    return {id: name for id, name in stored.items() if isinstance(name, str)} if isinstance(stored, dict) else {}


async def keep_names(database: Database, project: Project, names: Mapping[str, str]) -> None:
    """Raises Unavailable. The catalogue stays as it is: nothing that anybody cached is different now."""
    async with writing(database) as session:
        row = await ProjectRepository(session).find(project.id, owner_id=project.owner_id)
        if row is not None:
            stored = {} if row.mcp_settings is None else from_json(row.mcp_settings)
            row.mcp_settings = json_text({**stored, KEY: dict(names)}, KEY)
            await session.flush()
