"""Installs a server in a client, removes it, and tells what is there: a plan first, which changes nothing, then its application.

Above are the command line, pages and REST; below are the clients and `config_file.py`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from client_configs.client import CONNECTION_KEYS, Client, Entry, Scope, shown_command
from client_configs.config_file import ConfigFile, Edit, Put, Remove, difference, edit_text
from client_configs.connection import Connection, KeyHandling, Transport
from client_configs.locations import Machine
from client_configs.problems import ClientNotFound, InstallationProblem, NameTaken, Unsupported

OUR_KEYS = re.compile(r"sk-[A-Za-z0-9_-]{16,}")
HIDDEN = "********"


@dataclass(frozen=True, slots=True)
class Plan:
    """What an installation or a removal would do to one file."""

    client: Client
    scope: Scope
    file: ConfigFile
    before: str | None = field(repr=False)
    after: str | None = field(repr=False)
    project_folder: Path | None = None
    transport: Transport | None = None
    """How the client will reach the server; None for a removal."""
    key_handling: KeyHandling | None = None
    replaced: tuple[str, ...] = ()
    """Entries for the same server that go: its own old one, and duplicates under other names."""
    notes: tuple[str, ...] = ()
    key: str | None = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        return self.file.path

    @property
    def changes_file(self) -> bool:
        return self.after != self.before

    def difference(self) -> str:
        """The change as a unified diff, keys of ours hidden."""
        text = difference(self.path, self.before, self.after or "") if self.changes_file else ""
        return OUR_KEYS.sub(HIDDEN, text.replace(self.key, HIDDEN) if self.key else text)


@dataclass(frozen=True, slots=True)
class Applied:
    path: Path
    was_changed: bool
    backup: Path | None = None
    """Where the text before the change is kept; it holds what the file held, secrets too."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is on this machine. `problem` says why a file that is there tells nothing; `former_address` is the one that the client still has
    when it is not the server's."""

    client: Client
    scope: Scope
    path: Path | None
    is_available: bool
    installed_as: tuple[str, ...] = ()
    problem: str | None = None
    former_address: str | None = None

    @property
    def is_installed(self) -> bool:
        return bool(self.installed_as)


@dataclass(frozen=True, slots=True)
class Description:
    """All a person needs to connect one client by hand; placeholders stand for the key."""

    client_id: str
    display_name: str
    user_file: str | None
    project_file: str | None
    block: str | None
    install_link: str | None
    web_link: str | None
    command: str | None
    instructions: str | None
    limits: tuple[str, ...]
    notes: tuple[str, ...]


def plan_install(
    client: Client,
    connection: Connection,
    machine: Machine,
    *,
    scope: Scope = Scope.USER,
    project_folder: Path | None = None,
    transport: Transport | None = None,
    key_handling: KeyHandling | None = None,
    replace: bool = False,
    create_folder: bool = False,
) -> Plan:
    """What would be written. `replace` takes our name from another server; `create_folder` installs for a client that is not there yet."""
    file = get_file(client, connection, machine, scope, project_folder)
    if scope is Scope.USER and not create_folder and not is_available(client, machine):
        folder = next(iter(client.own_folders(machine)), file.path.parent)
        raise ClientNotFound(f"{client.display_name} was not found: {folder} is not there. Start it once, then install again.")
    chosen_transport = choose_transport(client, connection, scope, transport)
    if scope is Scope.PROJECT and key_handling is KeyHandling.IN_FILE and connection.needs_key:
        client.key_handling_in(scope, connection)  # says why not, where there is no other way
        key_handling = KeyHandling.REFERENCE
    chosen_handling = key_handling or client.key_handling_in(scope, connection)
    collection = client.collection_in(scope)
    before = file.read_text()
    held = collection.entries_of(file.read(before))
    name = connection.server_name
    current = held.get(name)
    if current is not None and not replace and not is_same_server(current, connection):
        raise NameTaken(f'{file.path} has another server named "{name}": remove or rename it, or choose another name.')
    duplicates = tuple(other for other, entry in held.items() if other != name and has_our_address(entry, connection))
    entry = client.entry(connection, chosen_transport, chosen_handling, scope=scope, machine=machine)
    entry |= kept_settings(current if current is not None else held[duplicates[0]] if duplicates else {}, entry)
    puts = client.further_edits(connection, chosen_handling)
    needed = {(put.collection, put.name) for put in puts}
    edits: list[Edit] = [Remove(collection, other) for other in duplicates]
    edits += [removal for removal in client.further_removals(connection) if (removal.collection, removal.name) not in needed]
    edits += [Put(collection, name, entry), *puts]
    return Plan(
        client=client,
        scope=scope,
        file=file,
        before=before,
        after=file.edit(before, tuple(edits), empty=client.new_file),
        project_folder=project_folder if scope is Scope.PROJECT else None,
        transport=chosen_transport,
        key_handling=chosen_handling,
        replaced=((name,) if current is not None and current != entry else ()) + duplicates,
        notes=notes_for(client, connection, machine, scope, chosen_transport, chosen_handling),
        key=connection.key,
    )


def plan_removal(
    client: Client, connection: Connection, machine: Machine, *, scope: Scope = Scope.USER, project_folder: Path | None = None
) -> Plan:
    """What would be taken out: every entry for this server, and what was written with it. No file is made."""
    file = get_file(client, connection, machine, scope, project_folder)
    before = file.read_text()
    collection = client.collection_in(scope)
    held = collection.entries_of(file.read(before))
    ours = names_of(held, connection)
    edits: tuple[Edit, ...] = tuple(Remove(collection, name) for name in ours)
    if connection.server_name in ours or connection.server_name not in held:
        edits += client.further_removals(connection)
    return Plan(
        client=client,
        scope=scope,
        file=file,
        before=before,
        after=None if before is None else file.edit(before, edits),
        project_folder=project_folder if scope is Scope.PROJECT else None,
        replaced=ours,
        key=connection.key,
    )


def apply(plan: Plan) -> Applied:
    """Does what the plan says, once; a plan without a change touches nothing."""
    if not plan.changes_file or plan.after is None:
        return Applied(plan.path, was_changed=False)
    backup = plan.file.write(plan.after, expected=plan.before, project_folder=plan.project_folder)
    return Applied(plan.path, was_changed=True, backup=backup)


def find_key(
    client: Client, connection: Connection, machine: Machine, *, scope: Scope = Scope.USER, project_folder: Path | None = None
) -> str | None:
    """The key of ours in the client's entry for this server; None when there is none, or the file tells nothing."""
    try:
        file = get_file(client, connection, machine, scope, project_folder)
        held = client.collection_in(scope).entries_of(file.read(file.read_text()))
    except InstallationProblem:
        return None
    texts = (text for name in names_of(held, connection) for text in texts_of(held[name]))
    return next((found[0] for text in texts if (found := OUR_KEYS.fullmatch(text))), None)


def find_status(
    client: Client, connection: Connection, machine: Machine, *, scope: Scope = Scope.USER, project_folder: Path | None = None
) -> Status:
    """Whether the client is there and has this server; never raises for what a file may hold."""
    try:
        file = get_file(client, connection, machine, scope, project_folder)
    except InstallationProblem as problem:
        return Status(client, scope, None, is_available=False, problem=problem.message)
    available = file.path.exists() or (is_available(client, machine) if scope is Scope.USER else False)
    try:
        held = client.collection_in(scope).entries_of(file.read(file.read_text()))
    except InstallationProblem as problem:
        return Status(client, scope, file.path, is_available=available, problem=problem.message)
    names = names_of(held, connection)
    former = None
    if not any(has_our_address(held[name], connection) for name in names):
        former = next((text for name in names for text in texts_of(held[name]) if connection.has_path(text)), None)
    return Status(client, scope, file.path, is_available=available, installed_as=names, former_address=former)


def paste_block(
    client: Client,
    connection: Connection,
    machine: Machine,
    *,
    scope: Scope = Scope.USER,
    transport: Transport | None = None,
    key_handling: KeyHandling = KeyHandling.PLACEHOLDER,
) -> str | None:
    """The client's own form of the entry, as a text to paste; None for a client that takes no block."""
    if not client.takes_block:
        return None
    chosen = choose_transport(client, connection, scope, transport)
    entry = client.entry(connection, chosen, key_handling, scope=scope, machine=machine)
    edits = (Put(client.collection_in(scope), connection.server_name, entry), *client.further_edits(connection, key_handling))
    return edit_text("", client.file_format, edits)


def describe(client: Client, connection: Connection, machine: Machine) -> Description:
    """For pages and REST: nothing in it is secret, whatever the connection holds."""
    user_files = client.user_files(machine)
    project_files = client.project_files(PurePosixPath("."), connection)
    command = client.command_line(connection)
    transport = choose_transport(client, connection, Scope.USER, None)
    return Description(
        client_id=client.id,
        display_name=client.display_name,
        user_file=str(user_files[0]) if user_files else None,
        project_file=str(project_files[0]) if project_files else None,
        block=paste_block(client, connection, machine),
        install_link=client.install_link(connection),
        web_link=client.web_link(connection),
        command=shown_command(command) if command is not None else None,
        instructions=client.instructions(connection),
        limits=client.limits,
        notes=client.connection_notes(connection, transport, machine),
    )


def get_file(client: Client, connection: Connection, machine: Machine, scope: Scope, project_folder: Path | None) -> ConfigFile:
    """The client's file in this scope: the one that is there, else the one it would look for first."""
    candidates: tuple[PurePath, ...]
    if scope is Scope.PROJECT:
        if project_folder is None:
            raise Unsupported("A project's folder is needed for an installation in a project.")
        candidates = client.project_files(project_folder, connection)
    else:
        candidates = client.user_files(machine)
    if not candidates:
        way = client.instructions(connection)
        where = "in a project" if scope is Scope.PROJECT else f"on {machine.platform.value}"
        raise Unsupported(f"{client.display_name} has no file {where} that could be written.{f' {way}' if way else ''}")
    paths = [Path(candidate) for candidate in candidates]
    return ConfigFile(next((path for path in paths if path.exists()), paths[0]), client.file_format)


def is_available(client: Client, machine: Machine) -> bool:
    return any(Path(folder).is_dir() for folder in client.own_folders(machine)) or any(
        Path(file).exists() for file in client.user_files(machine)
    )


def choose_transport(client: Client, connection: Connection, scope: Scope, wanted: Transport | None) -> Transport:
    """The wanted one, if the client takes it; else the client's best that the server has."""
    taken = client.transports_in(scope, connection)
    if wanted is not None:
        if wanted not in taken:
            raise Unsupported(f"{client.display_name} does not take {wanted.value} in its file: it takes {', '.join(taken)}.")
        return wanted
    return taken[0]


def kept_settings(current: Any, entry: Entry) -> Entry:
    """What a person set in the old entry besides the way to the server: approvals, time limits, notes."""
    if not isinstance(current, dict):
        return {}
    return {key: value for key, value in current.items() if key not in CONNECTION_KEYS and key not in entry}


def names_of(held: dict[str, Any], connection: Connection) -> tuple[str, ...]:
    """The entries that lead to this server: by its address, or by its name and path."""
    return tuple(
        name
        for name, entry in held.items()
        if has_our_address(entry, connection) or (name == connection.server_name and is_same_server(entry, connection))
    )


def is_same_server(entry: Any, connection: Connection) -> bool:
    """Ours under our name: the address may have changed since, the path holds the project."""
    return any(connection.has_address(text) or connection.has_path(text) for text in texts_of(entry))


def has_our_address(entry: Any, connection: Connection) -> bool:
    return any(connection.has_address(text) for text in texts_of(entry))


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner)


def notes_for(
    client: Client, connection: Connection, machine: Machine, scope: Scope, transport: Transport, key_handling: KeyHandling
) -> tuple[str, ...]:
    notes = list(client.connection_notes(connection, transport, machine))
    if key_handling is KeyHandling.REFERENCE and connection.needs_key and not client.further_edits(connection, key_handling):
        notes.append(f"Set {connection.variable} in the environment {client.display_name} starts in: the file only names it.")
    if transport is Transport.STDIO:
        if connection.executable is None:
            notes.append(
                "The entry starts a public bridge by npx, which needs Node and the internet: Headwater's own bridge is the better choice."
            )
        elif scope is Scope.PROJECT:
            notes.append(f"The entry names {connection.executable}, a path of this machine: others who share the file need it there too.")
    return tuple(notes)
