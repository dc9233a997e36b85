"""What Langflow 1.13 was seen to answer where flows run: /run, /responses, /webhook, /build, /monitor, /logs. The words are our own.

Each line is one exchange as it was seen: status, keys, types, the order of a stream's events, the headers that clients read. What the
events hold is in the tests of each route.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.application import Application, open_application
from tests.rest_adapter.test_recorded_shapes import MESSAGE, PAGE, check

NOBODYS = "00000000-0000-4000-8000-000000000000"
RUN = "session_id:text outputs:list"
VERTEX = (
    "results:object artifacts:object outputs:object logs:object messages:list timedelta:null duration:null component_display_name:text "
    "component_id:text used_frozen_result:bool token_usage:object?"
)
RESPONSE = (
    "id:text object:text created_at:count status:text error:object? incomplete_details:object? instructions:text? max_output_tokens:count? "
    "model:text output:list parallel_tool_calls:bool previous_response_id:text? reasoning:object store:bool temperature:number text:object "
    "tool_choice:text tools:list top_p:number truncation:text usage:object? user:text? metadata:object"
)
BUILD = "timestamp:instant artifacts:object params:text? id:text flow_id:id build_id:id data:object valid:bool job_id:id?"
TRANSACTION = "id:id timestamp:instant vertex_id:text target_id:text? inputs:object outputs:object status:text"
HELLO = {"inputs": {"input_value": "hello", "session": "s"}}
VISITOR = {"cookie": "client_id=golden-client"}


def prompted(suffix: str = "p") -> dict[str, Any]:
    nodes = [
        flows.chat_input(f"ChatInput-{suffix}"),
        flows.prompt(f"Prompt Template-{suffix}", "You said: {text}", "text"),
        flows.chat_output(f"ChatOutput-{suffix}"),
    ]
    return flows.document(
        nodes,
        [
            flows.edge(nodes[0]["id"], nodes[1]["id"], "text"),
            flows.edge(nodes[1]["id"], nodes[2]["id"], "input_value", output="prompt"),
        ],
    )


def twofold() -> dict[str, Any]:
    """A chat and, beside it, a text that goes through."""
    return flows.document(
        [flows.chat_input(), flows.chat_output(), flows.text_input(), flows.text_output()],
        [
            flows.edge("ChatInput-in", "ChatOutput-out", "input_value"),
            flows.edge("TextInput-in", "TextOutput-out", "input_value", output="text"),
        ],
    )


def failing() -> dict[str, Any]:
    middle = flows.node("HeadwaterTestFail", "Fail-f", {"text": "", "reason": "no luck"}, display_name="Fail")
    edges = [flows.edge("ChatInput-in", "Fail-f", "text"), flows.edge("Fail-f", "ChatOutput-out", "input_value")]
    return flows.document([flows.chat_input(), middle, flows.chat_output()], edges)


def hooked() -> dict[str, Any]:
    hook = flows.node("Webhook", "Webhook-w", {"data": ""}, outputs=("output_data",))
    return flows.document([hook, flows.chat_output()], [flows.edge("Webhook-w", "ChatOutput-out", "input_value", output="output_data")])


@pytest.fixture
async def ids(application: Application) -> dict[str, str]:
    """Name → id of the flows that the exchanges were seen with."""
    made = {}
    for name, document in {"echo": flows.echo(), "prompt": prompted(), "two": twofold(), "fail": failing(), "hook": hooked()}.items():
        keys = {"access_type": "PUBLIC"} if name == "prompt" else {}
        answer = await application.http.post("/api/v1/flows/", json={"name": name, "data": document, "endpoint_name": name, **keys})
        made[name] = answer.json()["id"]
    return made


def filled(text: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], text)


ANSWERED: list[tuple[str, str, int, str, Any]] = [
    # caller, request, status, shape, body
    ("http", "POST /api/v1/run/{echo}", 200, RUN, None),
    ("http", "POST /api/v1/run/{echo}", 200, RUN, {}),
    ("http", "POST /api/v1/run/{echo}", 200, RUN, {"input_value": None}),
    ("http", "POST /api/v1/run/{echo}", 200, RUN, {"input_value": "hello", "bogus": 1}),
    ("http", "POST /api/v1/run/{echo}", 200, RUN, {"input_value": "hello", "session_id": "sess-1"}),
    ("http", "POST /api/v1/run/echo", 200, RUN, {"input_value": "hello"}),
    ("http", "POST /api/v1/run/prompt", 200, RUN, {"input_value": "why?"}),
    ("http", "POST /api/v1/run/{echo}", 200, RUN, {"input_value": "x", "tweaks": {"ChatOutput-out": {"sender_name": "Bob"}}}),
    ("http", "POST /api/v1/run/{echo}", 200, RUN, {"input_value": "x", "tweaks": {"Chat Output": {"sender_name": "Bob"}}}),
    ("http", "POST /api/v1/run/{echo}", 200, RUN, {"input_value": "x", "tweaks": {"sender_name": "Bob"}}),
    ("http", "POST /api/v1/run/{echo}", 400, "detail:text", {"input_value": "x", "tweaks": {"ChatInput-in": {"input_value": "y"}}}),
    ("http", "POST /api/v1/run/{echo}", 422, "detail:list", b"{x"),
    ("http", "POST /api/v1/run/{fail}", 500, "detail:text", {"input_value": "x"}),
    ("http", f"POST /api/v1/run/{NOBODYS}", 404, "detail:text", {}),
    ("http", "POST /api/v1/run/no-such-flow", 404, "detail:text", {}),
    ("http", "GET /api/v1/run/{echo}", 405, "detail:text", None),
    ("stranger", "POST /api/v1/run/{echo}", 404, "detail:text", {"input_value": "x"}),
    ("nobody", "POST /api/v1/run/{echo}", 403, "detail:text", {"input_value": "x"}),
    ("nobody", f"POST /api/v1/run/{NOBODYS}", 403, "detail:text", {}),
    (
        "http",
        "POST /api/v1/run/advanced/{echo}",
        200,
        RUN,
        {"inputs": [{"components": ["ChatInput-in"], "input_value": "hi", "type": "chat"}], "outputs": ["ChatOutput-out"], "tweaks": {}},
    ),
    ("http", f"POST /api/v1/run/advanced/{NOBODYS}", 404, "detail:text", {}),
    ("http", "POST /api/v1/run/advanced/{echo}", 404, "detail:text", {"session_id": "nope"}),
    ("nobody", "POST /api/v1/run/advanced/{echo}", 403, "detail:text", {}),
    ("http", "POST /api/v1/responses", 200, RESPONSE, {"model": "{echo}", "input": "hi", "include": ["tool_call.results"]}),
    ("http", "POST /api/v1/responses", 200, RESPONSE, {"model": "{echo}", "input": "hi", "previous_response_id": "my-prev-1"}),
    ("http", "POST /api/v1/responses", 200, "error:object", {"model": "{fail}", "input": "x"}),
    ("http", "POST /api/v1/responses", 200, "error:object", {"model": "nope", "input": "x", "stream": True}),
    ("nobody", "POST /api/v1/responses", 403, "detail:text", {"model": "{echo}", "input": "x"}),
    ("http", "POST /api/v1/webhook/{hook}", 202, "message:text status:text run_id:id", {"a": 1}),
    ("http", "POST /api/v1/webhook/hook", 202, "message:text status:text run_id:id", {"a": 2}),
    ("http", "POST /api/v1/webhook/hook", 202, "message:text status:text run_id:id", b"plain"),
    ("http", f"POST /api/v1/webhook/{NOBODYS}", 404, "detail:text", {"a": 1}),
    ("http", "GET /api/v1/webhook/{hook}", 405, "detail:text", None),
    ("nobody", "POST /api/v1/webhook/{hook}", 403, "detail:text", {"a": 1}),
    ("http", "GET /api/v1/task/abc", 400, "detail:text", None),
    ("http", f"POST /api/v1/build/{NOBODYS}/flow", 404, "detail:text", {}),
    ("http", "POST /api/v1/build/{echo}/flow?event_delivery=smoke", 422, "detail:list", {}),
    ("http", "POST /api/v1/build/{echo}/flow", 200, "job_id:id", HELLO),
    ("stranger", "POST /api/v1/build/{echo}/flow", 404, "detail:text", {}),
    ("http", f"POST /api/v1/build/{NOBODYS}/vertices", 404, "detail:text", None),
    ("http", "POST /api/v1/build/{echo}/vertices", 422, "detail:list", {}),
    ("http", "POST /api/v1/build/{echo}/vertices", 200, "ids:list run_id:id vertices_to_run:list", None),
    ("http", "POST /api/v1/build/{echo}/vertices", 200, "ids:list run_id:id vertices_to_run:list", flows.echo()),
    ("nobody", "POST /api/v1/build/{echo}/vertices", 403, "detail:text", {}),
    # Seen as 500; a caller's mistake is not ours.
    ("http", "POST /api/v1/build/{echo}/vertices/Nope-1", 404, "detail:text", {}),
    ("http", f"GET /api/v1/build/{NOBODYS}/events", 404, "detail:text", None),
    ("http", f"POST /api/v1/build/{NOBODYS}/cancel", 404, "detail:text", None),
    ("visitor", f"GET /api/v1/build_public_tmp/{NOBODYS}/events", 404, "detail:text", None),
    ("visitor", f"POST /api/v1/build_public_tmp/{NOBODYS}/flow", 404, "detail:text", HELLO),
    ("visitor", "POST /api/v1/build_public_tmp/{echo}/flow", 404, "detail:text", HELLO),
    ("nobody", "POST /api/v1/build_public_tmp/{prompt}/flow", 400, "detail:text", HELLO),
    ("http", "GET /api/v1/monitor/job_queue", 200, "backend:text active_jobs:count", None),
    ("http", "GET /api/v1/monitor/messages/shared?source_flow_id={echo}", 200, "", None),
    ("nobody", "GET /api/v1/monitor/messages", 403, "detail:text", None),
    ("http", "GET /api/v1/monitor/messages?session_id=sess-1", 200, f"[{MESSAGE}]", None),
    ("http", "GET /api/v1/monitor/transactions?flow_id={echo}&page=1&size=2", 200, PAGE, None),
    ("nobody", "GET /logs", 403, "detail:text", None),
    ("nobody", "GET /logs-stream", 403, "detail:text", None),
]  # fmt: skip


async def test_every_plain_answer_has_the_status_and_shape_that_was_seen(
    application: Application, ids: dict[str, str], subtests: pytest.Subtests
) -> None:
    for by, request, status, shape, body in ANSWERED:
        with subtests.test(f"{request} {status} {body!r:.60}"):
            method, path = filled(request, ids).split(" ")
            sent: dict[str, Any] = {"headers": VISITOR if by == "visitor" else {}}
            if isinstance(body, bytes):
                sent["content"] = body
            elif body is not None:
                sent["json"] = json.loads(json.dumps(body).replace('"{echo}"', f'"{ids["echo"]}"').replace('"{fail}"', f'"{ids["fail"]}"'))
            answer = await getattr(application, "nobody" if by == "visitor" else by).request(method, path, **sent)
            application.nobody.cookies.clear()
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/json"
            if status == 405:
                assert answer.headers["allow"] == "POST"
            if shape:
                check(answer.json(), shape)
            if shape == RUN:
                check(answer.json()["outputs"], "[inputs:object outputs:list]")
                check(answer.json()["outputs"][0]["outputs"], f"[{VERTEX}]")


CHOSEN: list[tuple[dict[str, str], list[tuple[str, str]]]] = [
    # What is apart from the chat input does not run, whatever is asked for.
    ({"output_type": "any"}, [("ChatOutput-out", "hello")]),
    ({"output_type": "any", "output_component": "TextOutput-out"}, []),
    ({"output_component": "Nope"}, []),
    ({"input_type": "chat", "output_type": "chat"}, [("ChatOutput-out", "hello")]),
    ({"input_type": "text", "output_type": "chat"}, [("ChatOutput-out", "")]),
    ({"input_type": "text", "output_type": "text"}, []),
    ({"input_type": "text", "output_type": "debug"}, [("ChatInput-in", ""), ("ChatOutput-out", "")]),
    ({"input_type": "any", "output_type": "debug"}, [("ChatInput-in", "hello"), ("ChatOutput-out", "hello")]),
]


async def test_types_and_names_choose_the_inputs_and_the_outputs(
    application: Application, ids: dict[str, str], subtests: pytest.Subtests
) -> None:
    for asked, ends in CHOSEN:
        with subtests.test(str(asked)):
            answer = await application.http.post("/api/v1/run/two", json={"input_value": "hello", **asked})
            (run,) = answer.json()["outputs"]
            assert run["inputs"] == {"input_value": "hello"}
            assert [(vertex["component_id"], vertex["outputs"]["message"]["message"]) for vertex in run["outputs"]] == ends


PLAN = ["vertices_sorted", "build_start"]
CHAT = ["add_message", "end_vertex"]
NDJSON = "application/x-ndjson"
SSE = "text/event-stream; charset=utf-8"

STREAMED: list[tuple[str, str, str, list[str | None], Any]] = [
    # caller, request, content type, events in their order, body
    ("http", "POST /api/v1/run/{echo}?stream=true", SSE, ["add_message", "add_message", "end"], {"input_value": "x", "session_id": "s"}),
    ("http", "POST /api/v1/run/{fail}?stream=true", SSE, ["add_message", "error", "error"], {"input_value": "x"}),
    ("http", "POST /api/v1/responses", SSE, [None, None, None, "response.completed", "[DONE]"], {"model": "echo", "input": "x"}),
    ("http", "POST /api/v1/responses", SSE, [None, None, "[DONE]"], {"model": "fail", "input": "x"}),
    ("http", "POST /api/v1/build/{echo}/flow?event_delivery=direct", NDJSON, [*PLAN, *CHAT, *CHAT, "end"], HELLO),
    (
        "http",
        "POST /api/v1/build/{fail}/flow?event_delivery=direct",
        NDJSON,
        [*PLAN, *CHAT, "error", "end_vertex", "end"],
        HELLO,
    ),
    (
        "http",
        "POST /api/v1/build/{echo}/flow?event_delivery=direct&stop_component_id=ChatInput-in",
        NDJSON,
        [*PLAN, *CHAT, "end"],
        HELLO,
    ),
    (
        "http",
        "POST /api/v1/build/{echo}/flow?event_delivery=direct",
        NDJSON,
        [*PLAN, *CHAT, "end_vertex", *CHAT, "end"],
        HELLO | {"data": prompted()},
    ),
    (
        "visitor",
        "POST /api/v1/build_public_tmp/{prompt}/flow?event_delivery=direct",
        NDJSON,
        [*PLAN, *CHAT, "end_vertex", *CHAT, "end"],
        HELLO,
    ),
]


def events_of(text: str) -> list[tuple[str | None, Any]]:
    """Name and data of each event, of NDJSON with its names inside as of server-sent ones."""
    found: list[tuple[str | None, Any]] = []
    for frame in re.split(r"\n\n+", text.strip()):
        if frame.startswith("{"):
            event = json.loads(frame)
            found.append((event["event"], event["data"]))
            continue
        lines = dict(line.split(": ", 1) for line in frame.split("\n"))
        if lines["data"] == "[DONE]":
            found.append(("[DONE]", None))
        else:
            found.append((lines.get("event"), json.loads(lines["data"])))
    return found


async def test_every_stream_tells_the_events_that_were_seen(
    application: Application, ids: dict[str, str], subtests: pytest.Subtests
) -> None:
    for by, request, content_type, names, body in STREAMED:
        with subtests.test(f"{request} {body!r:.60}"):
            method, path = filled(request, ids).split(" ")
            sent = body | {"stream": True} if path.endswith("responses") else body
            headers = VISITOR if by == "visitor" else {}
            client = application.nobody if by == "visitor" else application.http
            answer = await client.request(method, path, json=sent, headers=headers)
            application.nobody.cookies.clear()
            assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
            events = events_of(answer.text)
            assert [name for name, _ in events] == names
            for name, data in events:
                if name in EVENT_SHAPES:
                    check(data, EVENT_SHAPES[name])


TOLD_MESSAGE = (
    "text_key:text data:object default_value:text sender:text? sender_name:text? files:list session_id:text context_id:text? run_id:id "
    "timestamp:stamp flow_id:id error:bool edit:bool properties:object category:text content_blocks:list duration:count? "
    "session_metadata:object text:text id:id"
)
EVENT_SHAPES: dict[str | None, str] = {
    "vertices_sorted": "ids:list to_run:list",
    "build_start": "",
    "add_message": TOLD_MESSAGE,
    "end_vertex": "build_data:object output_meta:object",
    None: "id:text object:text created:count model:text delta:object status:text? finish_reason:text?",
    "response.completed": "type:text response:object",
}


async def test_a_polled_build_tells_the_same_with_an_empty_line_more(application: Application, ids: dict[str, str]) -> None:
    for address, headers in ((f"build/{ids['echo']}", {"x-api-key": application.key}), (f"build_public_tmp/{ids['prompt']}", VISITOR)):
        kind = address.partition("/")[0]
        started = await application.nobody.post(f"/api/v1/{address}/flow", json=HELLO, headers=headers)
        text, path = "", f"/api/v1/{kind}/{started.json()['job_id']}/events"
        while '"end"' not in text:
            polled = await application.nobody.get(path, params={"event_delivery": "polling"}, headers=headers)
            assert (polled.status_code, polled.headers["content-type"]) == (200, NDJSON)
            text += polled.text
        names = [name for name, _ in events_of(text)]
        assert names[:3] == [*PLAN, "add_message"] and names[-1] == "end"
        for _ in range(2):  # stopping what is over is no mistake
            stopped = await application.nobody.post(path.replace("/events", "/cancel"), headers=headers)
            assert stopped.status_code == 200
            check(stopped.json(), "success:bool message:text")
        application.nobody.cookies.clear()


async def test_builds_and_transactions_are_kept_in_the_shape_that_was_seen(application: Application, ids: dict[str, str]) -> None:
    await application.http.post("/api/v1/run/prompt", json={"input_value": "mon"})
    await application.http.post("/api/v1/run/fail", json={"input_value": "mon"})
    query = {"flow_id": ids["prompt"]}
    builds = (await application.http.get("/api/v1/monitor/builds", params=query)).json()
    assert list(builds) == ["vertex_builds"]
    assert set(builds["vertex_builds"]) == {"ChatInput-p", "Prompt Template-p", "ChatOutput-p"}
    for (build,) in builds["vertex_builds"].values():
        check(build, BUILD)
        assert " ".join(build["data"]) == "results outputs logs message artifacts timedelta duration used_frozen_result token_usage"
    said = builds["vertex_builds"]["ChatOutput-p"][0]["params"]
    assert said == "- Files: []\n  Message: 'You said: mon'\n  Sender: Machine\n  Sender Name: AI\n  Type: object\n"
    page = (await application.http.get("/api/v1/monitor/transactions", params=query)).json()
    for item in page["items"]:
        check(item, TRANSACTION)
    inputs = {item["vertex_id"]: list(item["inputs"]) for item in page["items"]}
    # What an edge brings is the other vertex's output, and kept there.
    assert inputs["ChatInput-p"] == ["context_id", "files", "input_value", "sender", "sender_name", "session_id", "should_store_message"]
    assert "input_value" not in inputs["ChatOutput-p"] and inputs["ChatOutput-p"] == sorted(inputs["ChatOutput-p"])
    assert "text" not in inputs["Prompt Template-p"]
    failed = (await application.http.get("/api/v1/monitor/builds", params={"flow_id": ids["fail"]})).json()["vertex_builds"]["Fail-f"][0]
    assert failed["valid"] is False
    (output,) = failed["data"]["outputs"].values()
    assert (output["type"], output["message"]["errorMessage"]) == ("error", "no luck")


async def test_a_build_that_is_not_to_be_logged_leaves_transactions_only(application: Application, ids: dict[str, str]) -> None:
    path = f"/api/v1/build/{ids['echo']}/flow"
    await application.http.post(path, params={"event_delivery": "direct", "log_builds": "false"}, json=HELLO)
    query = {"flow_id": ids["echo"]}
    assert (await application.http.get("/api/v1/monitor/builds", params=query)).json() == {"vertex_builds": {}}
    assert (await application.http.get("/api/v1/monitor/transactions", params=query)).json()["total"] == 2


async def test_logs_answer_as_seen_where_they_are_kept(tmp_path: Path) -> None:
    async with open_application(tmp_path, log_buffer_lines=50) as application:
        assert (await application.http.get("/logs", params={"lines_after": 1})).status_code == 400
        assert (await application.http.get("/logs", params={"lines_before": 1, "lines_after": 1})).status_code == 400
        for query in ({}, {"lines_before": 3}):
            answer = await application.http.get("/logs", params=query)
            assert answer.status_code == 200
            assert all(moment.isdigit() and isinstance(line, str) for moment, line in answer.json().items())
