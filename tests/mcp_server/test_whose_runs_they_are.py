"""Runs of people who are not the project's owner: nobody else may look at them, answer them or stop them, the owner may."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from projects.access.caller import Caller
from projects.access.project_access import ProjectAccess
from projects.engine.questions import Answer
from projects.errors import InvalidInput, NotFound
from projects.runs.record import RunState
from tests.flow_documents import chat_input, chat_output, document, edge, node
from tests.issuer import Issuer, open_issuer
from tests.mcp_server.conftest import Served, waiting
from tests.mcp_server.long_runs import ASKS, KNOWS_TASKS, LONG, accept, asking, call, impatient, message_of, request, result, task

BOTH = {**KNOWS_TASKS, **ASKS}
UNKNOWN = -32602


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with open_issuer() as opened:
        yield opened


@asynccontextmanager
async def of_an_issuer(tmp_path: Path, issuer: Issuer, **settings: Any) -> AsyncIterator[Served]:
    async with impatient(tmp_path, allowed_addresses=[f"127.0.0.1:{issuer.web.port}"], **settings) as served:
        await set_mode(served, issuer.settings())
        yield served


async def set_mode(served: Served, settings: dict[str, Any]) -> None:
    path = f"/api/v1/mcp/project/{served.application.project_id}"
    assert (await served.application.http.patch(path, json={"settings": [], "auth_settings": settings})).status_code == 200


def holder(served: Served, issuer: Issuer, subject: str) -> dict[str, str]:
    """Headers of the holder of a token, without the key that requests have otherwise."""
    return {"authorization": f"Bearer {issuer.token(served.project_address(), sub=subject)}", "x-api-key": ""}


async def refused_everything(served: Served, task_id: str, headers: dict[str, str]) -> None:
    """The other one gets the same answer as for a task that never was."""
    missing = "0190a1b2-0000-7000-8000-0000000000ff"
    for method, more in (("tasks/get", {}), ("tasks/cancel", {}), ("tasks/update", {"inputResponses": {"name": accept(name="Eve")}})):
        told = await request(served, method, {"taskId": task_id, **more}, capabilities=BOTH, headers=headers)
        never = await request(served, method, {"taskId": missing, **more}, capabilities=BOTH, headers=headers)
        assert told["error"]["code"] == UNKNOWN
        assert told["error"]["message"].replace(task_id, missing) == never["error"]["message"]
    told = await call(served, "get_run", {"run_id": task_id}, headers=headers)
    assert told["isError"] is True
    assert "there is no run" in told["content"][0]["text"]


async def test_of_two_subjects_each_has_its_own_tasks_and_the_owner_has_both(tmp_path: Path, issuer: Issuer) -> None:
    async with of_an_issuer(tmp_path, issuer) as served:
        await served.add_tool("slow", waiting(LONG))
        await served.add_tool("form", asking(wait=0.2))
        carol, dave = holder(served, issuer, "carol"), holder(served, issuer, "dave")
        slow = (await call(served, "slow", {"input_value": "x"}, capabilities=BOTH, headers=carol))["taskId"]
        form = (await call(served, "form", {"input_value": "x"}, capabilities=BOTH, headers=carol))["taskId"]
        await task(served, form, until="input_required", capabilities=BOTH)  # as the owner sees it
        for task_id in (slow, form):
            await refused_everything(served, task_id, dave)
        mine = await result(served, "tasks/get", {"taskId": form}, capabilities=BOTH, headers=carol)
        assert (mine["status"], list(mine["inputRequests"])) == ("input_required", ["name"])
        answer = {"taskId": form, "inputResponses": {"name": accept(name="Carol")}}
        await result(served, "tasks/update", answer, capabilities=BOTH, headers=carol)
        done = await task(served, form, until="completed")
        assert done["result"]["content"][0]["text"] == "x (name: Carol)"
        await result(served, "tasks/cancel", {"taskId": slow}, capabilities=BOTH, headers=carol)
        await task(served, slow, until="cancelled")


async def test_a_question_sealed_for_one_subject_is_answered_by_nobody_else(tmp_path: Path, issuer: Issuer) -> None:
    async with of_an_issuer(tmp_path, issuer, answer_after_seconds=30) as served:
        await served.add_tool("form", asking())
        carol, dave = holder(served, issuer, "carol"), holder(served, issuer, "dave")
        asked = await call(served, "form", {"input_value": "x"}, capabilities=ASKS, headers=carol)
        retry: dict[str, Any] = {
            "name": "form",
            "arguments": {"input_value": "x"},
            "requestState": asked["requestState"],
            "inputResponses": {"name": accept(name="Eve")},
        }
        assert (await request(served, "tools/call", dict(retry), capabilities=ASKS, headers=dave))["error"]["code"] == UNKNOWN
        assert (await request(served, "tools/call", dict(retry), capabilities=ASKS))["error"]["code"] == UNKNOWN  # nor by the owner
        mine = await request(served, "tools/call", retry, capabilities=ASKS, headers=carol)
        assert mine["result"]["content"][0]["text"] == "x (name: Eve)"


async def test_runs_are_told_answered_and_stopped_for_the_same_principal_only(tmp_path: Path, issuer: Issuer) -> None:
    async with of_an_issuer(tmp_path, issuer) as served:
        services, owner = served.application.services, served.application.caller
        await served.add_tool("form", asking())
        access = await services.project_access.find(served.application.project_id)
        assert access is not None
        carol, dave = access.token_holder("carol"), access.token_holder("dave")
        run_id = await _asked(served, carol)
        for caller in (dave, access.guest(), access.guest("session")):
            with pytest.raises(NotFound):
                await services.runs.get(caller, run_id)
            with pytest.raises(NotFound):
                await services.runs.outputs(caller, run_id)
            with pytest.raises(NotFound):
                await services.runs.get_with_vertices(caller, run_id)
            with pytest.raises(NotFound):
                await services.invocations.answer(caller, run_id, {"name": Answer("accept", {"name": "Eve"})})
            with pytest.raises(NotFound):
                await services.invocations.cancel(caller, run_id)
            assert await services.runs.list_runs(caller) == []
        with pytest.raises(InvalidInput):
            await services.runs.list_runs(dave, before=run_id)
        for caller in (carol, owner):
            assert [run.id for run in await services.runs.list_runs(caller)] == [run_id]
            assert (await services.runs.get(caller, run_id)).principal == carol.principal
        await services.invocations.cancel(carol, run_id)
        assert (await services.runs.get(owner, run_id)).state is RunState.CANCELLED


async def _asked(served: Served, caller: Caller) -> str:
    """The id of a run of the tool `form` that waits for a person."""
    services = served.application.services
    tool, invocation = await services.tools.prepare_call(caller, served.application.project_id, "form", {"input_value": "x"})
    handle = await services.invocations.open(caller, tool.prepared, invocation)
    found = await handle.wait()
    assert found is not None
    assert found.questions
    return found.run_id


async def test_a_run_of_a_guest_belongs_to_its_mcp_session(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        await set_mode(served, {"auth_type": "none"})
        await served.add_tool("form", asking())
        services, owner = served.application.services, served.application.caller
        access = await services.project_access.find(served.application.project_id)
        assert access is not None
        first, second, without = access.guest("session-1"), access.guest("session-2"), access.guest()
        of_first, of_none = await _asked(served, first), await _asked(served, without)
        for caller, run_id in ((second, of_first), (without, of_first), (first, of_none)):
            with pytest.raises(NotFound):
                await services.runs.get(caller, run_id)
            with pytest.raises(NotFound):
                await services.invocations.answer(caller, run_id, {"name": Answer("accept", {"name": "Eve"})})
            with pytest.raises(NotFound):
                await services.invocations.cancel(caller, run_id)
        assert {run.id for run in await services.runs.list_runs(owner)} == {of_first, of_none}
        for caller in (first, second, without):
            assert await services.runs.list_runs(caller) == []  # a list would give the ids away
        for caller, run_id in ((first, of_first), (without, of_none)):
            assert (await services.runs.get(caller, run_id)).state is RunState.WAITING
            await services.invocations.cancel(caller, run_id)


async def test_get_run_in_another_guests_session_knows_nothing(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        await set_mode(served, {"auth_type": "none"})
        await served.add_tool("slow", waiting(LONG))
        address = served.project_address()
        mine, theirs = await served.open_session(key=""), await served.open_session(key="")

        async def ask(headers: dict[str, str], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
            return dict(message_of((await served.http.post(address, json=body, headers=headers)).text)["result"])

        run_id = (await ask(mine, "slow", {"input_value": "x"}))["_meta"]["headwater/run-id"]
        again = (await ask(mine, "get_run", {"run_id": run_id}))["content"][0]["text"]
        assert "Still running" in again
        assert "/api/v1/" not in again  # a guest may not use it
        told = await ask(theirs, "get_run", {"run_id": run_id})
        assert told["isError"] is True
        assert "there is no run" in told["content"][0]["text"]
        modern = await call(served, "get_run", {"run_id": run_id}, headers={"x-api-key": ""})
        assert modern["isError"] is True


async def test_a_search_of_earlier_messages_stays_with_whoever_said_them(tmp_path: Path, issuer: Issuer) -> None:
    async with of_an_issuer(tmp_path, issuer, answer_after_seconds=30) as served:
        services, owner = served.application.services, served.application.caller
        memory = node(
            "MemoryBase",
            "Memory-1",
            {"search_query": "", "filter_by_session": False, "memory_base": ""},
            outputs=("retrieve_data",),
        )
        edges = [edge("ChatInput-in", "Memory-1", "search_query"), edge("Memory-1", "ChatOutput-out", "input_value")]
        await served.add_tool("remember", document([chat_input(), memory, chat_output()], edges))
        access = await services.project_access.find(served.application.project_id)
        assert access is not None

        async def said(access_of: ProjectAccess, subject: str | None, text: str) -> str:
            caller = owner if subject is None else access_of.token_holder(subject)
            found = await services.tools.call_tool(caller, served.application.project_id, "remember", {"input_value": text})
            return str(found.outputs[-1].outputs)

        await said(access, "carol", "the harbour of carol")
        await said(access, "carol2", "the harbour of carol2")
        await said(access, None, "the harbour of the owner")
        by_carol = await said(access, "carol", "harbour")
        assert "harbour of carol" in by_carol
        assert "carol2" not in by_carol
        assert "the owner" not in by_carol
        by_owner = await said(access, None, "harbour")
        assert all(name in by_owner for name in ("the owner", "carol2"))
