"""The MCP servers that a user has registered: what MCP Tools finds when a node names a server and not where it is.

An entry is kept encrypted and is shown without its secrets. A command is only kept here: it starts in a run, and only when the operator
listed that very command line (`outgoing/tool_servers.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncSession

from projects.access.caller import Caller
from projects.components.models_and_agents.mcp_servers import CommandServer, HttpServer, server_of
from projects.engine.component import ComponentError
from projects.errors import AlreadyExists, HeadwaterError, LimitReached, NotFound, NotPermitted, TooManyRequests
from projects.flows.secret_values import is_secret_name
from projects.kept_text import can_be_kept, check_text, json_text, refused
from projects.unit_of_work import change_catalogue, reading
from storage.database import Database
from storage.encryption import CannotDecrypt, SecretBox
from storage.ids import new_id
from storage.mcp_servers import McpServerRepository
from storage.tables import McpServerRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from projects.engine.context import ToolServerAccess

Config = dict[str, Any]

MASK = "*" * 8
MAX_NAME_LENGTH = 255
MAX_CONFIG_LENGTH = 100_000
MAX_SERVERS = 500
CONTACT_SECONDS = 10.0
_CONTACTS_AT_ONCE = 5
_SECRET_MAPPINGS = ("env", "headers")
_SHELLS = frozenset(("bash", "sh", "cmd"))
# Programs that start MCP servers. Being one of them allows nothing: it keeps mistakes out of the list.
_LAUNCHERS = frozenset(("node", "npx", "python", "python3", "uvx", "docker")) | _SHELLS


@dataclass(frozen=True, slots=True)
class ServerTools:
    """What a registered server said when it was asked. `tool_count` is None with an `error`."""

    name: str
    mode: str
    tool_count: int | None
    error: str | None


class McpServerService:
    def __init__(self, database: Database, secret_box: SecretBox, *, is_locked: bool = False) -> None:
        """`is_locked`: only superusers may change the list."""
        self._database = database
        self._secret_box = secret_box
        self._is_locked = is_locked
        self._asking: set[str] = set()  # users whose servers are being asked now

    async def list_names(self, caller: Caller) -> list[str]:
        """In the order in which they were made."""
        async with reading(self._database) as session:
            return [row.name for row in await McpServerRepository(session).list_owned(owner_id=caller.user_id)]

    async def get(self, caller: Caller, name: str) -> Config:
        """The configuration with stars for its secrets. Raises NotFound."""
        return masked(await self._get(caller.user_id, name))

    async def find_config(self, owner_id: str, name: str) -> Config | None:
        """The whole configuration, for a run of its owner."""
        async with reading(self._database) as session:
            row = await _find(McpServerRepository(session), name, owner_id=owner_id)
        return None if row is None else self._opened(row)

    async def create(self, caller: Caller, name: str, config: Mapping[str, Any]) -> Config:
        """Raises InvalidInput, AlreadyExists, NotPermitted, LimitReached."""
        self._check_may_write(caller)
        if not name.strip():
            raise refused("name", "An MCP server needs a name.")
        check_text(name, "name", max_length=MAX_NAME_LENGTH)
        kept = _without_masks(config, {})
        text = self._closed(name, kept)

        async def work(session: AsyncSession) -> None:
            servers, now = McpServerRepository(session), datetime.now(UTC)
            if await servers.find_by_name(name, owner_id=caller.user_id) is not None:
                raise AlreadyExists(f"There is an MCP server called {name!r} already; change that one, or take another name.")
            if await servers.count_owned(owner_id=caller.user_id) >= MAX_SERVERS:
                raise LimitReached(f"You have {MAX_SERVERS} MCP servers, the most that are kept; delete one that is no longer used.")
            await servers.add(McpServerRow(id=new_id(), owner_id=caller.user_id, name=name, config=text, created_at=now, updated_at=now))

        await change_catalogue(self._database, work)
        return masked(kept)

    async def update(self, caller: Caller, name: str, changes: Mapping[str, Any]) -> Config:
        """Each key that is given replaces the kept one; null takes it away, and stars keep a secret. Raises NotFound, InvalidInput."""
        self._check_may_write(caller)

        async def work(session: AsyncSession) -> Config:
            row = await _find(McpServerRepository(session), name, owner_id=caller.user_id)
            if row is None:
                raise NotFound("MCP server", name)
            before = self._opened(row)
            kept = {key: value for key, value in {**before, **_without_masks(changes, before)}.items() if value is not None}
            row.config = self._closed(name, kept)
            row.updated_at = datetime.now(UTC)
            await session.flush()
            return kept

        return masked(await change_catalogue(self._database, work))

    async def delete(self, caller: Caller, name: str) -> None:
        """Raises NotFound."""
        self._check_may_write(caller)

        async def work(session: AsyncSession) -> None:
            if not can_be_kept(name) or not await McpServerRepository(session).delete_by_name(name, owner_id=caller.user_id):
                raise NotFound("MCP server", name)

        await change_catalogue(self._database, work)

    async def ask_all(self, caller: Caller, access: ToolServerAccess) -> list[ServerTools]:
        """How many tools each server has. Addresses are asked, commands never started. Raises TooManyRequests while that goes on."""
        bound = asyncio.Semaphore(_CONTACTS_AT_ONCE)
        async with self._alone(caller.user_id):
            async with reading(self._database) as session:
                rows = await McpServerRepository(session).list_owned(owner_id=caller.user_id)
                configs = [(row.name, self._opened(row)) for row in rows]
            return list(await asyncio.gather(*(_asked(name, config, access, bound) for name, config in configs)))

    @asynccontextmanager
    async def _alone(self, user_id: str) -> AsyncIterator[None]:
        if user_id in self._asking:
            raise TooManyRequests("Your MCP servers are being asked already; try again when that is done.", retry_after_seconds=10)
        self._asking.add(user_id)
        try:
            yield
        finally:
            self._asking.discard(user_id)

    async def _get(self, owner_id: str, name: str) -> Config:
        config = await self.find_config(owner_id, name)
        if config is None:
            raise NotFound("MCP server", name)
        return config

    def _check_may_write(self, caller: Caller) -> None:
        if self._is_locked and not caller.is_superuser:
            raise NotPermitted("The operator of this server keeps the list of MCP servers; ask a superuser to change it.")

    def _closed(self, name: str, config: Config) -> str:
        _check(name, config)
        text = json_text(config, "config")
        if len(text) > MAX_CONFIG_LENGTH:
            raise refused("config", f"The configuration has {len(text):,} characters; at most {MAX_CONFIG_LENGTH:,} are kept.")
        return self._secret_box.encrypt(text)

    def _opened(self, row: McpServerRow) -> Config:
        try:
            config: Config = from_json(self._secret_box.decrypt(row.config))
        except CannotDecrypt:
            message = f"The MCP server {row.name!r} was kept under another secret key; delete it and register it anew."
            raise refused("name", message) from None
        return config


def masked(config: Mapping[str, Any]) -> Config:
    """A copy whose secrets are stars: environments, headers, header arguments, and what is called like a secret."""
    shown: Config = {}
    for key, value in config.items():
        if key in _SECRET_MAPPINGS and isinstance(value, Mapping):
            shown[key] = dict.fromkeys(value, MASK)
        elif key == "args" and isinstance(value, list):
            places = _header_places(value)
            shown[key] = [MASK if place in places else item for place, item in enumerate(value)]
        else:
            shown[key] = MASK if is_secret_name(key) and isinstance(value, str) and value else value
    return shown


def _without_masks(given: Mapping[str, Any], before: Mapping[str, Any]) -> Config:
    """The given values, with the kept secrets where stars stand. Raises InvalidInput where there is none."""
    kept: Config = {}
    for key, value in given.items():
        if key in _SECRET_MAPPINGS and isinstance(value, Mapping):
            older = before.get(key)
            known = older if isinstance(older, Mapping) else {}
            kept[key] = {name: _secret(f"{key}.{name}", text, known.get(name)) for name, text in value.items()}
        elif key == "args" and isinstance(value, list):
            kept[key] = _arguments(value, before.get("args"))
        else:
            kept[key] = _secret(key, value, before.get(key))
    return kept


def _arguments(given: Sequence[Any], before: Any) -> list[Any]:
    older = before if isinstance(before, list) else []
    known = {older[place - 1]: older[place] for place in _header_places(older) if isinstance(older[place - 1], str)}
    return [
        _secret(f"args.{place}", item, known.get(str(given[place - 1])) if place else None) if item == MASK else item
        for place, item in enumerate(given)
    ]


def _header_places(arguments: Sequence[Any]) -> set[int]:
    """Where the values of `--headers NAME VALUE` stand."""
    return {place + 2 for place, item in enumerate(arguments) if item in ("--headers", "-H") and place + 2 < len(arguments)}


def _secret(place: str, value: Any, kept: Any) -> Any:
    if value != MASK:
        return value
    if kept is None:
        raise refused(place, f"{place} is only stars, which stand for a secret that is kept already; give its value.")
    return kept


def _check(name: str, config: Config) -> None:
    """Whether MCP Tools could read it."""
    for key in ("command", "url"):
        if not isinstance(config.get(key, ""), str):
            raise refused(key, f"{key} must be a text.")
    if not isinstance(config.get("args", []), list) or not all(isinstance(item, str) for item in config.get("args", [])):
        raise refused("args", "args must be a list of texts.")
    for key in _SECRET_MAPPINGS:
        value = config.get(key, {})
        if not isinstance(value, Mapping) or not all(isinstance(text, str) for text in value.values()):
            raise refused(key, f"{key} must be an object of texts.")
    try:
        server = _server(name, config)
    except ComponentError as error:
        raise refused("config", str(error)) from None
    if isinstance(server, CommandServer):
        _check_command(server.command_line)


def _check_command(command_line: Sequence[str]) -> None:
    program = PureWindowsPath(command_line[0]).name.lower().removesuffix(".exe")
    if program not in _LAUNCHERS:
        known = ", ".join(sorted(_LAUNCHERS))
        raise refused("command", f"{command_line[0]!r} is no program that MCP servers are started with. Those are: {known}.")
    if program not in _SHELLS and (code := next((word for word in command_line[1:] if word.lower() in ("-c", "/c")), None)):
        raise refused("args", f"{code!r} hands {program} code to run; name the package or file of the server instead.")


def _server(name: str, config: Config) -> HttpServer | CommandServer:
    return server_of({"mcp_server": {"name": name, "config": config}})


async def _find(servers: McpServerRepository, name: str, *, owner_id: str) -> McpServerRow | None:
    return await servers.find_by_name(name, owner_id=owner_id) if can_be_kept(name) else None


async def _asked(name: str, config: Config, access: ToolServerAccess, bound: asyncio.Semaphore) -> ServerTools:
    server = _server(name, config)
    if isinstance(server, CommandServer):
        return ServerTools(name, "stdio", None, "A command is started by a run that uses it, and only when the operator allowed it.")
    from projects.components.models_and_agents.mcp_tools import list_tools  # with it comes the SDK's client, for the few who ask

    try:
        async with bound, asyncio.timeout(CONTACT_SECONDS):
            return ServerTools(name, "streamable_http", len(await list_tools(config, name, access)), None)
    except TimeoutError:
        return ServerTools(name, "streamable_http", None, f"It did not answer within {CONTACT_SECONDS:g} seconds.")
    except (ComponentError, HeadwaterError) as error:
        return ServerTools(name, "streamable_http", None, str(error))
