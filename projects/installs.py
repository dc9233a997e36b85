"""The keys of installations: one for each client and project, so that one client can lose its access while the others keep theirs."""

import asyncio
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from projects.access.api_keys import MAX_NAME_CHARACTERS, ApiKey, ApiKeyService
from projects.access.caller import Caller

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InstallKey:
    """`clear` is known for a key that was made now or stands in the client's file; None for one that only its owner has."""

    id: str
    name: str
    is_new: bool
    clear: str | None


class InstallKeys:
    def __init__(self, api_keys: ApiKeyService) -> None:
        self._api_keys = api_keys

    async def install(
        self, caller: Caller, client_name: str, project_name: str, *, held: str | None, write: Callable[[str], T]
    ) -> tuple[T, InstallKey]:
        """Do `write` with a key for this client and project: the one it holds already, else a new one.

        A new one goes again when `write` fails.
        """
        kept = None if held is None else await self.find_held(caller, client_name, project_name, held=held)
        if kept is not None and held is not None:
            return await asyncio.to_thread(write, held), InstallKey(kept.id, kept.name or "", False, held)
        made, clear = await self._api_keys.create(caller, name=key_name(client_name, project_name))
        try:
            written = await asyncio.to_thread(write, clear)
        except BaseException:
            await self._api_keys.delete(caller, made.id)
            raise
        return written, InstallKey(made.id, made.name or "", True, clear)

    async def ensure(self, caller: Caller, client_name: str, project_name: str) -> InstallKey:
        """For a client whose file only names where the key is: the key made for it earlier, else a new one."""
        found = await self.find_named(caller, client_name, project_name)
        if found is not None:
            return InstallKey(found.id, found.name or "", False, None)
        made, clear = await self._api_keys.create(caller, name=key_name(client_name, project_name))
        return InstallKey(made.id, made.name or "", True, clear)

    async def find_held(self, caller: Caller, client_name: str, project_name: str, *, held: str) -> ApiKey | None:
        """The key in a client's file, if it was made for this client and project and is still good."""
        key = await self._api_keys.find_by_secret(caller, held)
        return key if key is not None and key.name == key_name(client_name, project_name) and is_good(key) else None

    async def find_named(self, caller: Caller, client_name: str, project_name: str) -> ApiKey | None:
        """The newest good key that was made for this client and project."""
        name = key_name(client_name, project_name)
        keys = [key for key in await self._api_keys.list_keys(caller) if key.name == name and is_good(key)]
        return keys[-1] if keys else None


def key_name(client_name: str, project_name: str) -> str:
    text = "".join(character for character in f"{client_name}: {project_name}" if unicodedata.category(character) not in ("Cc", "Cs"))
    return text[:MAX_NAME_CHARACTERS]


def is_good(key: ApiKey) -> bool:
    return key.is_active and (key.expires_at is None or key.expires_at > datetime.now(UTC))
