"""API Request: what is sent, what comes back, what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from projects.components.data_source import curl_command
from projects.components.data_source.api_request import APIRequest
from projects.engine.component import ComponentError
from projects.engine.values import Data, Message, Table
from projects.errors import AddressRefused, LimitReached
from tests.fakes import build, output_of
from tests.projects.components.data_source.web import closed_run, loopback_run
from tests.web_server import Answer, Hit, WebServer, redirect, web_server


@pytest.fixture
async def web() -> AsyncIterator[WebServer]:
    async with web_server() as server:
        server.pages["/echo"] = lambda hit: Answer(
            json.dumps({"method": hit.method, "query": hit.query, "body": hit.body.decode()}), content_type="application/json"
        )
        yield server


async def called(web: WebServer, **inputs: Any) -> dict[str, Any]:
    record = await output_of(build(APIRequest, context=loopback_run(), url_input=f"{web.address}/echo", **inputs))
    assert isinstance(record, Data)
    return record.data


async def test_the_record_holds_source_status_headers_and_the_parsed_body(web: WebServer) -> None:
    record = await called(web)
    assert record["source"] == f"{web.address}/echo"
    assert record["status_code"] == 200
    assert record["response_headers"]["content-type"] == "application/json"
    assert record["result"] == {"method": "GET", "query": {}, "body": ""}
    assert set(record) == {"source", "status_code", "response_headers", "result"}


@pytest.mark.parametrize(
    "given",
    [
        {"a": 1, "b": ["x", "y z"], "c": None, "d": True},
        Data({"a": 1, "b": ["x", "y z"], "d": True}),
        "a=1&b=x&b=y+z&d=true",
        Message(text='{"a": 1, "b": ["x", "y z"], "d": true}'),
        [{"key": "a", "value": 1}, {"key": "b", "value": ["x", "y z"]}, {"key": "d", "value": True}],
    ],
)
async def test_query_parameters_come_in_many_shapes(web: WebServer, given: Any) -> None:
    await output_of(build(APIRequest, context=loopback_run(), url_input=f"{web.address}/echo?z=0#part", query_params=given))
    assert web.hits[0].target == "/echo?z=0&a=1&b=x&b=y+z&d=true"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (
            [{"key": "name", "value": "ann"}, {"key": "n", "value": "2"}, {"key": "tags", "value": '["x"]'}],
            {"name": "ann", "n": 2, "tags": ["x"]},
        ),
        ({"name": "ann"}, {"name": "ann"}),
        (Data({"text": "hi"}), {"text": "hi"}),
        (Table([{"a": 1}, {"a": 2}]), [{"a": 1}, {"a": 2}]),
        ('{"a": 1}', {"a": 1}),
        ("plain", "plain"),
    ],
)
async def test_the_body_is_sent_as_json(web: WebServer, given: Any, sent: Any) -> None:
    record = await called(web, method="POST", body=given)
    assert json.loads(record["result"]["body"]) == sent
    assert web.hits[0].headers["content-type"] == "application/json"


async def test_a_get_has_no_body_and_empty_rows_are_none(web: WebServer) -> None:
    await called(web, body=[{"key": "a", "value": "1"}])
    await called(web, method="PUT", body=[])
    assert [hit.body for hit in web.hits] == [b"", b""]


async def test_headers_are_sent_and_secret_ones_are_never_shown(web: WebServer) -> None:
    rows = [{"key": "X-Team", "value": "blue"}, {"key": "Authorization", "value": "Bearer marker"}, {"key": "X-None", "value": None}]
    record = await called(web, headers=rows, include_httpx_metadata=True)
    assert web.hits[0].headers["authorization"] == "Bearer marker"
    assert record["headers"] == {"X-Team": "blue", "Authorization": "***"}
    with pytest.raises(ComponentError, match="cannot have"):
        await called(web, headers=[{"key": "a", "value": "b\r\nc: d"}])


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (Answer("hello", content_type="text/plain"), "hello"),
        (Answer("caf\xe9".encode("latin-1"), content_type="text/plain; charset=latin-1"), "café"),
        (Answer("x", content_type="text/plain; charset=nonsense"), "x"),
        (Answer(b"", status=204), ""),
        (Answer(b"\x89PNG", content_type="image/png"), "4 bytes of image/png. Switch on Save to File to keep them."),
        (Answer('{"error": "no"}', status=404, content_type="application/json"), {"error": "no"}),
    ],
)
async def test_any_answer_becomes_a_record(web: WebServer, answer: Answer, result: Any) -> None:
    web.pages["/echo"] = answer
    record = await called(web)
    assert (record["result"], record["status_code"]) == (result, answer.status)


async def test_a_redirect_is_followed_when_asked_for(web: WebServer) -> None:
    web.pages["/old"] = redirect("/echo")
    for follows, status in ((True, 200), (False, 302)):
        record = (await output_of(build(APIRequest, context=loopback_run(), url_input=f"{web.address}/old", follow_redirects=follows))).data
        assert record["status_code"] == status
        assert ("redirection_history" in record) is follows


async def test_the_body_can_be_kept_as_a_file_of_the_run(web: WebServer) -> None:
    web.pages["/reports/%2e%2e%2fa%20b"] = Answer(b"\x00\x01", content_type="image/png")
    context = loopback_run()
    node = build(APIRequest, context=context, url_input=f"{web.address}/reports/%2e%2e%2fa%20b", save_to_file=True)
    record = (await output_of(node)).data
    assert record["file_path"] == "a_b.png"
    assert context.files.contents == {"a_b.png": b"\x00\x01"}
    assert "result" not in record


async def test_no_answer_in_time_and_no_connection_are_records_with_an_error(web: WebServer) -> None:
    async def silence() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    web.pages["/echo"] = Answer(pieces=silence)
    record = await called(web, timeout=0.1)
    assert record["status_code"] == 408
    assert "0.1 seconds" in record["error"]
    record = (await output_of(build(APIRequest, context=loopback_run(), url_input="http://127.0.0.1:1/"))).data
    assert record["status_code"] == 500
    assert record["error"].startswith("The call failed")


async def test_a_private_address_is_refused_and_names_the_node(web: WebServer) -> None:
    node = build(APIRequest, context=closed_run(), url_input=web.address, vertex_id="APIRequest-abc")
    with pytest.raises(AddressRefused, match=r"API Request \(APIRequest-abc\): .* setting allowed_addresses"):
        await output_of(node)
    web.pages["/out"] = redirect("http://169.254.169.254/latest/meta-data")
    with pytest.raises(AddressRefused, match=r"169\.254\.169\.254"):
        await output_of(build(APIRequest, context=loopback_run(), url_input=f"{web.address}/out"))
    assert [hit.path for hit in web.hits] == ["/out"]


async def test_an_answer_over_the_bound_is_refused(web: WebServer) -> None:
    web.pages["/echo"] = Answer(b"x" * 2_000_000)
    with pytest.raises(LimitReached):
        await called(web)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"url_input": " "}, "no address to call"),
        ({"url_input": "http://[::1"}, "no web address"),
        ({"url_input": "https://1.1.1.1", "method": "TRACE"}, "no method"),
        ({"mode": "cURL", "curl_input": ""}, "no curl command"),
        ({"mode": "cURL", "curl_input": "wget http://x"}, "begins with the word curl"),
    ],
)
async def test_what_cannot_be_called_is_told(inputs: dict[str, Any], reason: str) -> None:
    with pytest.raises(ComponentError, match=reason):
        await output_of(build(APIRequest, context=closed_run(), **inputs))


async def test_a_curl_command_is_called(web: WebServer) -> None:
    command = f"""curl -sSL -X POST '{web.address}/echo?x=1' \\
      -H 'Content-Type: application/json' -u ann:pw \\
      -d '{{"a": "b c"}}'"""
    hit = await curled(web, command)
    assert (hit.method, hit.target, hit.body) == ("POST", "/echo?x=1", b'{"a": "b c"}')
    assert hit.headers["authorization"] == "Basic YW5uOnB3"
    hit = await curled(web, f"curl {web.address}/echo -G -d a=1 --data-urlencode 'b=x y'")
    assert (hit.method, hit.target) == ("GET", "/echo?a=1&b=x+y")
    hit = await curled(web, f"curl {web.address}/echo -F 'name=ann'")
    assert hit.headers["content-type"].startswith("multipart/form-data")
    assert b'name="name"\r\n\r\nann' in hit.body


async def curled(web: WebServer, command: str) -> Hit:
    await output_of(build(APIRequest, context=loopback_run(), mode="cURL", curl_input=command))
    return web.hits[-1]


@pytest.mark.parametrize(
    ("command", "method", "body"),
    [
        ("curl http://x", "GET", None),
        ("curl -I http://x", "HEAD", None),
        ("curl http://x -d a=1 -d b=2", "POST", "a=1&b=2"),
        ("curl http://x --json '{}'", "POST", "{}"),
        ("curl -XDELETE http://x", "DELETE", None),
        ("curl http://x --data-raw @literal", "POST", "@literal"),
        ("curl --url http://x --max-time 3 --compressed", "GET", None),
    ],
)
def test_curl_commands_say_their_method_and_body(command: str, method: str, body: str | None) -> None:
    read = curl_command.parse(command)
    assert (read.url, read.method, read.body) == ("http://x", method, body)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("curl http://x -d @/etc/passwd", "names a file"),
        ("curl http://x --data-binary @f", "names a file"),
        ("curl http://x --data-urlencode a@f", "names a file"),
        ("curl http://x -F f=@/etc/passwd", "names a file"),
        ("curl http://x -F 'f=</etc/passwd'", "names a file"),
        ("curl http://x -o out", "'-o' is not supported"),
        ("curl http://x --proxy http://p", "'--proxy' is not supported"),
        ("curl -K config", "'-K' is not supported"),
        ("curl http://x http://y", "two addresses"),
        ("curl http://x -H", "has no value"),
        ("curl 'http://x", "cannot be read"),
        ("curl -s", "names no address"),
    ],
)
def test_curl_commands_that_are_not_run_say_why(command: str, reason: str) -> None:
    with pytest.raises(ComponentError, match=reason):
        curl_command.parse(command)


async def test_an_older_node_calls_each_of_its_addresses(web: WebServer) -> None:
    context = loopback_run()
    addresses = [f"{web.address}/echo?n=1", " ", f"{web.address}/echo?n=2"]
    answers = await output_of(build(APIRequest, context=context, urls=addresses, curl=f"curl {web.address}/other", use_curl=True))
    assert [answer.data["result"]["query"] for answer in answers] == [{"n": "1"}, {"n": "2"}]
    assert [hit.target for hit in web.hits] == ["/echo?n=1", "/echo?n=2"]
    node = build(APIRequest, context=context, urls=addresses[:1])
    assert isinstance(node, APIRequest)
    assert isinstance(await node.make_api_request(), Data)
    table = await getattr(node, APIRequest.method_for("dataframe"))()
    assert [row["source"] for row in table.rows] == addresses[:1]


async def test_an_address_of_today_wins_over_older_ones_and_their_number_is_bounded(web: WebServer) -> None:
    assert (await called(web, urls=["https://no.test"]))["source"] == f"{web.address}/echo"
    with pytest.raises(ComponentError, match="at most 100"):
        await output_of(build(APIRequest, context=loopback_run(), urls=[f"{web.address}/echo"] * 101))
