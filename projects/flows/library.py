"""The flows of each user: made, read, changed, moved, imported, deleted. What runs them is `projects/invocation.py`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from projects.access.caller import Caller
from projects.default_project import DefaultProject, find_project, get_project
from projects.errors import AlreadyExists, Locked, NotFound, Stale
from projects.flows import export_file
from projects.flows.flow import (
    UNSET,
    Flow,
    FlowChanged,
    FlowChanges,
    FlowDraft,
    FlowSummary,
    Unset,
    check_values,
    draft_values,
    webhook_in,
)
from projects.flows.kept_texts import KeptTexts
from projects.free_names import free_endpoint_name, free_name
from projects.kept_text import can_be_kept, find_uuid, json_text, refused
from projects.unit_of_work import change_catalogue, reading
from storage.database import Database
from storage.flows import FlowRepository
from storage.ids import new_id
from storage.tables import FlowRow

__all__ = ["UNSET", "Flow", "FlowChanged", "FlowChanges", "FlowDraft", "FlowLibrary", "OnFlowChange", "Unset"]

OnFlowChange = Callable[[FlowChanged], Awaitable[None] | None]

MAX_UPLOADED_FLOWS = 500


class FlowLibrary:
    """`on_change` is called after the commit, once for each flow that changed."""

    def __init__(
        self,
        database: Database,
        on_change: OnFlowChange,
        *,
        default_project: DefaultProject | None = None,
    ) -> None:
        self._database = database
        self._on_change = on_change
        self._default_project = default_project or DefaultProject()
        self.kept_texts = KeptTexts(database)  # of lists of flows, for the faces

    async def create(self, caller: Caller, draft: FlowDraft) -> Flow:
        """Make a flow. A name or endpoint name that is taken gets a number; a project that is not the caller's becomes the default one."""
        new = _NewFlow(draft)

        async def work(session: AsyncSession) -> Flow:
            if new.id is not None and await FlowRepository(session).find_owner(new.id) is not None:
                raise AlreadyExists(f"There is already a flow with the id {new.id}; leave the id out to get a new one.", field="id")
            return await self._add(session, caller, new)

        flow = await change_catalogue(self._database, work)
        await self._tell([FlowChanged(flow.id, flow.owner_id, flow.project_id, "created")])
        return flow

    async def create_many(self, caller: Caller, drafts: Sequence[FlowDraft]) -> list[Flow]:
        """All of them or none. Unlike `create`, a name that is taken is AlreadyExists."""
        new_flows = [_NewFlow(draft) for draft in drafts]

        async def work(session: AsyncSession) -> list[Flow]:
            flows, made = FlowRepository(session), []
            for new in new_flows:
                if new.id is not None and await flows.find_owner(new.id) is not None:
                    raise AlreadyExists(f"There is already a flow with the id {new.id}; leave the id out to get a new one.", field="id")
                await _check_free(flows, new.values, owner_id=caller.user_id, except_id=None)
                made.append(await self._add(session, caller, new))
            return made

        made = await change_catalogue(self._database, work)
        await self._tell([FlowChanged(flow.id, flow.owner_id, flow.project_id, "created") for flow in made])
        return made

    async def list_flows(
        self,
        caller: Caller,
        *,
        project_id: str | None = None,
        components: bool | None = None,
        flow_type: str | None = None,
        with_documents: bool = True,
    ) -> list[Flow]:
        """Oldest first; none for a project that is not the caller's.

        `components`: only those saved as components (True), only the others (False), or both (None).
        """
        if project_id is not None and (project_id := find_uuid(project_id)) is None:
            return []
        async with reading(self._database) as session:
            flows = FlowRepository(session)
            chosen: dict[str, Any] = {"project_id": project_id, "is_component": components, "flow_type": flow_type}
            if not with_documents:
                return [Flow.from_header(row) for row in await flows.list_headers(owner_id=caller.user_id, **chosen)]
            rows = await flows.list_owned(owner_id=caller.user_id, **chosen)
        return [Flow.from_row(row, with_document=True) for row in rows]

    async def list_headers(self, caller: Caller, *, components: bool | None = None, flow_type: str | None = None) -> list[FlowSummary]:
        """The same list, as little of each flow as a long list shows."""
        chosen: dict[str, Any] = {"owner_id": caller.user_id, "is_component": components, "flow_type": flow_type}
        async with reading(self._database) as session:
            return list(map(FlowSummary._make, await FlowRepository(session).list_headers(**chosen, names=FlowSummary._fields)))

    async def page_flows(
        self,
        caller: Caller,
        *,
        project_id: str | None = None,
        page: int = 1,
        size: int = 50,
        components: bool | None = None,
        flow_type: str | None = None,
        search: str | None = None,
        with_documents: bool = True,
    ) -> tuple[list[Flow], int]:
        """One page of a project's flows (the default project's when None), latest change first, and how many there are in all."""
        if page < 1:
            raise refused("page", "The first page is 1.", kind="greater_than_equal")
        if not 1 <= size <= 100:
            raise refused("size", "A page has 1 to 100 flows.", kind="less_than_equal" if size > 100 else "greater_than_equal")
        if search is not None and not can_be_kept(search):
            return [], 0
        async with reading(self._database) as session:
            if project_id is None:
                default = await self._default_project.find(session, owner_id=caller.user_id)
                if default is None:
                    return [], 0
                project_id = default.id
            else:
                project_id = (await get_project(session, project_id, owner_id=caller.user_id)).id
            rows, total = await FlowRepository(session).page(
                owner_id=caller.user_id,
                project_id=project_id,
                limit=size,
                offset=(page - 1) * size,
                is_component=components,
                flow_type=flow_type,
                name_contains=search,
                with_documents=with_documents,
            )
        return [Flow.from_row(row, with_document=with_documents) for row in rows], total

    async def get(self, caller: Caller, flow_id: str) -> Flow:
        """Raises NotFound, also for somebody else's flow."""
        async with reading(self._database) as session:
            row = await _find(FlowRepository(session), flow_id, owner_id=caller.user_id)
        return Flow.from_row(row, with_document=True)

    async def get_many(self, caller: Caller, flow_ids: Sequence[str]) -> list[Flow]:
        """Those of them that are the caller's, with documents, in the order asked for; the others are passed over."""
        wanted = list(dict.fromkeys(id for each in flow_ids if (id := find_uuid(each)) is not None))
        async with reading(self._database) as session:
            rows = await FlowRepository(session).list_by_ids(wanted, owner_id=caller.user_id, with_documents=True)
        found = {row.id: Flow.from_row(row, with_document=True) for row in rows}
        return [found[id] for id in wanted if id in found]

    async def get_public(self, flow_id: str) -> Flow:
        """A flow that its owner opened to everybody. Raises NotFound, also for a private one."""
        known = find_uuid(flow_id)
        async with reading(self._database) as session:
            row = None if known is None else await FlowRepository(session).find_public(known)
        if row is None:
            raise NotFound("flow", flow_id)
        return Flow.from_row(row, with_document=True)

    async def resolve(self, caller: Caller, id_or_endpoint_name: str) -> Flow:
        """The caller's flow by id, else by endpoint name. Raises NotFound."""
        return await self.resolve_owned(caller.user_id, id_or_endpoint_name)

    async def resolve_owned(self, owner_id: str, id_or_endpoint_name: str, *, with_document: bool = True) -> Flow:
        """`resolve` for a known owner."""
        async with reading(self._database) as session:
            flows, row = FlowRepository(session), None
            if (flow_id := find_uuid(id_or_endpoint_name)) is not None:
                row = await flows.find(flow_id, owner_id=owner_id, with_document=with_document)
            if row is None and can_be_kept(id_or_endpoint_name):
                row = await flows.find_by_endpoint_name(id_or_endpoint_name, owner_id=owner_id, with_document=with_document)
        if row is None:
            raise NotFound("flow", id_or_endpoint_name)
        return Flow.from_row(row, with_document=with_document)

    async def list_owned(self, owner_id: str) -> list[Flow]:
        """The owner's flows that are no components, oldest first, without their documents."""
        async with reading(self._database) as session:
            rows = await FlowRepository(session).list_headers(owner_id=owner_id, is_component=False)
        return [Flow.from_header(row) for row in rows]

    async def find_owned_by_name(self, owner_id: str, name: str) -> Flow | None:
        """The owner's flow with this display name, without its document."""
        if not can_be_kept(name):
            return None
        async with reading(self._database) as session:
            row = await FlowRepository(session).find_by_name(name, owner_id=owner_id, with_document=False)
        return None if row is None else Flow.from_row(row, with_document=False)

    async def read_document(self, owner_id: str, flow_id: str) -> str | None:
        """Only the document. Raises NotFound."""
        async with reading(self._database) as session:
            known = find_uuid(flow_id)
            found = None if known is None else await FlowRepository(session).find_document(known, owner_id=owner_id)
        if found is None:
            raise NotFound("flow", flow_id)
        return found[0]

    async def update(self, caller: Caller, flow_id: str, changes: FlowChanges, *, expected_version: int | None = None) -> Flow:
        """Raises NotFound, Stale (another version than expected), Locked, AlreadyExists (name or endpoint name), InvalidInput."""
        given = changes.given()
        check_values(given)
        has_webhook = webhook_in(given["document"]) if "document" in given else None

        async def work(session: AsyncSession) -> tuple[Flow, str]:
            row = await _find(FlowRepository(session), flow_id, owner_id=caller.user_id)
            _check_version(row, expected_version, caller)
            moved_from = row.project_id
            await self._change(session, row, given, has_webhook)
            return Flow.from_row(row, with_document=True), moved_from

        flow, moved_from = await change_catalogue(self._database, work)
        await self._tell([_updated(flow, moved_from)])
        return flow

    async def delete(self, caller: Caller, flow_id: str, *, expected_version: int | None = None) -> None:
        """With its messages, runs, builds and transactions. Raises NotFound, Stale (another version than expected), Locked."""

        async def work(session: AsyncSession) -> FlowRow:
            flows = FlowRepository(session)
            row = await _find(flows, flow_id, owner_id=caller.user_id, with_document=False)
            _check_version(row, expected_version, caller)
            _check_unlocked(row)
            await flows.delete_many([row.id], owner_id=caller.user_id)
            return row

        row = await change_catalogue(self._database, work)
        await self._tell([FlowChanged(row.id, row.owner_id, row.project_id, "deleted")])

    async def delete_many(self, caller: Caller, flow_ids: Sequence[str]) -> int:
        """Those of them that are the caller's; the others are passed over. Raises Locked, and then deletes none."""

        async def work(session: AsyncSession) -> Sequence[FlowRow]:
            flows = FlowRepository(session)
            rows = await flows.list_by_ids({id for each in flow_ids if (id := find_uuid(each))}, owner_id=caller.user_id)
            for row in rows:
                _check_unlocked(row)
            await flows.delete_many([row.id for row in rows], owner_id=caller.user_id)
            return rows

        rows = await change_catalogue(self._database, work)
        await self._tell([FlowChanged(row.id, row.owner_id, row.project_id, "deleted") for row in rows])
        return len(rows)

    async def upload(self, caller: Caller, documents: Sequence[Mapping[str, Any]], *, project_id: str | None = None) -> list[Flow]:
        """Import exported flows, all or none. A flow of the caller's with the same id is replaced in place; the rest are new.

        Raises InvalidInput; for a flow replaced in place also Locked and AlreadyExists.
        """
        new_flows = _new_flows(documents)

        async def work(session: AsyncSession) -> list[tuple[Flow, str | None]]:
            flows = FlowRepository(session)
            done: list[tuple[Flow, str | None]] = []
            project = None if project_id is None else await find_project(session, project_id, owner_id=caller.user_id)
            for new, exported in zip(new_flows, documents, strict=True):
                values = dict(new.values) if project is None else {**new.values, "project_id": project.id}
                row = None
                if new.id is not None and (owner_id := await flows.find_owner(new.id)) is not None:
                    if owner_id == caller.user_id:
                        row = await flows.find(new.id, owner_id=caller.user_id)
                    else:
                        new = new.without_id()
                if row is None:
                    done.append((await self._add(session, caller, new, values), None))
                    continue
                moved_from = row.project_id
                given = {name: value for name, value in values.items() if name in export_file.named_in(exported)}
                # An unknown project leaves a flow that is replaced where it is.
                given.pop("project_id", None)
                if (wanted := await find_project(session, values["project_id"], owner_id=caller.user_id)) is not None:
                    given["project_id"] = wanted.id
                await self._change(session, row, given, new.has_webhook if "document" in given else None)
                done.append((Flow.from_row(row, with_document=True), moved_from))
            return done

        done = await change_catalogue(self._database, work)
        await self._tell(
            FlowChanged(flow.id, flow.owner_id, flow.project_id, "created") if moved_from is None else _updated(flow, moved_from)
            for flow, moved_from in done
        )
        return [flow for flow, _ in done]

    async def add_exported(
        self, session: AsyncSession, caller: Caller, documents: Sequence[Mapping[str, Any]], *, project_id: str
    ) -> list[Flow]:
        """Add exported flows to a project inside the catalogue change of another use case, which tells of them after its commit.

        Ids are kept. Raises AlreadyExists for an id of the caller's own; one that is somebody else's is replaced by a new one.
        """
        flows, made = FlowRepository(session), []
        for new in _new_flows(documents):
            if new.id is not None and (owner_id := await flows.find_owner(new.id)) is not None:
                if owner_id == caller.user_id:
                    raise AlreadyExists(f"You already have the flow {new.id}; delete it, or leave the id out of the file.", field="id")
                new = new.without_id()
            made.append(await self._add(session, caller, new, {**new.values, "project_id": project_id}))
        return made

    async def _add(self, session: AsyncSession, caller: Caller, new: "_NewFlow", values: Mapping[str, Any] | None = None) -> Flow:
        flows, owner_id, values = FlowRepository(session), caller.user_id, dict(values or new.values)
        name, endpoint_name = values["name"], values["endpoint_name"]
        values["name"] = free_name(name, await flows.list_names_starting(name, owner_id=owner_id))
        if endpoint_name is not None:
            taken = await flows.list_endpoint_names_starting(endpoint_name, owner_id=owner_id)
            values["endpoint_name"] = free_endpoint_name(endpoint_name, taken)
        values["project_id"] = await self._place(session, values["project_id"], owner_id=owner_id)
        now = datetime.now(UTC)
        row = FlowRow(
            id=new.id or new_id(),
            owner_id=owner_id,
            version=1,
            has_webhook=new.has_webhook,
            created_at=now,
            updated_at=now,
            **_columns(values),
        )
        await flows.add(row)
        return Flow.from_row(row, with_document=True)

    async def _change(self, session: AsyncSession, row: FlowRow, given: Mapping[str, Any], has_webhook: bool | None) -> None:
        """Set what was given on a row loaded with its document, if the lock and the other flows' names allow it."""
        values = dict(given)
        if "project_id" in values:
            values["project_id"] = await self._place(session, values["project_id"], owner_id=row.owner_id)
        columns = {name: value for name, value in _columns(values).items() if getattr(row, name) != value}
        if row.is_locked and columns != {"is_locked": False}:
            _check_unlocked(row)
        await _check_free(FlowRepository(session), columns, owner_id=row.owner_id, except_id=row.id)
        for name, value in columns.items():
            setattr(row, name, value)
        if "document" in columns:
            row.version += 1
        if has_webhook is not None:
            row.has_webhook = has_webhook
        row.updated_at = datetime.now(UTC)
        await session.flush()

    async def _place(self, session: AsyncSession, project_id: str | None, *, owner_id: str) -> str:
        """The project of this id when it is the owner's, else the owner's default one."""
        project = await find_project(session, project_id, owner_id=owner_id)
        return (project or await self._default_project.ensure(session, owner_id=owner_id)).id

    async def _tell(self, changes: Any) -> None:
        for change in changes:
            if (waiting := self._on_change(change)) is not None:
                await waiting


class _NewFlow:
    """A draft that was checked: no query is needed to refuse a bad one."""

    def __init__(self, draft: FlowDraft) -> None:
        self.values = draft_values(draft)
        self.id: str | None = self.values.pop("id")
        if self.id is not None:
            known = find_uuid(self.id) if isinstance(self.id, str) else None
            if known is None:
                raise refused("id", "A flow's id must be a UUID; leave it out to get a new one.", kind="uuid_parsing")
            if UUID(known).version == 5:
                # Langflow keeps version 5 for ids it derives from a name, and refuses them from clients.
                raise refused("id", "A flow's id may not be a version 5 UUID; leave it out to get a new one.", kind="uuid_version")
            self.id = known
        check_values(self.values)
        self.has_webhook = webhook_in(draft.document)

    def without_id(self) -> "_NewFlow":
        """The same, to be stored under a new id."""
        other = object.__new__(_NewFlow)
        other.values, other.has_webhook, other.id = self.values, self.has_webhook, None
        return other


def _new_flows(documents: Sequence[Mapping[str, Any]]) -> list[_NewFlow]:
    if len(documents) > MAX_UPLOADED_FLOWS:
        raise refused("flows", f"At most {MAX_UPLOADED_FLOWS} flows can be imported at once; these are {len(documents)}.")
    new_flows = [_NewFlow(export_file.read_draft(document)) for document in documents]
    ids = [new.id for new in new_flows if new.id is not None]
    if len(ids) != len(set(ids)):
        repeated = next(id for id in ids if ids.count(id) > 1)
        raise refused("id", f"The id {repeated} is there more than once; give each flow its own id, or none.")
    return new_flows


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = dict(values)
    if columns.get("tags") is not None:
        columns["tags"] = json_text(columns["tags"], "tags")
    return columns


def _updated(flow: Flow, moved_from: str) -> FlowChanged:
    return FlowChanged(flow.id, flow.owner_id, flow.project_id, "updated", moved_from=moved_from if moved_from != flow.project_id else None)


async def _find(flows: FlowRepository, flow_id: str, *, owner_id: str, with_document: bool = True) -> FlowRow:
    known = find_uuid(flow_id)
    row = None if known is None else await flows.find(known, owner_id=owner_id, with_document=with_document)
    if row is None:
        raise NotFound("flow", flow_id)
    return row


async def _check_free(flows: FlowRepository, values: Mapping[str, Any], *, owner_id: str, except_id: str | None) -> None:
    name, endpoint_name = values.get("name"), values.get("endpoint_name")
    if name is not None and await flows.name_is_taken(name, owner_id=owner_id, except_id=except_id):
        raise AlreadyExists("Another of your flows has this name; choose a different one.", field="name")
    if endpoint_name is not None and await flows.endpoint_name_is_taken(endpoint_name, owner_id=owner_id, except_id=except_id):
        raise AlreadyExists(f"Another of your flows has the endpoint name {endpoint_name}; choose a different one.", field="endpoint_name")


def _check_version(row: FlowRow, expected: int | None, caller: Caller) -> None:
    if expected is None or row.version == expected:
        return
    raise Stale(
        "The flow was changed meanwhile; read it again and repeat your change on what is there now.",
        flow_id=row.id,
        expected=expected,
        current=row.version,
        modified_by=(caller.user_id, caller.username),
        modified_at=row.updated_at,
    )


def _check_unlocked(row: FlowRow) -> None:
    if row.is_locked:
        raise Locked(f"The flow {row.name} is locked; unlock it first.")
