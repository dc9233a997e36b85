from datetime import timedelta
from uuid import uuid4

import pytest

from projects.access.caller import Caller
from projects.engine.values import Source
from projects.errors import InvalidInput, NotFound
from projects.messages import MessageService
from storage.database import Database
from tests.owners import MOMENT, add_flow, add_owner, add_rows, message_row


class Conversations:
    """Ada's flow and Bob's flow, and a service that reads their messages."""

    def __init__(self, database: Database, ada: Caller, bob: Caller, flow_id: str, his_flow_id: str) -> None:
        self.database, self.ada, self.bob, self.flow_id, self.his_flow_id = database, ada, bob, flow_id, his_flow_id
        self.service = MessageService(database)
        self.clock = MOMENT

    async def say(self, text: str, **values: object) -> None:
        self.clock += timedelta(seconds=1)
        row = message_row(self.ada, self.flow_id, text, created_at=self.clock)
        for name, value in values.items():
            setattr(row, name, value)
        await add_rows(self.database, row)

    async def history(self, session_id: str = "a session", context_id: str = "", limit: int = 100, **more: str) -> list[str]:
        messages = await self.service.read_history(self.ada.user_id, self.flow_id, session_id, context_id, limit, **more)
        return [message.text for message in messages]


@pytest.fixture
async def here(database: Database) -> Conversations:
    ada, bob = await add_owner(database, "ada"), await add_owner(database, "bob")
    return Conversations(database, ada, bob, await add_flow(database, ada), await add_flow(database, bob))


async def test_history_is_the_last_messages_oldest_first(here: Conversations) -> None:
    for number in range(5):
        await here.say(str(number))
    assert await here.history() == ["0", "1", "2", "3", "4"]
    assert await here.history(limit=2) == ["3", "4"]
    assert await here.history(limit=0) == await here.history(limit=-1) == []
    assert await here.history(limit=10**30) == ["0", "1", "2", "3", "4"]


async def test_history_is_of_one_owner_flow_session_and_context(here: Conversations) -> None:
    other_flow = await add_flow(here.database, here.ada, "Another")
    await here.say("this")
    await here.say("other session", session_id="a session 2")
    await here.say("other context", context_id="c")
    await here.say("other flow", flow_id=other_flow)
    await here.say("other owner", owner_id=here.bob.user_id, flow_id=here.his_flow_id)
    assert await here.history() == ["this"]
    assert await here.history(context_id="c") == ["other context"]
    assert await here.service.read_history(here.bob.user_id, here.flow_id, "a session", "", 100) == []


async def test_an_empty_or_odd_session_never_means_all(here: Conversations) -> None:
    await here.say("secret")
    for session_id in ("", "%", "a_session", "\x00", "\ud800", "' OR 1=1 --"):
        assert await here.history(session_id=session_id) == []
        assert await here.service.list_messages(here.ada, session_id=session_id) == []
        assert await here.service.delete_session(here.ada, session_id) == 0


async def test_history_can_leave_out_the_run_that_reads_it(here: Conversations) -> None:
    this_run = str(uuid4())
    await here.say("earlier", run_id=str(uuid4()))
    await here.say("without a run")
    await here.say("now", run_id=this_run)
    assert await here.history(except_run_id=this_run) == ["earlier", "without a run"]


async def test_a_message_comes_back_as_it_was_kept(here: Conversations) -> None:
    run_id = str(uuid4())
    await here.say(
        "hello",
        sender="Machine",
        sender_name="AI",
        run_id=run_id,
        files='["a/b.png"]',
        properties=(
            '{"source": {"id": "X-1", "display_name": "X", "source": "m"}, "state": "partial", "usage": {"total_tokens": 3}, "icon": "i"}'
        ),
        category="error",
        content_blocks='[{"title": "t"}]',
        is_error=True,
        is_edited=True,
        duration_seconds=0.5,
    )
    (stored,) = await here.service.list_messages(here.ada)
    message = stored.message
    assert stored.id == message.id
    assert stored.properties["icon"] == "i"
    assert (message.text, message.sender, message.sender_name, message.session_id) == ("hello", "Machine", "AI", "a session")
    assert (message.flow_id, message.run_id, message.timestamp) == (here.flow_id, run_id, here.clock)
    assert (message.source, message.state, message.usage) == (Source("X-1", "X", "m"), "partial", {"total_tokens": 3})
    assert (message.files, message.content_blocks, message.category) == (["a/b.png"], [{"title": "t"}], "error")
    assert (message.error, message.edit, message.duration) == (True, True, 0.5)


async def test_a_list_is_the_newest_window_sorted_for_showing(here: Conversations) -> None:
    for text in ("d", "a", "c", "b"):
        await here.say(text)

    async def texts(**options: object) -> str:
        return "".join(stored.message.text for stored in await here.service.list_messages(here.ada, **options))  # type: ignore[arg-type]

    assert await texts() == "dacb"
    assert await texts(limit=2) == "cb"
    assert await texts(limit=2, descending=True) == "bc"
    assert await texts(limit=2, offset=1) == "ac"
    assert await texts(limit=3, order_by="text") == "abc"
    assert await texts(limit=3, order_by="text", descending=True) == "cba"


async def test_a_list_is_filtered_exactly(here: Conversations) -> None:
    await here.say("mine")
    await here.say("answer", sender="Machine", sender_name="AI", session_id="s2")
    for filters, expected in (
        ({"flow_id": here.flow_id}, ["mine", "answer"]),
        ({"flow_id": here.his_flow_id}, []),
        ({"flow_id": "no id"}, []),
        ({"sender": "Machine"}, ["answer"]),
        ({"sender": "machine"}, []),
        ({"sender_name": "A%"}, []),
        ({"session_id": "s2"}, ["answer"]),
    ):
        listed = await here.service.list_messages(here.ada, **filters)  # type: ignore[arg-type]
        assert [stored.message.text for stored in listed] == expected, filters
    assert await here.service.list_messages(here.bob, flow_id=here.flow_id) == []
    assert await here.service.list_messages(here.bob) == []


@pytest.mark.parametrize("options", [{"order_by": "owner_id"}, {"order_by": "text; DROP TABLE messages"}, {"limit": 0}, {"offset": -1}])
async def test_a_list_that_makes_no_sense_is_refused(here: Conversations, options: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        await here.service.list_messages(here.ada, **options)  # type: ignore[arg-type]
    assert refusal.value.problems[0].location == (next(iter(options)),)


async def test_at_most_two_hundred_messages_are_listed(here: Conversations) -> None:
    rows = [message_row(here.ada, here.flow_id, str(number), created_at=MOMENT + timedelta(seconds=number)) for number in range(205)]
    await add_rows(here.database, *rows)
    assert len(await here.service.list_messages(here.ada, limit=None)) == 100
    listed = await here.service.list_messages(here.ada, limit=10_000)
    assert [listed[0].message.text, listed[-1].message.text, len(listed)] == ["5", "204", 200]


async def test_sessions_are_listed_latest_first_without_the_servers_own(here: Conversations) -> None:
    for session_id in ("one", "two", "agentic_x", "one"):
        await here.say("x", session_id=session_id)
    assert await here.service.list_sessions(here.ada) == ["one", "two"]
    assert await here.service.list_sessions(here.ada, flow_id=here.flow_id, limit=1, offset=1) == ["two"]
    assert await here.service.list_sessions(here.bob) == await here.service.list_sessions(here.ada, flow_id="\x00") == []


async def test_deleting_passes_over_what_is_not_the_callers(here: Conversations) -> None:
    for text in ("a", "b"):
        await here.say(text)
    ids = [stored.id for stored in await here.service.list_messages(here.ada)]
    assert await here.service.delete_messages(here.bob, ids) == 0
    assert await here.service.delete_session(here.bob, "a session") == 0
    assert await here.service.delete_messages(here.ada, [ids[0], "no id", str(uuid4())]) == 1
    assert await here.history() == ["b"]
    assert await here.service.delete_session(here.ada, "a session") == 1


async def test_what_was_said_beside_the_runs_is_part_of_the_history_and_a_flow_that_is_gone_has_none(here: Conversations) -> None:
    said = here.service.keep_said
    await said(here.ada.user_id, here.flow_id, "a session", sender="User", sender_name="User", text="Hello\x00 😀\ud83d")
    await said(here.ada.user_id, here.flow_id, "a session", sender="Machine", sender_name="AI", text="Good morning.")
    kept = await here.service.list_messages(here.ada, flow_id=here.flow_id)
    assert [(each.message.sender, each.message.text) for each in kept] == [("User", "Hello 😀?"), ("Machine", "Good morning.")]
    assert await here.history() == ["Hello 😀?", "Good morning."]
    with pytest.raises(NotFound):
        await said(here.ada.user_id, str(uuid4()), "a session", sender="User", sender_name="User", text="Nobody listens.")
