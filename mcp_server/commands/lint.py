"""`headwater lint`: what clients may stumble over in a project's tools, one line a finding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mcp_server.commands.shown import visible

if TYPE_CHECKING:
    from projects.tools import Finding


def report(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print them. Exits with 1 when one of them is an error."""
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            told = f"{finding.severity}: {_about(finding)} [{finding.rule}]", f"  {finding.message}", f"  {finding.advice}"
            click.echo("\n".join(map(visible, told)))
        errors = sum(finding.severity == "error" for finding in findings)
        click.echo(f"{errors} errors, {len(findings) - errors} warnings." if findings else "Nothing found.")
    if any(finding.severity == "error" for finding in findings):
        raise click.exceptions.Exit(1)


def _about(finding: Finding) -> str:
    if finding.tool is not None:
        return f"{finding.tool} (flow {finding.flow_name!r})"
    return f"flow {finding.flow_name!r}" if finding.flow_id is not None else "the project"
