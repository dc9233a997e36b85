"""`headwater install` and `headwater config`: a project in the files of the clients on this machine, or as a block to paste."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from client_configs.client import Client, Scope
from client_configs.connection import Connection, KeyHandling, Transport
from client_configs.installation import (
    Applied,
    Plan,
    apply,
    choose_transport,
    describe,
    find_key,
    find_status,
    paste_block,
    plan_install,
    plan_removal,
)
from client_configs.placement import container_note, outside_note, placement_notes, reaching_transport
from client_configs.problems import ClientNotFound, InstallationProblem, InvalidConnection, NameTaken
from client_configs.project_connection import project_connection, server_names
from client_configs.registry import CLIENTS, find_client
from mcp_server.bridge.remote import KEY_VARIABLE
from mcp_server.own_command import OwnCommand
from mcp_server.reach import Reach, reach_by_address, reach_by_command
from mcp_server.this_machine import is_in_container, own_executable, this_machine
from projects.errors import InvalidInput

if TYPE_CHECKING:
    from client_configs.locations import Machine
    from projects.access.caller import Caller
    from projects.installs import InstallKey
    from projects.services import ProjectServices

# Stands where a key would in a plan that is only shown; the difference hides it.
NO_KEY = "sk-" + "0" * 40


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says besides the clients. `folder` is the project's folder of the scope `project`."""

    scope: Scope
    folder: Path
    transport: Transport | None
    replace: bool
    is_dry_run: bool
    revoke: bool | None
    """Whether to revoke the key of a removed installation; None asks."""

    @property
    def project_folder(self) -> Path | None:
        return self.folder if self.scope is Scope.PROJECT else None


def options_of(
    scope: str,
    folder: Path | None,
    transport: str | None,
    *,
    replace: bool = False,
    is_dry_run: bool = False,
    revoke: bool | None = None,
) -> Options:
    way = {"http": Transport.STREAMABLE_HTTP, "sse": Transport.SSE, "stdio": Transport.STDIO}
    chosen = way[transport] if transport is not None else None
    return Options(Scope(scope), (folder or Path.cwd()).absolute(), chosen, replace, is_dry_run, revoke)


class Installer:
    """One project for one person on this machine."""

    def __init__(
        self, services: ProjectServices, caller: Caller, project_name: str, connection: Connection, machine: Machine, own: OwnCommand
    ) -> None:
        self._services = services
        self._caller = caller
        self._project_name = project_name
        self._connection = connection
        self._machine = machine
        self._own = own

    @classmethod
    async def of(cls, services: ProjectServices, caller: Caller, project_id: str, base_url: str, own: OwnCommand) -> Installer:
        """Raises InvalidInput when clients cannot be given the server's address."""
        project = await services.projects.get(caller, project_id)
        names = server_names([(each.id, each.name) for each in await services.projects.list_projects(caller)])
        try:
            connection = project_connection(base_url, project.id, names[project.id])
        except InvalidConnection as problem:
            raise InvalidInput(f"{problem.message} Set HEADWATER_PUBLIC_URL.") from None
        return cls(services, caller, project.name, replace(connection, executable=own_executable()), this_machine(), own)

    async def install(self, client: Client, options: Options) -> None:
        """Raises InstallationProblem."""
        scope, folder, machine = options.scope, options.project_folder, self._machine
        transport = options.transport or reaching_transport(client, self._connection, machine, scope)

        def planned(key: str | None) -> Plan:
            connection = replace(self._connection, key=key)
            return plan_install(
                client, connection, machine, scope=scope, project_folder=folder, transport=transport, replace=options.replace
            )

        def write(key: str) -> tuple[Plan, Applied]:
            plan = planned(key)
            return plan, apply(plan)

        held = find_key(client, self._connection, machine, scope=scope, project_folder=folder)
        shown = planned(held or NO_KEY)  # whatever stands in the way is found before a key is made
        if options.is_dry_run:
            self._say_plan(shown)
            return
        if shown.key_handling is KeyHandling.REFERENCE:
            applied = apply(shown)
            key = await self._services.installs.ensure(self._caller, key_holder(client, options), self._project_name)
            plan = shown
        else:
            (plan, applied), key = await self._services.installs.install(
                self._caller, key_holder(client, options), self._project_name, held=held, write=write
            )
        self._say_applied(plan, applied, key)
        click.echo(f"  check   {await self._check(client, plan, key.clear or os.environ.get(KEY_VARIABLE))}")

    async def remove(self, client: Client, options: Options) -> None:
        """Raises InstallationProblem."""
        scope, folder = options.scope, options.project_folder
        held = find_key(client, self._connection, self._machine, scope=scope, project_folder=folder)
        plan = plan_removal(client, self._connection, self._machine, scope=scope, project_folder=folder)
        if options.is_dry_run:
            self._say_plan(plan)
            return
        applied = apply(plan)
        if not plan.replaced:
            click.echo(f"{client.display_name}: {self._connection.server_name} is not in {plan.path}.")
        else:
            click.echo(f"{client.display_name}: removed {', '.join(plan.replaced)} from {plan.path}{_kept(applied)}")
        await self._offer_to_revoke(key_holder(client, options), held, options.revoke)

    async def _offer_to_revoke(self, holder: str, held: str | None, revoke: bool | None) -> None:
        installs, names = self._services.installs, (holder, self._project_name)
        if held is not None:
            key = await installs.find_held(self._caller, *names, held=held)
        else:
            key = await installs.find_named(self._caller, *names)
        if key is None:
            return
        if revoke is None and sys.stdin.isatty():
            revoke = click.confirm(f'  Revoke its key "{key.name}" too?', default=True)
        if revoke:
            await self._services.api_keys.delete(self._caller, key.id)
            click.echo(f'  revoked its key "{key.name}"')
        else:
            click.echo(f'  its key "{key.name}" is still good; to revoke it: {self._own.line(f"key revoke {key.id}")}')

    async def show_list(self, options: Options) -> None:
        """Each client with a file: is it here, does it have the project, does the server answer what stands there."""
        for client in CLIENTS:
            status = find_status(client, self._connection, self._machine, scope=options.scope, project_folder=options.project_folder)
            if status.path is None and status.problem is not None and not status.is_available:
                state = "by hand: " + self._own.line(f"config {client.id}", with_address=True)
            elif status.problem is not None:
                state = f"cannot be read: {status.problem}"
            elif status.former_address is not None:
                address = f"leads to {status.former_address}, which is not this server's address"
                state = f"{', '.join(status.installed_as)} in {status.path}: {address}; install again, or look there with --url"
            elif status.is_installed:
                state = f"{', '.join(status.installed_as)} in {status.path}: {await self._check_held(client, options)}"
            else:
                state = "here, without this project" if status.is_available else "not here"
            click.echo(f"{client.id:<16}{state}")

    def show_block(self, client: Client, options: Options) -> None:
        """The block on standard output, so that it can go into a file; the words around it on the other."""
        described = describe(client, self._connection, self._machine)
        transport = options.transport or reaching_transport(client, self._connection, self._machine, options.scope)
        block = paste_block(client, self._connection, self._machine, scope=options.scope, transport=transport)
        notes = [*described.limits, *described.notes, *self._notes(client, transport or self._usual(client, options.scope))]
        if self._connection.is_loopback and is_in_container():
            notes.append(outside_note(self._connection))
        place = described.project_file if options.scope is Scope.PROJECT else described.user_file
        if block is not None:
            making = self._own.line("key create")
            click.echo(f"Put this into {place or 'its settings'}, with a key of `{making}` in place of the words:", err=True)
            click.echo(block.rstrip("\n"))
        for label, text in (
            ("by hand", described.instructions),
            ("command", described.command),
            ("link", described.install_link),
            ("web link", described.web_link),
        ):
            if text is not None:
                click.echo(f"{label}: {text}", err=True)
        for note in dict.fromkeys(notes):
            click.echo(f"note: {note}", err=True)

    def _usual(self, client: Client, scope: Scope) -> Transport:
        return choose_transport(client, self._connection, scope, None)

    def _notes(self, client: Client, transport: Transport | None) -> tuple[str, ...]:
        return placement_notes(client, self._connection, self._machine, transport)

    def container_note(self, client: Client) -> str | None:
        """For clients that were not found in a container: they are outside it."""
        return container_note(client, self._connection) if is_in_container() else None

    def _say_plan(self, plan: Plan) -> None:
        click.echo(plan.difference() or f"{plan.path} stays as it is.\n", nl=False)
        for note in (*plan.notes, *self._notes(plan.client, plan.transport)):
            click.echo(f"note: {note}", err=True)

    def _say_applied(self, plan: Plan, applied: Applied, key: InstallKey) -> None:
        did = f"wrote {applied.path}{_kept(applied)}" if applied.was_changed else f"{applied.path} has it already"
        click.echo(f"{plan.client.display_name}: {did}")
        click.echo(f"  server  {self._connection.server_name}, {self._connection.http_url}")
        click.echo(f'  key     "{key.name}"; to revoke it alone: {self._own.line(f"key revoke {key.id}")}')
        if plan.key_handling is KeyHandling.REFERENCE:
            if key.clear is not None:
                click.echo(f"          {key.clear}\n          This once: the file is shared and does not hold it.")
            else:
                click.echo("          It was shown when it was made. Lost? Revoke it, then install again.")
        for note in (*plan.notes, *self._notes(plan.client, plan.transport)):
            click.echo(f"  note    {note}")

    async def _check(self, client: Client, plan: Plan, key: str | None) -> Reach:
        connection = replace(self._connection, key=key)
        reach = await reach_by_address(connection.http_url, key, version=version("headwater"))
        if reach.tool_count is None or plan.transport is not Transport.STDIO or connection.executable is None:
            return reach
        return await reach_by_command(client.command(connection, KeyHandling.IN_FILE, self._machine))

    async def _check_held(self, client: Client, options: Options) -> Reach:
        held = find_key(client, self._connection, self._machine, scope=options.scope, project_folder=options.project_folder)
        return await reach_by_address(self._connection.http_url, held or os.environ.get(KEY_VARIABLE), version=version("headwater"))


def key_holder(client: Client, options: Options) -> str:
    """Whom a key is made for: an installation in a folder has another one than the person's own."""
    return client.display_name if options.scope is Scope.USER else f"{client.display_name} in {options.folder.name}"


def clients_named(names: Sequence[str]) -> list[Client]:
    """Raises InvalidInput for a name that is none, with those that are near."""
    found = []
    for name in names:
        client = find_client(name)
        if client is None:
            known = [each.id for each in CLIENTS]
            near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
            raise InvalidInput(
                f"{name!r} is no client. " + (f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}.")
            )
        found.append(client)
    return found


async def install_all(installer: Installer, clients: Sequence[Client], options: Options, *, remove: bool) -> None:
    """Each client for itself: what stands in the way of one stops no other, but the command ends with 1."""
    failed = False
    for client in clients:
        try:
            await (installer.remove if remove else installer.install)(client, options)
        except InstallationProblem as problem:
            failed = True
            click.echo(f"{client.display_name}: {problem.message}", err=True)
            if isinstance(problem, ClientNotFound) and (note := installer.container_note(client)) is not None:
                click.echo(f"  {note}", err=True)
            if isinstance(problem, NameTaken):
                click.echo("  To put this project in its place: the same command with --replace.", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def _kept(applied: Applied) -> str:
    return f" (before: {applied.backup})" if applied.backup is not None else ""
