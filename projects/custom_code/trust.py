"""Which texts of components run in the server's process: what the operator read and trusted, text by text, known by its hash.

A changed text has another hash and is trusted by nobody. Trusting is for the whole server, whoever's flow brings the text.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from projects.access.caller import Caller
from projects.access.permissions import require_person, require_superuser
from projects.custom_code.policy import code_hash
from projects.errors import InvalidInput, NotFound
from projects.flows import document, groups
from projects.flows.groups import node_of
from projects.unit_of_work import catalogue_version, change_catalogue, reading
from storage.database import Database
from storage.tables import TrustedCodeRow
from storage.trusted_code import TrustedCodeRepository


class TrustedHashes:
    """What `CustomCodePolicy` asks: the hashes as the catalogue's version has them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._version = -1
        self._hashes: frozenset[str] = frozenset()
        self._reading = asyncio.Lock()

    def is_trusted(self, hash: str) -> bool:
        return hash in self._hashes

    async def refresh(self) -> None:
        if await catalogue_version(self._database) == self._version:
            return
        async with self._reading:  # one after another: what was read before a revocation never replaces what was read after it
            version = await catalogue_version(self._database)  # read first: what changes in between is read again
            if version != self._version:
                async with reading(self._database) as session:
                    self._hashes = frozenset(await TrustedCodeRepository(session).list_hashes())
                self._version = version


@dataclass(frozen=True, slots=True)
class CodePlace:
    """A node that carries a text."""

    flow_id: str
    flow_name: str
    owner: str  # the name of the flow's owner
    node_id: str
    display_name: str


@dataclass(frozen=True, slots=True)
class CodeText:
    """A text of a component, where it is used, and who trusted it."""

    hash: str
    code: str
    places: tuple[CodePlace, ...] = ()
    trusted_by: str | None = None
    trusted_at: datetime | None = None

    @property
    def is_trusted(self) -> bool:
        return self.trusted_at is not None


class CodeTrustService:
    """For superusers: every text, of everybody's flows. Changes want somebody who logged in, because trusted code may do everything."""

    def __init__(self, database: Database, registry: document.ComponentSource) -> None:
        self._database = database
        self._registry = registry

    async def list_texts(self, caller: Caller) -> list[CodeText]:
        """Texts that stored flows bring and built-in components do not replace, and trusted ones that no flow has any more."""
        require_superuser(caller)
        async with reading(self._database) as session:
            repository = TrustedCodeRepository(session)
            trusted = {row.hash: row for row in await repository.list_all()}
            flows = await repository.list_flows()
        found: dict[str, CodeText] = {}
        for flow_id, name, owner in flows:
            async with reading(self._database) as session:
                text = await TrustedCodeRepository(session).find_document(flow_id)
            for node_id, display_name, code in await self._texts_of(text):
                hash = code_hash(code)
                known = found.get(hash) or CodeText(hash, code)
                found[hash] = replace(known, places=(*known.places, CodePlace(flow_id, name, owner, node_id, display_name)))
            await asyncio.sleep(0)  # others have their turn: a server may hold thousands of flows
        for hash, row in trusted.items():
            known = found.get(hash) or CodeText(hash, row.code)
            found[hash] = replace(known, trusted_by=row.trusted_by, trusted_at=row.trusted_at)
        return list(found.values())

    async def get(self, caller: Caller, hash: str) -> CodeText:
        """Raises NotFound when neither a flow nor the list of trusted texts has it."""
        hash = hash.strip().lower()
        for text in await self.list_texts(caller):
            if text.hash == hash:
                return text
        raise NotFound("code", hash)

    async def trust(self, caller: Caller, hash: str) -> CodeText:
        """Let the text of this hash run from the next request on. Trusting it twice changes nothing. Raises NotFound."""
        require_person(caller)
        text = await self.get(caller, hash)
        if text.is_trusted:
            return text
        now = datetime.now(UTC)

        async def work(session: AsyncSession) -> None:
            repository = TrustedCodeRepository(session)
            if await repository.find(text.hash) is None:
                await repository.add(TrustedCodeRow(hash=text.hash, code=text.code, trusted_by=caller.username, trusted_at=now))

        await change_catalogue(self._database, work)
        return replace(text, trusted_by=caller.username, trusted_at=now)

    async def revoke(self, caller: Caller, hash: str) -> None:
        """Trust it no longer: runs that begin from now on are refused. Raises NotFound when nobody trusts it."""
        require_superuser(caller)
        require_person(caller)
        wanted = hash.strip().lower()

        async def work(session: AsyncSession) -> bool:
            return await TrustedCodeRepository(session).delete(wanted)

        if not await change_catalogue(self._database, work):
            raise NotFound("trusted code", wanted)

    async def _texts_of(self, text: str | None) -> list[tuple[str, str, str]]:
        """(node id, display name, code) of each node whose own code would run."""
        if not text:
            return []
        try:
            report = (await document.read_and_compile(text, self._registry)).report
            read = document.parse_document(text)
        except InvalidInput:
            return []  # a document that cannot be read runs nothing
        if not report.code_allowed:
            return []
        names = {node.id: node.display_name for node in report.nodes}
        return [
            (entry.id, names.get(entry.id) or entry.id, code)
            for entry in groups.expand(read.nodes, read.edges).nodes
            if (code := document.code_of(node_of(entry.raw))) and code_hash(code) in report.code_allowed
        ]
