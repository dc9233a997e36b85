"""The `headwater` command. What people get wrong ends in one line on standard error and exit code 1, never in a stack trace.

What a command needs of the server is imported inside it: `--help` and a refused setting answer at once.
"""

import asyncio
import gc
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mcp_server.settings_problem import SettingsProblem
from projects.errors import HeadwaterError, NotFound

if TYPE_CHECKING:
    from mcp_server.first_start import FirstStart
    from mcp_server.settings import Settings
    from projects.access.accounts import User
    from projects.access.caller import Caller
    from projects.flows.flow import Flow
    from projects.flows.import_report import ImportReport
    from projects.services import ProjectServices

T = TypeVar("T")

LISTED_BY = {"project": "projects", "user": "user list", "API key": "key list", "code": "code list", "trusted code": "code list"}


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from client_configs.connection import ADDRESS_PATTERN  # what clients can be given

    if not ADDRESS_PATTERN.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not the address of a server, such as http://127.0.0.1:7900 or https://tools.example.org.")
    return value.rstrip("/")


_data_dir = click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder of the database, keys and files.")
_env_file = click.option("--env-file", type=click.Path(path_type=Path), help="File of settings, NAME=value a line.")
_url = click.option("--url", "base_url", callback=_address, help="The server's address, when it is not that of the settings.")
_user = click.option("--user", "username", help="On whose behalf; default: the first superuser.")


def _options(command: Callable[..., T]) -> Callable[..., T]:
    return _data_dir(_env_file(command))


def main() -> None:
    os.umask(0o077)  # whatever this process writes is for its user alone: database, keys, files
    try:
        # Without its standalone mode, click gives back the code of an Exit instead of raising it.
        if code := commands(prog_name="headwater", standalone_mode=False):
            sys.exit(code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except SettingsProblem as error:
        _stop(str(error))
    except NotFound as error:
        listing = LISTED_BY.get(error.kind)
        _stop(f"{error.message}. `headwater {listing}` says which there are." if listing else error.message)
    except HeadwaterError as error:
        _stop(error.message)


def _stop(message: str) -> None:
    click.echo(f"headwater: {message}", err=True)
    sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="headwater")
def commands() -> None:
    """Serves flows as MCP tools. Settings come from options, HEADWATER_* variables or --env-file; README lists them."""


@commands.command()
@click.option("--host", help="Address to listen on; default 127.0.0.1.")
@click.option("--port", type=int, help="Port to listen on; default 7860, 0 takes a free one.")
@click.option("--workers", type=int, help="Number of processes; more than 1 need PostgreSQL.")
@_options
def serve(host: str | None, port: int | None, workers: int | None, data_dir: Path | None, env_file: Path | None) -> None:
    """Serve the projects over HTTP."""
    settings = _settings({"host": host, "port": port, "workers": workers, "data_dir": data_dir}, env_file)
    # What start-up makes stays for good; collecting in between would cost an eighth of it. `serving` turns it on again.
    gc.disable()
    from mcp_server import serving  # brings the whole server

    serving.serve(settings)


@commands.command()
@_options
def worker(data_dir: Path | None, env_file: Path | None) -> None:
    """Run flows in the background, beside servers.

    It shares their database and data folder, and runs HEADWATER_BACKGROUND_RUNS at once.
    """
    settings = _settings({"data_dir": data_dir}, env_file)
    gc.disable()
    from mcp_server import working  # brings the components

    working.work(settings)


@commands.command()
@click.option("--project", required=True, help="Name or id of the project to serve.")
@_user
@_options
def stdio(project: str, username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """Serve one project's tools on standard input and output.

    For clients that start their servers.
    """
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server.call_limits import CallLimits
    from mcp_server.transports import serve_stdio  # brings the MCP SDK

    limits = CallLimits(settings.task_after_seconds, settings.answer_after_seconds, settings.heartbeat_seconds, settings.question_seconds)

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        project_id = await _project_id(services, caller, project)
        await serve_stdio(services, caller, project_id, version=version("headwater"), calls=limits)

    _with_services(settings, username, work)


@commands.command()
@click.argument("url")
@click.option(
    "--wait",
    "patience_seconds",
    type=click.FloatRange(min=0),
    default=20.0,
    show_default=True,
    help="Seconds to wait for an absent server.",
)
def connect(url: str, patience_seconds: float) -> None:
    """Connect standard input and output to a project's address.

    For clients that only start programs. The key is taken from the environment, as HEADWATER_API_KEY.
    """
    from mcp_server.commands.connect import connect as run  # HTTP and nothing of the server

    run(url, patience_seconds=patience_seconds)


def _client_options(command: Callable[..., T]) -> Callable[..., T]:
    """What `install` and `config` share."""
    for option in (
        click.option("--project", help="Name or id of the project; default: the first one."),
        click.option("--scope", type=click.Choice(["user", "project"]), default="user", show_default=True, help="Whose file."),
        click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="The project's folder; default: this one."),
        click.option("--transport", type=click.Choice(["http", "sse", "stdio"]), help="Default: what suits the client best."),
        _url,
    ):
        command = option(command)
    return command


@commands.command()
@click.argument("clients", nargs=-1)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Show the change and make none.")
@click.option("--remove", is_flag=True, help="Take the project out again.")
@click.option("--revoke/--keep-key", "revoke", default=None, help="With --remove: what becomes of its key; default: asks.")
@click.option("--replace", is_flag=True, help="Take the name from another server that has it.")
@click.option("--list", "is_list", is_flag=True, help="Say which clients are here, which have the project, and whether it answers.")
@_client_options
@_user
@_options
def install(
    clients: tuple[str, ...],
    is_dry_run: bool,
    remove: bool,
    revoke: bool | None,
    replace: bool,
    is_list: bool,
    project: str | None,
    scope: str,
    folder: Path | None,
    transport: str | None,
    base_url: str | None,
    username: str | None,
    data_dir: Path | None,
    env_file: Path | None,
) -> None:
    """Connect MCP clients on this machine to a project.

    Each gets a key of its own, and a call tries whether it works.

    CLIENTS are names such as claude-code, cursor or vs-code; --list shows them all.
    """
    if not clients and not is_list:
        raise click.UsageError("Name a client, for example claude-code, cursor or vs-code; --list shows them all.")
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server.commands import install as installing
    from mcp_server.own_command import OwnCommand

    chosen = installing.clients_named(clients)
    options = installing.options_of(scope, folder, transport, replace=replace, is_dry_run=is_dry_run, revoke=revoke)

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        project_id = await _project_id(services, caller, project) if project else (await services.projects.default_project(caller)).id
        installer = await installing.Installer.of(services, caller, project_id, base_url or settings.base_url, OwnCommand.of(settings))
        if is_list:
            await installer.show_list(options)
        else:
            await installing.install_all(installer, chosen, options, remove=remove)

    _with_services(settings, username, work)


@commands.command()
@click.argument("client")
@_client_options
@_user
@_options
def config(
    client: str,
    project: str | None,
    scope: str,
    folder: Path | None,
    transport: str | None,
    base_url: str | None,
    username: str | None,
    data_dir: Path | None,
    env_file: Path | None,
) -> None:
    """Print what connects a client by hand: a block to paste.

    Words stand where the key belongs.
    """
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server.commands import install as installing
    from mcp_server.own_command import OwnCommand

    (chosen,) = installing.clients_named([client])
    options = installing.options_of(scope, folder, transport)

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        project_id = await _project_id(services, caller, project) if project else (await services.projects.default_project(caller)).id
        installer = await installing.Installer.of(services, caller, project_id, base_url or settings.base_url, OwnCommand.of(settings))
        installer.show_block(chosen, options)

    _with_services(settings, username, work)


@commands.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--project", help="Name or id of the project it goes to; default: the first one.")
@click.option("--tool", "as_tool", is_flag=True, help="Make it an MCP tool of its project, which clients can call.")
@_user
@_options
def import_(file: Path, project: str | None, as_tool: bool, username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """Import an exported flow (or a file of several).

    Says of each node whether it can run here. A flow of yours with the same id is replaced.
    """
    documents = _read_export(file)
    settings = _settings({"data_dir": data_dir}, env_file)

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        project_id = await _project_id(services, caller, project) if project else None
        for flow in await services.flows.upload(caller, documents, project_id=project_id):
            click.echo(f"Imported {flow.name!r} as {flow.id}")
            report = await services.reports.report(caller, flow.id)
            _show_report(report)
            await _show_tool(services, caller, flow, as_tool=as_tool, can_run=not report.missing)

    _with_services(settings, username, work)


@commands.command()
@_url
@_user
@_options
def projects(base_url: str | None, username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """List the projects with their MCP addresses."""
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server.commands import shown
    from mcp_server.first_start import mcp_address

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        for project in await services.projects.list_projects(caller):
            click.echo(f"{shown.visible(project.name)}\n  {mcp_address(base_url or settings.base_url, project.id)}")

    _with_services(settings, username, work)


@commands.command()
@click.option("--project", required=True, help="Name or id of the project.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@_user
@_options
def lint(project: str, as_json: bool, username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """Say what MCP clients may stumble over in a project's tools.

    The exit code is 1 when something has to be mended.
    """
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server.commands.lint import report

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        project_id = await _project_id(services, caller, project)
        report(await services.tools.lint(caller, project_id), as_json=as_json)

    _with_services(settings, username, work)


@commands.command()
@click.argument("project")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File or folder to write to; default: this folder.")
@_url
@_user
@_options
def bundle(
    project: str, output: Path | None, base_url: str | None, username: str | None, data_dir: Path | None, env_file: Path | None
) -> None:
    """Write a project as an .mcpb file for Claude Desktop.

    A double click installs it, and Claude Desktop asks for the key.
    """
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server.commands.artefacts import write_bundle
    from mcp_server.own_command import OwnCommand

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        project_id = await _project_id(services, caller, project)
        address = base_url or settings.base_url
        own = OwnCommand.of(settings)
        await write_bundle(services, caller, project_id, base_url=address, version=version("headwater"), output=output, own=own)

    _with_services(settings, username, work)


@commands.command()
@click.argument("project")
@_url
@_user
@_options
def manifest(project: str, base_url: str | None, username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """Print a project as a server.json.

    MCP registries take it, and clients that install from one.
    """
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server.commands.artefacts import print_manifest

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        project_id = await _project_id(services, caller, project)
        await print_manifest(services, caller, project_id, base_url=base_url or settings.base_url, version=version("headwater"))

    _with_services(settings, username, work)


@commands.command()
@_options
def migrate(data_dir: Path | None, env_file: Path | None) -> None:
    """Bring the database to the newest shape.

    Every start does so by itself.
    """
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server import wiring

    was_changed = asyncio.run(wiring.migrate(settings))
    click.echo("The database now has the newest shape." if was_changed else "The database has the newest shape already.")


@commands.group(invoke_without_command=True)
@_user
@_options
@click.pass_context
def models(context: click.Context, username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """Say which models flows can use.

    The first is the one that nodes get that name none.
    """
    if context.invoked_subcommand is not None:
        return
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server.first_start import ways_to_models

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        for embeddings in (False, True):
            ways = await ways_to_models(services, settings, caller, embeddings=embeddings)
            click.echo("Embedding models:" if embeddings else "Chat models:")
            for number, way in enumerate(ways):
                click.echo(f"  {way}{'  <- the default' if number == 0 else ''}")
            if not ways:
                click.echo("  none. Any one of these helps:")
                for help in ways_to_get_one(embeddings=embeddings):
                    click.echo(f"  - {help}")

    from projects.models.choice import ways_to_get_one

    _with_services(settings, username, work)


@models.command("add")
@click.argument("name", type=click.Choice(["smollm2"]))
@_options
def add_model(name: str, data_dir: Path | None, env_file: Path | None) -> None:
    """Fetch a small model that runs on this machine's processor.

    It needs no key, and no network once it is here.
    """
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server.wiring import model_settings
    from projects.models import local

    folder = model_settings(settings).models_dir
    assert folder is not None
    path = local.add(folder)
    click.echo(f"{name} is in {path}.")
    if not local.is_added(folder):
        click.echo('What runs it is missing still: pip install "headwater[local]"')
    else:
        click.echo("It is small, 135 million parameters: good for trying things out, not for answers that matter.")


@commands.group()
def key() -> None:
    """Make, list and revoke API keys."""


@key.command("create")
@click.option("--name", default="From the command line", show_default=True, help="What it is for.")
@click.option("--days", type=click.IntRange(min=1), help="Days until it expires; default: never.")
@_user
@_options
def create_key(name: str, days: int | None, username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """Make an API key and print it, this once."""
    settings = _settings({"data_dir": data_dir}, env_file)
    expires_at = datetime.now(UTC) + timedelta(days=days) if days is not None else None

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        _, clear = await services.api_keys.create(caller, name=name, expires_at=expires_at)
        click.echo(clear)

    _with_services(settings, username, work)


@key.command("list")
@_user
@_options
def list_keys(username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """List the API keys; the keys themselves are not kept."""
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server.commands import shown

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        for each in await services.api_keys.list_keys(caller):
            used = f"used {each.total_uses} times" if each.total_uses else "never used"
            until = f", expires {each.expires_at:%Y-%m-%d %H:%M} UTC" if each.expires_at else ""
            name = shown.visible(each.name or "(no name)")
            click.echo(f"{each.id}  {each.prefix}...  {name}  made {each.created_at:%Y-%m-%d}, {used}{until}")

    _with_services(settings, username, work)


@key.command("revoke")
@click.argument("key_id")
@_user
@_options
def revoke_key(key_id: str, username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """Revoke the API key of this id.

    It is refused from the next request on.
    """
    settings = _settings({"data_dir": data_dir}, env_file)

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        await services.api_keys.delete(caller, key_id)
        click.echo(f"Revoked {key_id}.")

    _with_services(settings, username, work)


@key.command("rotate-secret")
@_options
def rotate_secret(data_dir: Path | None, env_file: Path | None) -> None:
    """Replace the key that signs logins and encrypts secrets.

    API keys stay good; everybody logs in anew.
    """
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server import wiring

    count = asyncio.run(wiring.rotate_secret_key(settings))
    click.echo(f"Encrypted {count} {'value' if count == 1 else 'values'} under the new secret key; every login has ended.")
    if settings.older_secret_keys:
        click.echo("HEADWATER_OLDER_SECRET_KEYS can be taken out now.")


@commands.group()
def code() -> None:
    """List, read and trust the code that flows bring.

    Trust counts where HEADWATER_CUSTOM_CODE is trusted.
    """


@code.command("list")
@_user
@_options
def list_code(username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """List the code that no built-in component replaces.

    Everybody's flows are looked through; each text is named by its hash.
    """
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server.commands.code import print_texts

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        print_texts(await services.code_trust.list_texts(caller))

    _with_services(settings, username, work)


@code.command("show")
@click.argument("hash")
@_user
@_options
def show_code(hash: str, username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """Print the code of this hash, to be read before it is trusted."""
    settings = _settings({"data_dir": data_dir}, env_file)
    from mcp_server.commands.code import print_text

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        print_text(await services.code_trust.get(caller, hash))

    _with_services(settings, username, work)


@code.command("trust")
@click.argument("hash")
@_user
@_options
def trust_code(hash: str, username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """Let the code of this hash run inside the server.

    It has all the server's rights then. A changed text has another hash.
    """
    settings = _settings({"data_dir": data_dir}, env_file)

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        text = await services.code_trust.trust(caller, hash)
        click.echo(f"Trusted {text.hash}.")
        if settings.custom_code != "trusted":
            click.echo(f"It has no effect while HEADWATER_CUSTOM_CODE is {settings.custom_code}.")

    _with_services(settings, username, work)


@code.command("revoke")
@click.argument("hash")
@_user
@_options
def revoke_code(hash: str, username: str | None, data_dir: Path | None, env_file: Path | None) -> None:
    """Trust the code of this hash no longer.

    Runs that begin from now on are refused.
    """
    settings = _settings({"data_dir": data_dir}, env_file)

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        await services.code_trust.revoke(caller, hash)
        click.echo(f"Revoked {hash}.")

    _with_services(settings, username, work)


@commands.group()
def user() -> None:
    """Make, list and change users."""


@user.command("create")
@click.argument("username")
@click.option("--superuser", is_flag=True, help="May do everything.")
@click.password_option(help="Asked for when it is not given; on a command line others may see it.")
@_options
def create_user(username: str, superuser: bool, password: str, data_dir: Path | None, env_file: Path | None) -> None:
    """Make a user."""

    async def work(services: "ProjectServices") -> "User":
        return await services.accounts.create_user(username, password, is_superuser=superuser)

    _change_user(data_dir, env_file, work, "Made")


@user.command("list")
@_options
def list_users(data_dir: Path | None, env_file: Path | None) -> None:
    """List the users."""
    settings = _settings({"data_dir": data_dir}, env_file)

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        for each in await services.accounts.list_users():
            click.echo(f"{each.id}  {_described(each)}")

    _with_services(settings, None, work)


@user.command("set-password")
@click.argument("username")
@click.password_option(help="Asked for when it is not given; on a command line others may see it.")
@_options
def set_password(username: str, password: str, data_dir: Path | None, env_file: Path | None) -> None:
    """Give a user a new password and end all logins of theirs."""

    async def work(services: "ProjectServices") -> "User":
        return await services.accounts.set_password(username, password)

    _change_user(data_dir, env_file, work, "New password for")


@user.command()
@click.argument("username")
@_options
def activate(username: str, data_dir: Path | None, env_file: Path | None) -> None:
    """Let a user in."""

    async def work(services: "ProjectServices") -> "User":
        return await services.accounts.set_active(username, True)

    _change_user(data_dir, env_file, work, "Changed")


@user.command()
@click.argument("username")
@_options
def deactivate(username: str, data_dir: Path | None, env_file: Path | None) -> None:
    """Refuse a user's keys and logins from the next request on."""

    async def work(services: "ProjectServices") -> "User":
        return await services.accounts.set_active(username, False)

    _change_user(data_dir, env_file, work, "Changed")


@user.command("delete")
@click.argument("username")
@click.confirmation_option(prompt="This deletes the user's projects, flows, files and messages too. Go on?")
@_options
def delete_user(username: str, data_dir: Path | None, env_file: Path | None) -> None:
    """Delete a user with everything they own."""
    settings = _settings({"data_dir": data_dir}, env_file)

    async def work(services: "ProjectServices", caller: "Caller") -> None:
        await services.accounts.delete_user(username)
        click.echo(f"Deleted {username}.")

    _with_services(settings, None, work)


def _settings(given: Mapping[str, Any], env_file: Path | None) -> "Settings":
    from mcp_server.settings import load_settings  # half of what a bridge takes to start, which needs none
    from mcp_server.telemetry import configure_logging

    settings, remarks = load_settings(given, env_file=env_file)
    configure_logging(settings.log_level, settings.log_format, access_log=settings.access_log)
    for remark in remarks:
        click.echo(f"headwater: {remark}", err=True)
    return settings


def _with_services(settings: "Settings", username: str | None, work: Callable[["ProjectServices", "Caller"], Awaitable[None]]) -> None:
    """Do one thing as a user of this machine, with the same use cases that the server has."""

    async def until_done() -> None:
        async with _opened(settings) as services:
            await work(services, await services.accounts.local_caller(username))

    asyncio.run(until_done())


@asynccontextmanager
async def _opened(settings: "Settings") -> AsyncIterator["ProjectServices"]:
    from mcp_server.first_start import made_without_serving
    from mcp_server.wiring import open_services  # brings SQLAlchemy and the components

    def tell(first: "FirstStart") -> None:
        click.echo(f"headwater: {made_without_serving(settings, first)}", err=True)

    async with open_services(settings, on_first_start=tell, with_first_key=False, takes_runs=False) as services:
        yield services


def _change_user(data_dir: Path | None, env_file: Path | None, work: Callable[["ProjectServices"], Awaitable["User"]], what: str) -> None:
    settings = _settings({"data_dir": data_dir}, env_file)

    async def change(services: "ProjectServices", caller: "Caller") -> None:
        click.echo(f"{what} {_described(await work(services))}.")

    _with_services(settings, None, change)


def _described(user: "User") -> str:
    return ", ".join([user.username, "superuser" if user.is_superuser else "user", "active" if user.is_active else "not active"])


async def _project_id(services: "ProjectServices", caller: "Caller", name_or_id: str) -> str:
    project = await services.projects.find_by_name(caller, name_or_id)
    if project is None:
        project = await services.projects.get(caller, name_or_id)
    return project.id


def _read_export(file: Path) -> list[Mapping[str, Any]]:
    """The flows in a file: one, a list of them, or `{"flows": [...]}`. Raises SettingsProblem when it holds no JSON."""
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsProblem(f"{file} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError):
        raise SettingsProblem(f"{file} is not a flow: it holds no JSON.") from None
    if isinstance(found, Mapping) and isinstance(found.get("flows"), list):
        found = found["flows"]
    documents = found if isinstance(found, list) else [found]
    if not documents or not all(isinstance(each, Mapping) and (each.get("data") or each.get("nodes") is not None) for each in documents):
        raise SettingsProblem(f"{file} is not a flow: an export has the key data with nodes and edges.")
    return documents


def _show_report(report: "ImportReport") -> None:
    from mcp_server.commands.shown import visible

    counts: dict[str, int] = {}
    for node in report.nodes:
        counts[node.status.value] = counts.get(node.status.value, 0) + 1
    dropped = [edge for edge in report.edges if edge.status.value == "dropped"]
    click.echo(f"  {len(report.nodes)} nodes: " + (", ".join(f"{count} {status}" for status, count in counts.items()) or "none"))
    click.echo(f"  {len(report.edges)} edges: {len(report.edges) - len(dropped)} kept, {len(dropped)} dropped")
    for node in report.nodes:
        if node.reason or node.hint:
            click.echo(visible(f"  {node.status.value:<12}{node.id}: {' '.join(filter(None, (node.reason, node.hint)))}"))
    for edge in dropped:
        click.echo(visible(f"  {'dropped':<12}edge {edge.source} -> {edge.target}: {edge.reason or ''}"))
    for problem in report.problems:
        click.echo(visible(f"  {problem.kind.value:<17}{problem.node + ': ' if problem.node else ''}{problem.message}"))
    if not report.missing:
        click.echo("  Every node of it can run here, with what is missing above." if report.lacking else "  Everything in it can run here.")


async def _show_tool(services: "ProjectServices", caller: "Caller", flow: "Flow", *, as_tool: bool, can_run: bool) -> None:
    """Whether MCP clients can call the flow now, after it was made a tool when that was asked for."""
    from mcp_server.commands.shown import visible
    from projects.lifecycle import ToolSetting

    if flow.project_id is None:
        return
    if as_tool:
        setting = ToolSetting(flow.id, is_tool=True, name=flow.tool_name, description=flow.tool_description)
        await services.projects.set_tools(caller, flow.project_id, [setting])
    elif not flow.is_tool:
        click.echo(
            f'  MCP clients do not see it yet: import it with --tool, or PATCH /api/v1/flows/{flow.id} with {{"mcp_enabled": true}}.'
        )
        return
    project = await services.projects.get(caller, flow.project_id)
    if tool := await services.tools.find_tool_of(caller, project.id, flow.id):
        told = f"  MCP clients call it as {tool.name}, a tool of the project {project.name!r}"
        click.echo(visible(f"{told}." if can_run else f"{told}, but its calls are refused until every node can run."))
    else:
        reasons = await services.tools.reasons_against_tools(caller, [await services.flows.get(caller, flow.id)])
        click.echo(visible(f"  MCP clients cannot call it: {reasons.get(flow.id, 'it is a component.')}"))
