"""`headwater code`: the texts of components in stored flows, and which of them are trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mcp_server.commands.shown import visible

if TYPE_CHECKING:
    from projects.custom_code.trust import CodeText


def print_texts(texts: Sequence[CodeText]) -> None:
    """Each with its hash, whether it is trusted, and the nodes that carry it."""
    for text in texts:
        lines = text.code.count("\n") + 1
        click.echo(f"{text.hash}  {_trust_of(text)}, {lines} {'line' if lines == 1 else 'lines'}")
        for place in text.places:
            click.echo(visible(f"  {place.display_name} ({place.node_id}) in {place.flow_name!r} ({place.flow_id}) of {place.owner}"))
        if not text.places:
            click.echo("  in no flow any more")
    if not texts:
        click.echo("No stored flow brings code that a built-in component does not replace.")


def print_text(text: CodeText) -> None:
    """The text as it is, with characters that nobody sees written out, so that what is read is what would run."""
    click.echo(visible(text.code, kept="\n\t"))
    click.echo(f"{text.hash}  {_trust_of(text)}", err=True)


def _trust_of(text: CodeText) -> str:
    return f"trusted by {text.trusted_by} on {text.trusted_at:%Y-%m-%d %H:%M} UTC" if text.is_trusted else "not trusted"
