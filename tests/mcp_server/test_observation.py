"""What can be seen of the process from outside: metrics, log lines with their ids, traces."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from mcp_server.log_buffer import LogBuffer
from mcp_server.metrics import MAX_SERIES, Counter, Histogram
from mcp_server.request_identity import request_id
from mcp_server.telemetry import CHATTY, configure_logging, plain_line
from mcp_server.tracing import RunTraces, load_tracing
from projects.errors import PackageMissing
from projects.runs.observers import current_run
from tests import flow_documents as flows
from tests.application import ADDRESS, Application, open_application
from tests.rest_adapter.test_build import failing

KEY = "sk-" + "a" * 43


async def made(application: Application, document: Any = None) -> str:
    answer = await application.http.post("/api/v1/flows/", json={"name": "f", "data": document or flows.echo()})
    return str(answer.json()["id"])


async def run(application: Application, flow_id: str, **options: Any) -> httpx.Response:
    return await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "hello"}, **options)


# --- metrics


def from_afar(application: Application, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=application.app, client=("203.0.113.5", 4_000))
    return httpx.AsyncClient(transport=transport, base_url=ADDRESS, headers=headers)


def series(text: str) -> dict[str, float]:
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))}


async def test_metrics_count_requests_runs_and_components(application: Application) -> None:
    good, bad = await made(application), await made(application, failing())
    assert (await run(application, good)).status_code == 200
    assert (await run(application, bad)).status_code == 500
    async with application.mcp_client() as client:
        await client.list_tools()
    answer = await application.nobody.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = series(answer.text)
    assert values['headwater_runs_total{kind="call",state="completed"}'] == 1
    assert values['headwater_runs_total{kind="call",state="failed"}'] == 1
    assert values['headwater_components_total{type="ChatInput",outcome="ok"}'] == 2
    assert values['headwater_components_total{type="HeadwaterTestFail",outcome="error"}'] == 1
    assert values['headwater_run_seconds_count{kind="call"}'] == 2 == values['headwater_run_seconds_bucket{kind="call",le="+Inf"}']
    assert values['headwater_http_requests_total{face="rest",method="POST",status="500"}'] == 1
    assert any(name.startswith('headwater_http_requests_total{face="mcp"') for name in values)
    assert values["headwater_runs_running"] == 0 and values["process_resident_memory_bytes"] > 1_000_000
    assert "hello" not in answer.text and good not in answer.text


async def test_metrics_are_for_superusers_and_this_machine(application: Application, tmp_path: Path) -> None:
    assert (await application.stranger.get("/metrics")).status_code == 200
    async with from_afar(application) as far:
        assert (await far.get("/metrics")).status_code == 403
    async with from_afar(application, authorization=f"Bearer {application.key}") as superuser:
        assert (await superuser.get("/metrics")).status_code == 200
    async with from_afar(application, **{"x-api-key": application.stranger.headers["x-api-key"]}) as user:
        assert (await user.get("/metrics")).status_code == 403
    assert (await application.nobody.get("/metrics", headers={"x-forwarded-for": "203.0.113.5"})).status_code == 403


@pytest.mark.parametrize(
    ("settings", "status"),
    [({"metrics": "off"}, 404), ({"metrics": "public"}, 200), ({"public_url": "https://flows.example.org"}, 403)],
)
async def test_the_operator_says_who_reads_the_metrics(tmp_path: Path, settings: Any, status: int) -> None:
    async with open_application(tmp_path / "data", **settings) as application:
        assert (await application.nobody.get("/metrics")).status_code == status


def test_a_metric_has_only_so_many_series() -> None:
    counter, histogram = Counter("c", "", "name"), Histogram("h", "", "name")
    for number in range(MAX_SERIES + 10):
        counter.add((f"n{number}",))
        histogram.observe((f"n{number}",), 0.02)
    assert 'c{name="other"} 10' in list(counter.samples())
    assert 'h_count{name="other"} 10' in list(histogram.samples())


def test_labels_are_escaped_and_buckets_add_up() -> None:
    counter, histogram = Counter("c", "", "name"), Histogram("h", "")
    counter.add(('a"b\\c\nd',))
    assert list(counter.samples()) == ['c{name="a\\"b\\\\c\\nd"} 1']
    for seconds in (0.001, 0.02, 1_000):
        histogram.observe((), seconds)
    lines = list(histogram.samples())
    assert lines[0] == 'h_bucket{le="0.005"} 1' and 'h_bucket{le="300"} 2' in lines
    assert lines[-3:] == ['h_bucket{le="+Inf"} 3', "h_sum 1000.021000", "h_count 3"]


# --- log lines


@pytest.fixture
def own_logger() -> Iterator[logging.Logger]:
    """What else is said at `info`, by the tests' own client for one, is not among the lines."""
    root, client = logging.getLogger(), logging.getLogger("httpx")
    handlers, level, client_level = list(root.handlers), root.level, client.level
    root.setLevel(logging.INFO)
    client.setLevel(logging.WARNING)
    yield logging.getLogger("observed")
    root.handlers[:] = handlers
    root.setLevel(level)
    client.setLevel(client_level)


def test_a_log_line_names_its_request_and_run(own_logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    levels = {name: logging.getLogger(name).level for name in (*CHATTY, "uvicorn.access")}
    configure_logging("info", "json")
    request, inside = request_id.set("req-12345678"), current_run.set("run-1")
    try:
        own_logger.info("said %s", KEY)
    finally:
        request_id.reset(request)
        current_run.reset(inside)
    own_logger.info("outside")
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["request_id"], first["run_id"]) == ("req-12345678", "run-1") and KEY not in first["message"]
    assert "request_id" not in second and "run_id" not in second


class Noting(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(plain_line(record))


@contextmanager
def noted(logger: str) -> Iterator[list[str]]:
    handler, observed = Noting(), logging.getLogger(logger)
    level = observed.level
    observed.addHandler(handler)
    observed.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        observed.removeHandler(handler)
        observed.setLevel(level)


async def test_what_components_log_in_a_run_names_run_and_request_over_both_faces(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    from projects.components.input_output import chat_output

    original = chat_output.ChatOutput.before_outputs

    async def talkative(self: Any) -> None:
        logging.getLogger("observed").info("here")
        await original(self)

    monkeypatch.setattr(chat_output.ChatOutput, "before_outputs", talkative)
    flow_id = await made(application)
    with noted("observed") as lines:
        answer = await run(application, flow_id, headers={"x-request-id": "req-12345678"})
        await application.http.patch(f"/api/v1/flows/{flow_id}", json={"mcp_enabled": True, "action_name": "echo"})
        async with application.mcp_client() as client:
            await client.call_tool("echo", {"input_value": "x"})
    assert lines[0].endswith(f"[request_id=req-12345678 run_id={answer.headers['x-headwater-run-id']}]")
    assert "request_id=" in lines[1] and "run_id=" in lines[1] and lines[1] != lines[0]


# --- the log over REST


@pytest.fixture
async def logged(tmp_path: Path, own_logger: logging.Logger) -> AsyncIterator[Application]:
    async with open_application(tmp_path / "data", log_buffer_lines=5) as application:
        yield application


async def test_superusers_read_the_newest_log_lines(logged: Application) -> None:
    logger = logging.getLogger("observed")
    for number in range(8):
        logger.info("line %d of %s", number, KEY)
    lines = (await logged.http.get("/logs")).json()
    texts = [text for text in lines.values() if "observed" in text]
    assert len(lines) == 5 and texts[-1].startswith("INFO    observed: line 7 of sk-[redacted]")
    moments = [int(moment) for moment in lines]
    assert moments == sorted(set(moments))
    assert list((await logged.http.get("/logs", params={"lines_before": 2})).json()) == list(lines)[-2:]
    third = list(lines)[2]
    before = await logged.http.get("/logs", params={"timestamp": third})
    assert list(before.json()) == list(lines)[:2]
    after = await logged.http.get("/logs", params={"timestamp": third, "lines_after": 2})
    assert list(after.json()) == list(lines)[2:4]
    late = await logged.http.get("/logs", params={"timestamp": moments[-1] + 10_000, "lines_before": 1})
    assert list(late.json()) == list(lines)[-1:]


@pytest.mark.parametrize("path", ["/logs", "/logs-stream"])
async def test_the_log_is_for_superusers_alone(logged: Application, path: str) -> None:
    for client in (logged.nobody, logged.stranger):
        answer = await client.get(path)
        assert (answer.status_code, list(answer.json())) == (403, ["detail"])


@pytest.mark.parametrize("path", ["/logs", "/logs-stream"])
async def test_without_the_setting_there_is_no_log_to_read(application: Application, path: str) -> None:
    answer = await application.http.get(path)
    assert (answer.status_code, list(answer.json())) == (501, ["detail"])
    assert (await application.stranger.get(path)).status_code == 403


@pytest.mark.parametrize(
    ("query", "status"),
    [("lines_before=1&lines_after=1", 400), ("lines_after=1", 400), ("lines_before=-1", 422), ("timestamp=x", 422)],
)
async def test_a_question_to_the_log_that_means_nothing_is_refused(logged: Application, query: str, status: int) -> None:
    assert (await logged.http.get(f"/logs?{query}")).status_code == status


async def test_log_lines_wait_for_those_who_follow(own_logger: logging.Logger) -> None:
    buffer = LogBuffer(3)
    with buffer.listening():
        own_logger.info("before")
        moment = buffer.lines()[-1][0]
        assert await buffer.next_after(moment, 0) == ()
        following = asyncio.ensure_future(buffer.next_after(moment, 60))
        await asyncio.sleep(0)
        await asyncio.to_thread(own_logger.info, "from a thread\nwith two lines")
        found = await following
        assert [text for _, text in found] == ["INFO    observed: from a thread\\nwith two lines"]
    own_logger.info("after")
    assert len(buffer.lines()) == 2


async def test_the_log_is_followed_as_bare_json_objects(logged: Application) -> None:
    body: list[bytes] = []
    first = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not asked:
            asked.append(True)
            return {"type": "http.request", "body": b"", "more_body": False}
        await first.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            started.set()
        elif message["body"]:
            body.append(message["body"])
            first.set()

    asked: list[bool] = []
    started = asyncio.Event()
    headers = [(b"host", b"127.0.0.1:7860"), (b"x-api-key", logged.key.encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": "/logs-stream",
        "raw_path": b"/logs-stream", "query_string": b"", "root_path": "", "headers": headers, "scheme": "http",
        "server": ("127.0.0.1", 7860), "client": ("127.0.0.1", 5),
    }  # fmt: skip
    serving = asyncio.ensure_future(logged.app(scope, receive, send))
    await started.wait()
    logging.getLogger("observed").info("followed")
    await serving
    frame = b"".join(body)
    (text,) = json.loads(frame).values()
    assert frame.endswith(b"\n\n") and text.startswith("INFO    observed: followed")


# --- traces


class Span:
    """A span that is kept instead of sent."""

    def __init__(self, name: str, parent: Any, **options: Any) -> None:
        from opentelemetry import trace

        self.name = name
        self.parent: Any = trace.get_current_span(parent)
        self.options = options
        self.attributes: dict[str, Any] = {}
        self.status: Any = None
        self.ended = 0

    def set_attributes(self, attributes: dict[str, Any]) -> None:
        self.attributes.update(attributes)

    def set_attribute(self, name: str, value: Any) -> None:
        self.attributes[name] = value

    def set_status(self, status: Any, description: str = "") -> None:
        self.status = (status.name, description)

    def end(self, end_time: int | None = None) -> None:
        self.ended += 1


class Tracer:
    def __init__(self) -> None:
        self.spans: list[Span] = []

    def start_span(self, name: str, context: Any = None, **options: Any) -> Any:
        from opentelemetry import trace

        span = Span(name, context, **options)
        # The API recognises spans by their class.
        kept = type("Kept", (Span, trace.NonRecordingSpan), {"__init__": lambda self: None})()
        kept.__dict__ = span.__dict__
        trace.NonRecordingSpan.__init__(kept, trace.INVALID_SPAN_CONTEXT)
        self.spans.append(kept)
        return kept


async def test_a_run_is_traced_with_its_components_under_its_callers_trace(application: Application) -> None:
    tracer = Tracer()
    flow_id = await made(application, failing())
    with application.services.observers.watching(RunTraces(tracer)):  # type: ignore[arg-type]
        await run(application, flow_id, headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    run_span, *inner = tracer.spans
    assert format(run_span.parent.get_span_context().trace_id, "032x") == "0af7651916cd43dd8448eb211c80319c"
    assert (run_span.name, run_span.attributes["headwater.run.state"], run_span.status) == ("run f", "failed", ("ERROR", "failed"))
    assert [span.name for span in inner] == ["component Chat Input", "component Fail"]
    assert all(span.parent is run_span and span.ended == 1 for span in inner) and run_span.ended == 1
    assert inner[1].status == ("ERROR", "no luck")
    assert "hello" not in repr([span.attributes for span in tracer.spans])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_call_of_a_tool_says_its_trace_in_the_message_itself(application: Application, mode: str) -> None:
    tracer = Tracer()
    await application.http.post("/api/v1/flows/", json={"name": "echo", "data": flows.echo(), "mcp_enabled": True})
    told = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with application.services.observers.watching(RunTraces(tracer)):  # type: ignore[arg-type]
        async with application.mcp_client(mode=mode) as client:
            await client.call_tool("echo", {"input_value": "hello"}, meta={"traceparent": told})  # type: ignore[arg-type]
            await client.call_tool("echo", {"input_value": "hello"}, meta={"traceparent": "no trace"})  # type: ignore[arg-type]
    first, second = (span for span in tracer.spans if span.name.startswith("run "))
    assert format(first.parent.get_span_context().trace_id, "032x") == told.split("-")[1]
    assert second.parent.get_span_context().trace_id == 0


async def test_a_flow_that_a_flow_runs_is_a_span_inside_it(application: Application) -> None:
    tracer = Tracer()
    await application.http.post("/api/v1/flows/", json={"name": "inner", "data": flows.echo()})
    flow_id = await made(application, flows.running("inner"))
    with application.services.observers.watching(RunTraces(tracer)):  # type: ignore[arg-type]
        assert (await run(application, flow_id)).status_code == 200
    spans = {span.name: span for span in tracer.spans}
    assert spans["run inner"].parent is spans["run f"] and not spans["run f"].parent.get_span_context().is_valid


def test_traces_are_only_sent_where_the_operator_said_and_want_their_package() -> None:
    assert load_tracing(None, version="1") is None
    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: F401
    except ImportError:
        with pytest.raises(PackageMissing, match="headwater\\[otel\\]"):
            load_tracing("http://127.0.0.1:4318", version="1")
    else:
        tracing = load_tracing("http://127.0.0.1:4318", version="1")
        assert tracing is not None
        tracing.close()


async def test_an_observer_that_fails_costs_nobody_a_run(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("broken")

    with application.services.observers.watching(Broken()):
        assert (await run(application, await made(application))).status_code == 200
    assert "An observer failed" in caplog.text
