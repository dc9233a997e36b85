"""The server's side: messages as HTTP requests, answers as messages, and what went wrong in words for a person."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from mcp_server.authority import is_loopback
from mcp_server.bridge.messages import EventReader, Message

KEY_VARIABLE = "HEADWATER_API_KEY"
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 300.0  # a stream has a sign of life every few seconds
DETAIL_CHARACTERS = 500


class Problem(Exception):
    """Anything that keeps a message from its answer; `message` is for a person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotReached(Problem):
    """No connection could be made: the server has not seen the message."""


class Broken(Problem):
    """The connection ended before the answer: what the server did is not known."""


class Refused(Problem):
    """The server answered, but not in the protocol."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Received:
    text: bytes  # in one line
    message: Message


class Answer:
    """What came back for one message: one message, a stream of them, or nothing."""

    def __init__(self, response: httpx2.Response, url: str) -> None:
        self._response = response
        self._url = url
        self.session_id: str | None = response.headers.get("mcp-session-id")

    async def messages(self) -> AsyncIterator[Received]:
        if self._response.status_code in (202, 204):
            return
        kind = self._response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            reader = EventReader()
            async for piece in self._response.aiter_bytes():
                for event in reader.feed(piece):
                    if event:  # a first event may only carry its id
                        yield self._received(event)
            return
        body = await self._response.aread()
        if kind != "application/json":
            raise Refused(
                f"{self._url} answers with {kind or 'something unnamed'}, not with MCP: is this the address of a project?",
                self._response.status_code,
            )
        yield self._received(body)

    def _received(self, text: bytes) -> Received:
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise Refused(f"{self._url} sent something that is no JSON-RPC message.", self._response.status_code)
        return Received(text.replace(b"\r", b" ").replace(b"\n", b" "), message)


class Remote:
    """One address with one key. Redirects are not followed: the key is for this address alone."""

    def __init__(self, url: str, key: str | None, http: httpx2.AsyncClient) -> None:
        self.url = url
        self._http = http
        self._key = key

    @asynccontextmanager
    async def post(self, message: Message, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
        """Raises NotReached, Broken or Refused, also while the answer is read."""
        content = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        sent = {"content-type": "application/json", "accept": "application/json, text/event-stream", **headers}
        async with self._exchange("POST", sent, content, request_id=message.get("id")) as answer:
            yield answer

    @asynccontextmanager
    async def get(self, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
        async with self._exchange("GET", {"accept": "text/event-stream", **headers}) as answer:
            yield answer

    async def delete(self, headers: Mapping[str, str]) -> None:
        async with self._exchange("DELETE", headers):
            pass

    @asynccontextmanager
    async def _exchange(
        self, method: str, headers: Mapping[str, str], content: bytes | None = None, *, request_id: object = None
    ) -> AsyncIterator[Answer]:
        given = {**headers, **({"x-api-key": self._key} if self._key else {})}
        try:
            async with self._http.stream(method, self.url, headers=given, content=content) as response:
                if not response.is_success:
                    body = await response.aread()
                    if not is_answer(body, request_id):
                        raise Refused(self._explained(response, body), response.status_code)
                yield Answer(response, self.url)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise NotReached(self._unreachable(error)) from error
        except httpx2.RequestError as error:
            raise Broken(f"The connection to {self.url} broke ({str(error) or type(error).__name__}).") from error

    def _unreachable(self, error: Exception) -> str:
        reason = "it took too long" if isinstance(error, httpx2.ConnectTimeout) else str(error) or type(error).__name__
        host = urlsplit(self.url).hostname or ""
        advice = (
            "Start it with `headwater serve`; if it runs in a container or on another machine, its loopback is not yours: use its public "
            "address."
            if is_loopback(host)
            else "Check the address, and that the server runs there and listens for others."
        )
        return f"Headwater cannot be reached at {self.url}: {reason}. {advice}"

    def _explained(self, response: httpx2.Response, body: bytes) -> str:
        status = response.status_code
        detail = detail_of(body)
        match status:
            case 401 if self._key is None:
                return f"{self.url} wants a key: set {KEY_VARIABLE} in the environment that the client starts this command with."
            case 401:
                return (
                    f"{self.url} refuses the key in {KEY_VARIABLE}: it is unknown, expired or revoked. Make another one with "
                    "`headwater key create`, or install again."
                )
            case 404:
                return f"There is no project at {self.url} for this key ({detail}). `headwater projects` lists the addresses."
            case 405:
                return f"{self.url} takes no MCP messages: the address of a project ends with /streamable."
            case 421:
                return f"The server at {self.url} does not know itself by this name ({detail}): see HEADWATER_ALLOWED_HOSTS."
            case _ if 300 <= status < 400:
                return f"{self.url} points to {response.headers.get('location', 'another address')}: connect to the final address."
        return f"{self.url} answers with {status}: {detail}"


def is_answer(body: bytes, request_id: object) -> bool:
    """Whether a body under a status of failure is still the protocol's own answer to this request."""
    try:
        message = json.loads(body)
    except ValueError:
        return False
    return request_id is not None and isinstance(message, dict) and message.get("id") == request_id and "error" in message


def detail_of(body: bytes) -> str:
    """What a body says went wrong, as far as a person can use it."""
    found: Any
    try:
        found = json.loads(body)
    except ValueError:
        return "no reason is given"
    if isinstance(found, dict):
        error = found.get("error")
        found = error.get("message") if isinstance(error, dict) else found.get("detail", error)
    text = found if isinstance(found, str) else json.dumps(found)
    return text if len(text) <= DETAIL_CHARACTERS else text[:DETAIL_CHARACTERS] + "…"


def open_http(url: str, version: str) -> httpx2.AsyncClient:
    """A client for one address. A proxy that the environment names is for the internet, not for this machine."""
    # Without https there is nothing to trust, and reading the world's authorities takes a third of the start.
    trust: ssl.SSLContext | bool = True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx2.AsyncClient(
        verify=trust,
        headers={"user-agent": f"headwater-connect/{version}"},
        timeout=httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS, pool=None),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
        follow_redirects=False,
        trust_env=not is_loopback(urlsplit(url).hostname or ""),
    )
