"""Joins a client on lines with a server on HTTP, in both eras of the protocol, over restarts of the server.

A message waits a while for a server that is away. What only reads is sent again when a connection broke; a call of a tool never is,
because nobody knows whether it ran. Sessions of the older revisions are opened anew with what the client said when it began.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from mcp_server.bridge import messages
from mcp_server.bridge.messages import Kind, Message
from mcp_server.bridge.remote import Broken, NotReached, Problem, Received, Refused, Remote
from mcp_server.bridge.standard_streams import ClientGone

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
LAST_WORDS_SECONDS = 1.0  # for running requests and the goodbye, once the client has closed its side
TRIES_FOR_A_SESSION = 3
AWAY = frozenset({502, 503, 504})  # a proxy whose server is away, or a server that starts


class Bridge:
    def __init__(self, remote: Remote, write: Callable[[bytes], None], tell: Callable[[str], None], *, patience_seconds: float) -> None:
        """`write` takes a line for the client, `tell` a line for the person; a message waits `patience_seconds` for an absent server."""
        self._remote = remote
        self._write = write
        self._tell = tell
        self._patience_seconds = patience_seconds
        self._running: dict[str | int, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[None]] = set()
        self._is_away = False
        # Of the revisions with sessions: what the client began with, and what the server made of it.
        self._initialize: Message | None = None
        self._session: dict[str, str] = {}
        self._session_number = 0
        self._renewing = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None

    async def run(self, lines: AsyncIterator[bytes]) -> None:
        """Until the client closes its side or goes away."""
        try:
            async with asyncio.TaskGroup() as tasks:
                async for line in lines:
                    if line:
                        self._take(line, tasks)
                if self._running:
                    await asyncio.wait(self._running.values(), timeout=LAST_WORDS_SECONDS)
                for task in (*self._running.values(), *self._others):
                    task.cancel()
        except* ClientGone:
            pass
        finally:
            await self._say_goodbye()

    def _take(self, line: bytes, tasks: asyncio.TaskGroup) -> None:
        try:
            kind, message = messages.parse(line)
        except messages.NotAMessage as problem:
            self._send(messages.error_answer(problem.request_id, problem.message, problem.code))
            return
        revision = messages.revision_of(message)
        if kind is Kind.REQUEST:
            request_id = message["id"]
            if request_id in self._running:
                self._send(messages.error_answer(request_id, "A request with this id is running already.", messages.INVALID_REQUEST))
                return
            task = tasks.create_task(self._serve(message, revision, self._opening))
            self._running[request_id] = task
            task.add_done_callback(lambda _: self._running.pop(request_id, None))
            if message["method"] == messages.INITIALIZE and revision is None:
                self._opening = task
            return
        if kind is Kind.NOTIFICATION and message["method"] == messages.CANCELLED:
            task = tasks.create_task(self._cancel(message))
        elif kind is Kind.NOTIFICATION and message["method"] == messages.INITIALIZED:
            task = self._opening = tasks.create_task(self._begin(message, self._opening, tasks))
        else:
            task = tasks.create_task(self._pass_on(message, revision, self._opening))
        self._keep(task)

    async def _serve(self, message: Message, revision: str | None, opening: asyncio.Task[None] | None) -> None:
        """One request to its answer, or to an error that says what went wrong."""
        try:
            if revision is None and opening is not None:
                await asyncio.wait([opening])
            if revision is not None and message["method"] == messages.LISTEN:
                await self._listen(message, revision)
            elif revision is None and message["method"] == messages.INITIALIZE:
                self._initialize = message
                await self._patiently(message, lambda: self._open_session(message))
            else:
                await self._patiently(message, lambda: self._exchange(message, revision))
        except Problem as problem:
            self._tell(problem.message)
            self._send(messages.error_answer(message["id"], problem.message))

    async def _patiently(self, message: Message, attempt: Callable[[], Awaitable[None]]) -> None:
        """Until the attempt succeeds. Tries again while nothing can have happened twice, and not for ever."""
        loop = asyncio.get_running_loop()
        give_up_at: float | None = None
        pauses = growing_pauses()
        is_repeatable = message["method"] in messages.REPEATABLE
        for _ in range(TRIES_FOR_A_SESSION):
            session_number = self._session_number
            while True:
                try:
                    await attempt()
                except Refused as refused:
                    if refused.status == 404 and self._session and message["method"] != messages.INITIALIZE:
                        break  # not this session any more: the message was not read
                    if refused.status not in AWAY or not is_repeatable:
                        raise
                    reason: Problem = refused
                except Broken as broken:
                    if not is_repeatable:
                        raise Broken(
                            f"{broken.message} {messages.title_of(message)} was under way: whether it was finished is not known, and it "
                            "was not sent again. Look at its effect before you repeat it."
                        ) from broken
                    reason = broken
                except NotReached as problem:
                    reason = problem
                else:
                    self._is_there()
                    return
                now = loop.time()
                give_up_at = now + self._patience_seconds if give_up_at is None else give_up_at
                if now >= give_up_at:
                    raise reason
                self._is_gone(reason)
                await asyncio.sleep(next(pauses))
            await self._renew(session_number)
        raise Refused(f"{self._remote.url} forgets every session at once.", 404)

    async def _exchange(self, message: Message, revision: str | None) -> None:
        headers = messages.routing_headers(message, revision) if revision is not None else self._session
        async with self._remote.post(message, headers) as answer:
            async for received in answer.messages():
                self._write(received.text)
                if answers(received, message):
                    return
        raise Broken(f"{self._remote.url} ended the connection without an answer.")

    # Sessions of the older revisions.

    async def _open_session(self, message: Message) -> None:
        """The client's own initialize."""
        async with self._remote.post(message, {}) as answer:
            async for received in answer.messages():
                if answers(received, message) and isinstance(result := received.message.get("result"), dict):
                    self._session = session_headers(result, answer.session_id)
                    self._session_number += 1
                self._write(received.text)
                if answers(received, message):
                    return
        raise Broken(f"{self._remote.url} ended the connection without an answer.")

    async def _open_session_again(self, message: Message) -> Mapping[str, Any]:
        """Ours in the client's words; what the server says of itself. Nobody uses the session before it is whole."""
        async with self._remote.post(message, {}) as answer:
            async for received in answer.messages():
                if not answers(received, message):
                    self._write(received.text)
                elif isinstance(result := received.message.get("result"), dict):
                    session = session_headers(result, answer.session_id)
                    async with self._remote.post({"jsonrpc": "2.0", "method": messages.INITIALIZED}, session):
                        pass
                    self._session = session
                    self._session_number += 1
                    return result
                else:
                    raise Refused(f"{self._remote.url} does not open a session again: {received.message.get('error')}", 400)
        raise Broken(f"{self._remote.url} ended the connection without an answer.")

    async def _begin(self, message: Message, opening: asyncio.Task[None] | None, tasks: asyncio.TaskGroup) -> None:
        """The client is ready: say so, and listen for what the server tells by itself."""
        await self._pass_on(message, None, opening)
        if self._following is None and "mcp-session-id" in self._session:
            self._following = tasks.create_task(self._follow())
            self._keep(self._following)

    async def _renew(self, session_number: int) -> None:
        """A session in place of that one, which the server does not know any more. What it lists may be different by now."""
        async with self._renewing:
            if self._session_number != session_number or self._initialize is None:
                return
            again = {**self._initialize, "id": f"headwater-connect-{session_number}"}
            result: Mapping[str, Any] = {}

            async def attempt() -> None:
                nonlocal result
                result = await self._open_session_again(again)

            await self._patiently(again, attempt)
            self._tell("The server began anew; its session was opened again.")
            announced = result.get("capabilities")
            for name, method in messages.LIST_CHANGES.items():
                capability = announced.get(name) if isinstance(announced, dict) else None
                if isinstance(capability, dict) and capability.get("listChanged"):
                    self._send({"jsonrpc": "2.0", "method": method})

    async def _follow(self) -> None:
        """The session's own stream, for as long as the client is there."""
        pauses = growing_pauses()
        while True:
            session_number = self._session_number
            try:
                async with self._remote.get(self._session) as answer:
                    pauses = growing_pauses()
                    async for received in answer.messages():
                        self._write(received.text)
            except Refused as refused:
                if refused.status == 405:
                    return  # it has none
                if refused.status == 404:
                    with suppress(Problem):
                        await self._renew(session_number)
            except (NotReached, Broken) as problem:
                self._is_gone(problem)
            await asyncio.sleep(next(pauses))

    # The current revision's stream.

    async def _listen(self, message: Message, revision: str) -> None:
        """A subscription outlives the server: it is asked for again, and the client is told that what it follows may have changed."""
        headers = messages.routing_headers(message, revision)
        is_acknowledged = is_done = False
        pauses = growing_pauses()

        async def once() -> bool:
            """Whether the client got its last answer."""
            nonlocal is_acknowledged, pauses
            async with self._remote.post(message, headers) as answer:
                async for received in answer.messages():
                    if answers(received, message):
                        if "error" not in received.message:
                            return False  # the server stops in good order
                        self._write(received.text)
                        return True
                    if received.message.get("method") != messages.ACKNOWLEDGED:
                        self._write(received.text)
                    elif not is_acknowledged:
                        is_acknowledged = True
                        self._write(received.text)
                    else:
                        pauses = growing_pauses()
                        self._is_there()
                        self._tell_followed(message)
            return False

        async def first() -> None:
            nonlocal is_done
            is_done = await once()
            if not is_done and not is_acknowledged:
                raise Broken(f"{self._remote.url} ended the connection without an answer.")

        try:
            await self._patiently(message, first)
        except (NotReached, Broken):
            if not is_acknowledged:
                raise
        while not is_done:
            await asyncio.sleep(next(pauses))
            try:
                is_done = await once()
            except (NotReached, Broken) as problem:
                self._is_gone(problem)
            except Refused as refused:
                if refused.status not in AWAY:
                    raise

    def _tell_followed(self, message: Message) -> None:
        wanted = messages.params_of(message).get("notifications")
        for name, method in messages.FOLLOWED.items():
            if isinstance(wanted, dict) and wanted.get(name):
                self._send({"jsonrpc": "2.0", "method": method, "params": {"_meta": {messages.SUBSCRIPTION_KEY: message["id"]}}})

    # What has no answer.

    async def _cancel(self, message: Message) -> None:
        """Closing the stream cancels a request of the current revision; the older ones have a message for it."""
        request_id = messages.params_of(message).get("requestId")
        task = self._running.get(request_id) if messages.is_id(request_id) else None  # type: ignore[arg-type]
        if self._session:
            await self._pass_on(message, None, None)
        if task is not None:
            task.cancel()

    async def _pass_on(self, message: Message, revision: str | None, opening: asyncio.Task[None] | None) -> None:
        """A notification, or the client's answer to the server. Nobody waits for what becomes of it, so the person is told."""
        if revision is None and opening is not None:
            await asyncio.wait([opening])
        headers = messages.routing_headers(message, revision) if revision is not None else self._session
        try:
            async with self._remote.post(message, headers):
                pass
        except Problem as problem:
            self._tell(f"{message.get('method', 'an answer of the client')} did not reach the server. {problem.message}")

    async def _say_goodbye(self) -> None:
        if "mcp-session-id" in self._session:
            with suppress(Problem, TimeoutError):
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await self._remote.delete(self._session)

    def _send(self, message: Message) -> None:
        self._write(json.dumps(message, separators=(",", ":")).encode())

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    def _is_gone(self, problem: Problem) -> None:
        if not self._is_away:
            self._is_away = True
            self._tell(f"{problem.message} Trying again.")

    def _is_there(self) -> None:
        if self._is_away:
            self._is_away = False
            self._tell("The server answers again.")


def answers(received: Received, request: Message) -> bool:
    return "method" not in received.message and received.message.get("id") == request["id"]


def session_headers(result: Mapping[str, Any], session_id: str | None) -> dict[str, str]:
    headers = {"mcp-protocol-version": str(result.get("protocolVersion", ""))}
    return headers if session_id is None else headers | {"mcp-session-id": session_id}


def growing_pauses() -> Iterator[float]:
    """Seconds between tries."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
