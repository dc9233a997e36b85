"""API Request: one HTTP call, from fields or from a curl command; the answer as a record."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from pydantic_core import from_json, to_json

from projects.components.conversion import plain_text, texts_of
from projects.components.data_source import curl_command
from projects.components.web_calls import guarded_call, header_pairs, page_text, with_scheme
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Message, Table, jsonable

if TYPE_CHECKING:
    import httpx

MAX_ADDRESSES = 100  # of an older node, which calls several
METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
_ALL_METHODS = frozenset((*METHODS, "HEAD", "OPTIONS"))
_WITHOUT_BODY = frozenset(("GET", "HEAD", "OPTIONS"))
_SECRET_HEADERS = re.compile(r"auth|cookie|key|token|secret|password", re.IGNORECASE)
_FILE_NAME = re.compile(r"[^\w.-]+")


@dataclass(slots=True)
class _Request:
    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    query: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    form: list[tuple[str, str]] = field(default_factory=list)
    follow_redirects: bool = True


class APIRequest(Component):
    """The record holds `source`, `status_code`, `response_headers` and `result`; when nothing came, `error` instead of a result.

    Statuses of 400 and more are answers like others. Addresses that are not public raise AddressRefused.
    """

    type = "APIRequest"
    display_name = "API Request"
    description = "Calls an address on the web and gives its answer."
    category = "data_source"
    icon = "Globe"
    aliases = ("APIRequestComponent", "API Request")
    reads_world = True
    writes_world = True
    only_reads_with: ClassVar[Mapping[str, Collection[Any]]] = {"mode": ("URL",), "method": ("GET",), "save_to_file": (False,)}
    declared_inputs = (
        Input("mode", InputKind.STRING, "Mode", "Fields, or a curl command.", default="URL", options=("URL", "cURL"), field_type="tab"),
        Input("url_input", display_name="URL", info="The address to call.", tool_mode=True),
        Input("curl_input", display_name="cURL", info="A curl command.", tool_mode=True, show=False, multiline=True),
        Input("method", InputKind.STRING, "Method", "The HTTP method.", default="GET", options=METHODS),
        Input("query_params", InputKind.DATA, "Query Parameters", "Added to the address.", advanced=True, field_type="other"),
        Input("body", InputKind.ANY, "Body", "Sent as a JSON object.", advanced=True, field_type="table"),
        Input("headers", InputKind.ANY, "Headers", "Sent with the request.", advanced=True, field_type="table"),
        Input("timeout", InputKind.INTEGER, "Timeout", "Seconds for the whole call.", default=30, advanced=True, field_type="int"),
        Input("follow_redirects", InputKind.BOOLEAN, "Follow Redirects", default=True, advanced=True, field_type="bool"),
        Input("save_to_file", InputKind.BOOLEAN, "Save to File", "Keep the body as a file of the run.", default=False, advanced=True),
        Input(
            "include_httpx_metadata",
            InputKind.BOOLEAN,
            "Include HTTPx Metadata",
            "Add the headers that were sent.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
        # Of exports before 1.5. What they have as curl stands in their other fields too: their editor filled them from it.
        Input("urls", display_name="URLs", info="Older form of the URL: each is called.", default=[], show=False, is_list=True),
        Input("curl", display_name="cURL", info="Has no effect; older editors kept it.", show=False),
        Input("use_curl", InputKind.BOOLEAN, "Use cURL", "Has no effect.", default=False, show=False, field_type="bool"),
    )
    declared_outputs = (Output("data", "make_api_request", ("Data", "JSON"), "API Response"),)

    @classmethod
    def method_for(cls, output: str) -> str:
        return "as_dataframe" if output == "dataframe" else ""

    async def make_api_request(self) -> Data | list[Data]:
        """The answer; several of an older node that names several addresses, in their order."""
        records = [await self._answer(request) for request in self._requests()]
        return records[0] if len(records) == 1 else records

    async def as_dataframe(self) -> Table:
        answers = await self.make_api_request()
        return Table(rows=[answer.data for answer in (answers if isinstance(answers, list) else [answers])])

    async def _answer(self, request: _Request) -> Data:
        import httpx

        timeout = self.inputs.get("timeout") or 30
        source: dict[str, Any] = {"source": request.url}
        if self.inputs.get("include_httpx_metadata"):
            source["headers"] = {name: "***" if _SECRET_HEADERS.search(name) else value for name, value in request.headers.items()}
        async with (
            guarded_call(self, request.url),
            self.context.http_client(timeout_seconds=timeout, follow_redirects=request.follow_redirects) as client,
        ):
            try:
                response = await client.request(
                    request.method,
                    _with_query(request.url, request.query),
                    headers=request.headers,
                    content=request.body,
                    files=[(name, (None, value)) for name, value in request.form] or None,
                )
            except httpx.TimeoutException:
                # Flows of this component look at `error`; a failed call is an answer for them.
                return Data(data={**source, "status_code": 408, "error": f"No answer came within {timeout} seconds."})
            except (httpx.NetworkError, httpx.ProtocolError) as error:
                return Data(data={**source, "status_code": 500, "error": f"The call failed: {error or type(error).__name__}"})
        return Data(data=await self._record(source, response))

    def _requests(self) -> list[_Request]:
        if self.inputs.get("mode") == "cURL":
            return [self._from_curl(plain_text(self.inputs.get("curl_input")))]
        addresses = [plain_text(self.inputs.get("url_input")).strip()]
        if not addresses[0]:
            addresses = [address for text in texts_of(self.inputs.get("urls")) if (address := text.strip())]
        if not addresses:
            raise ComponentError("There is no address to call: set the URL.")
        if len(addresses) > MAX_ADDRESSES:
            raise ComponentError(f"{len(addresses)} addresses are too many; at most {MAX_ADDRESSES} are called.")
        return [self._request(address) for address in addresses]

    def _request(self, url: str) -> _Request:
        method = plain_text(self.inputs.get("method") or "GET").upper()
        if method not in _ALL_METHODS:
            raise ComponentError(f"{method!r} is no method to call with; one of {', '.join(METHODS)} is.")
        request = _Request(
            method=method,
            url=with_scheme(url),
            headers=header_pairs(self.inputs.get("headers")),
            query=_query(self.inputs.get("query_params")),
            follow_redirects=bool(self.inputs.get("follow_redirects")),
        )
        body = None if method in _WITHOUT_BODY else _body(self.inputs.get("body"))
        if body is not None:
            request.body = to_json(jsonable(body))
            if all(name.lower() != "content-type" for name in request.headers):
                request.headers["Content-Type"] = "application/json"
        return request

    def _from_curl(self, command: str) -> _Request:
        if not command.strip():
            raise ComponentError("There is no curl command: fill in cURL.")
        read = curl_command.parse(command)
        if read.method not in _ALL_METHODS:
            raise ComponentError(f"{read.method!r} is no method to call with; one of {', '.join(METHODS)} is.")
        return _Request(
            method=read.method,
            url=with_scheme(read.url),
            headers=header_pairs(read.headers),
            query=[pair for part in read.query for pair in parse_qsl(part, keep_blank_values=True)],
            body=None if read.body is None else read.body.encode(),
            form=read.form,
            follow_redirects=read.follow_redirects or bool(self.inputs.get("follow_redirects")),
        )

    async def _record(self, source: dict[str, Any], response: httpx.Response) -> dict[str, Any]:
        record = {**source, "status_code": response.status_code, "response_headers": dict(response.headers)}
        if response.history:
            record["redirection_history"] = [{"url": str(hop.url), "status_code": hop.status_code} for hop in response.history]
        if self.inputs.get("save_to_file"):
            record["file_path"] = await self.context.files.save(_file_name(response), response.content)
        else:
            record["result"] = _result(response)
        return record


def _with_query(url: str, query: list[tuple[str, str]]) -> str:
    if not query:
        return url
    address, _, fragment = url.partition("#")
    sign = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return address + sign + urlencode(query) + (f"#{fragment}" if fragment else "")


def _query(value: Any) -> list[tuple[str, str]]:
    """Pairs from a record, an object, or a text such as a=1&b=2. A list gives a pair for each item."""
    match value:
        case None | "":
            return []
        case Data():
            return _query(value.data)
        case Message():
            return _query(value.text)
        case str():
            text = value.strip().removeprefix("?")
            if text.startswith("{"):
                try:
                    return _query(from_json(text))
                except ValueError:
                    raise ComponentError("The query parameters are no JSON object.") from None
            return parse_qsl(text, keep_blank_values=True)
        case Mapping():
            return [
                (str(name), _shown(item))
                for name, given in value.items()
                for item in (given if isinstance(given, list) else [given])
                if item is not None
            ]
        case list() | tuple():
            return [pair for item in value for pair in _query({item["key"]: item.get("value")} if _is_pair(item) else item)]
        case _:
            raise ComponentError("Query parameters are an object, a record, or text such as a=1&b=2.")


def _body(value: Any) -> Any:
    """The JSON value to send; None for nothing. Rows of an editor's key/value table become one object."""
    match value:
        case None | "" | []:
            return None
        case Data():
            return _body(value.data)
        case Message():
            return _body(value.text)
        case Table():
            return _body(value.rows)
        case str():
            return _parsed(value)
        case list() if all(_is_pair(item) for item in value):
            return {str(item["key"]): _parsed(item.get("value")) for item in value if item["key"] not in (None, "")} or None
        case _:
            return value or None if isinstance(value, Mapping) else value


def _is_pair(item: Any) -> bool:
    return isinstance(item, Mapping) and "key" in item and set(item) <= {"key", "value"}


def _parsed(value: Any) -> Any:
    """A text that is JSON as what it says: editors only know texts."""
    if isinstance(value, Message):
        value = value.text
    if not isinstance(value, str):
        return value
    try:
        return from_json(value)
    except ValueError:
        return value


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else plain_text(value)


def _result(response: httpx.Response) -> Any:
    """JSON as its value, text as text, anything else as a word about it."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not response.content:
        return ""
    if kind.startswith(("image/", "audio/", "video/", "font/")) or kind in (
        "application/octet-stream",
        "application/pdf",
        "application/zip",
    ):
        return f"{len(response.content)} bytes of {kind}. Switch on Save to File to keep them."
    try:
        return from_json(response.content)
    except ValueError:
        return page_text(response, detect=False)


def _file_name(response: httpx.Response) -> str:
    """From the address, with an ending that fits the content."""
    name = _FILE_NAME.sub("_", unquote(urlsplit(str(response.url)).path.rpartition("/")[2])).strip("._")[-100:] or "response"
    if "." in name:
        return name
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return name + _ENDINGS.get(kind, ".txt" if kind.startswith("text/") else ".bin")


_ENDINGS = {
    "application/json": ".json",
    "text/html": ".html",
    "text/csv": ".csv",
    "text/plain": ".txt",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/pdf": ".pdf",
    "image/png": ".png",
    "image/jpeg": ".jpg",
}
