"""Small flows answer as Langflow 1.13 was seen to answer them; the same flow gives the same answer through REST and MCP."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests import flow_documents as flows
from tests.application import Application


@dataclass(frozen=True)
class Case:
    """A flow, a request, and the texts that were seen: one {vertex id: {output: text}} for each listed vertex."""

    about: str
    document: dict[str, Any]
    body: dict[str, Any]
    texts: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


PIRATE = flows.document(
    [
        flows.chat_input(),
        flows.text_input("TextInput-role", text="a pirate"),
        flows.prompt("Prompt Template-p", "You are {role}. Answer: {question} {{literal}}", "role", "question"),
        flows.chat_output(),
    ],
    [
        flows.edge("TextInput-role", "Prompt Template-p", "role", output="text"),
        flows.edge("ChatInput-in", "Prompt Template-p", "question"),
        flows.edge("Prompt Template-p", "ChatOutput-out", "input_value", output="prompt"),
    ],
)
GREETING = flows.document(
    [
        flows.chat_input(),
        {**flows.prompt("Prompt-p", "{word}, {who}!", "word", "who", type="Prompt")},
        flows.chat_output(),
    ],
    [flows.edge("ChatInput-in", "Prompt-p", "who"), flows.edge("Prompt-p", "ChatOutput-out", "input_value", output="prompt")],
)
GREETING["nodes"][1]["data"]["node"]["template"]["word"]["value"] = "Ahoy"
ROUTER = flows.document(
    [
        flows.chat_input(),
        flows.node(
            "ConditionalRouter",
            "ConditionalRouter-r",
            {
                "input_text": "",
                "operator": {"value": "contains", "options": ["equals", "contains"]},
                "match_text": "yes",
                "case_sensitive": False,
                "true_case_message": "",
                "false_case_message": "",
                "max_iterations": 10,
                "default_route": "false_result",
            },
            outputs=("true_result", "false_result"),
            display_name="If-Else",
        ),
        flows.chat_output("ChatOutput-yes"),
        flows.chat_output("ChatOutput-no"),
    ],
    [
        flows.edge("ChatInput-in", "ConditionalRouter-r", "input_text"),
        flows.edge("ConditionalRouter-r", "ChatOutput-yes", "input_value", output="true_result"),
        flows.edge("ConditionalRouter-r", "ChatOutput-no", "input_value", output="false_result"),
    ],
)
WEBHOOK = flows.document(
    [
        flows.node("Webhook", "Webhook-w", {"data": {"value": "", "advanced": True, "multiline": True}}, outputs=("output_data",)),
        flows.node(
            "ParserComponent",
            "ParserComponent-p",
            {"input_data": {"value": "", "type": "other"}, "mode": "Parser", "pattern": "event={event} id={id}", "sep": "\n"},
            outputs=("parsed_text",),
        ),
        flows.chat_output(),
    ],
    [
        flows.edge("Webhook-w", "ParserComponent-p", "input_data", output="output_data"),
        flows.edge("ParserComponent-p", "ChatOutput-out", "input_value", output="parsed_text"),
    ],
)
TYPED = flows.document(
    [flows.text_input("TextInput-t", text="stored default"), flows.text_output()],
    [flows.edge("TextInput-t", "TextOutput-out", "input_value", output="text")],
)
SHOUT = flows.document(
    [
        flows.chat_input(),
        flows.prompt("Prompt Template-s", "shout: {said}", "said"),
        {**flows.chat_output("ChatOutput-a")},
        {**flows.chat_output("ChatOutput-b")},
        flows.text_input("TextInput-island", text="alone"),
        flows.text_output("TextOutput-island"),
    ],
    [
        flows.edge("ChatInput-in", "Prompt Template-s", "said"),
        flows.edge("ChatInput-in", "ChatOutput-a", "input_value"),
        flows.edge("Prompt Template-s", "ChatOutput-b", "input_value", output="prompt"),
        flows.edge("TextInput-island", "TextOutput-island", "input_value", output="text"),
    ],
)
SHOUT["nodes"][3]["data"]["node"]["display_name"] = "Shouted"
LOOP = flows.document(
    [
        flows.chat_input(),
        flows.node(
            "TypeConverterComponent",
            "TypeConverterComponent-t",
            {"input_data": {"value": "", "type": "other"}, "auto_parse": True, "output_type": "DataFrame"},
            outputs=("dataframe_output",),
        ),
        flows.loop("LoopComponent-l"),
        flows.node(
            "ParserComponent",
            "ParserComponent-body",
            {"input_data": {"value": "", "type": "other"}, "mode": "Parser", "pattern": "{name} has {n}", "sep": "\n"},
            outputs=("parsed_text",),
        ),
        flows.node(
            "ParserComponent",
            "ParserComponent-done",
            {"input_data": {"value": "", "type": "other"}, "mode": "Parser", "pattern": "- {text}", "sep": "\n"},
            outputs=("parsed_text",),
        ),
        flows.chat_output(),
    ],
    [
        flows.edge("ChatInput-in", "TypeConverterComponent-t", "input_data"),
        flows.edge("TypeConverterComponent-t", "LoopComponent-l", "data", output="dataframe_output"),
        flows.edge("LoopComponent-l", "ParserComponent-body", "input_data", output="item"),
        flows.edge_back("ParserComponent-body", "LoopComponent-l", output="parsed_text"),
        flows.edge("LoopComponent-l", "ParserComponent-done", "input_data", output="done"),
        flows.edge("ParserComponent-done", "ChatOutput-out", "input_value", output="parsed_text"),
    ],
)
VARIABLE = flows.document(
    [flows.text_input("TextInput-v"), flows.chat_output()],
    [flows.edge("TextInput-v", "ChatOutput-out", "input_value", output="text")],
)
VARIABLE["nodes"][0]["data"]["node"]["template"]["input_value"] |= {"value": "CITY", "load_from_db": True}


def said(text: str, id: str = "ChatOutput-out") -> dict[str, Any]:
    return {id: {"message": text}}


CASES = [
    Case("the input comes back", flows.echo(), {"input_value": "hello"}, [said("hello")]),
    Case("without an input the stored text is used", flows.echo(), {}, [said("")]),
    Case("a session can be named", flows.echo(), {"input_value": "hi", "session_id": "S-1"}, [said("hi")]),
    Case(
        "a prompt fills its variables and keeps doubled braces",
        PIRATE,
        {"input_value": "why?"},
        [said("You are a pirate. Answer: why? {literal}")],
    ),
    Case(
        "a tweak reaches a node by id",
        PIRATE,
        {"input_value": "why?", "tweaks": {"TextInput-role": {"input_value": "a robot"}}},
        [said("You are a robot. Answer: why? {literal}")],
    ),
    Case(
        "a tweak reaches a node by display name",
        PIRATE,
        {"input_value": "why?", "tweaks": {"Text Input": {"input_value": "a cat"}}},
        [said("You are a cat. Answer: why? {literal}")],
    ),
    Case(
        "an edge wins over a tweak",
        PIRATE,
        {"input_value": "why?", "tweaks": {"Prompt Template-p": {"role": "nobody"}}},
        [said("You are a pirate. Answer: why? {literal}")],
    ),
    Case(
        "tweaks that reach nothing do no harm",
        PIRATE,
        {"input_value": "why?", "tweaks": {"Nope-1": {"a": 1}, "TextInput-role": {"nofield": 1}}},
        [said("You are a pirate. Answer: why? {literal}")],
    ),
    Case("code is never tweaked", PIRATE, {"input_value": "x", "tweaks": {"TextInput-role": {"code": "print(1)"}}}, status=422),
    Case("the old prompt type is the same component", GREETING, {"input_value": "you"}, [said("Ahoy, you!")]),
    Case("a condition that holds takes its branch", ROUTER, {"input_value": "oh YES"}, [said("oh YES", "ChatOutput-yes")]),
    Case("a condition that fails takes the other", ROUTER, {"input_value": "no"}, [said("no", "ChatOutput-no")]),
    Case(
        "a webhook's payload can be tweaked in",
        WEBHOOK,
        {"tweaks": {"Webhook-w": {"data": '{"event":"push","id":7}'}}},
        [said("event=push id=7")],
    ),
    Case("a webhook without a payload has empty keys", WEBHOOK, {}, [said("event= id=")]),
    Case(
        "text goes in and out",
        TYPED,
        {"input_value": "typed", "input_type": "text", "output_type": "text"},
        [{"TextOutput-out": {"text": "typed"}}],
    ),
    Case("a chat input leaves a text input alone", TYPED, {"input_value": "typed"}, [{"TextOutput-out": {"text": "stored default"}}]),
    Case(
        "any input, any output",
        TYPED,
        {"input_value": "typed", "input_type": "any", "output_type": "any"},
        [{"TextOutput-out": {"text": "typed"}}],
    ),
    Case(
        "two outputs answer in file order", SHOUT, {"input_value": "hey"}, [said("hey", "ChatOutput-a"), said("shout: hey", "ChatOutput-b")]
    ),
    Case(
        "one output can be asked for by id",
        SHOUT,
        {"input_value": "hey", "output_component": "ChatOutput-b"},
        [said("shout: hey", "ChatOutput-b")],
    ),
    Case("or by display name", SHOUT, {"input_value": "hey", "output_component": "Shouted"}, [said("shout: hey", "ChatOutput-b")]),
    Case("an unknown output is an empty answer", SHOUT, {"input_value": "hey", "output_component": "Nobody"}, []),
    Case(
        "debug shows every vertex that ran",
        SHOUT,
        {"input_value": "hey", "output_type": "debug"},
        [said("hey", "ChatInput-in"), {"Prompt Template-s": {}}, said("hey", "ChatOutput-a"), said("shout: hey", "ChatOutput-b")],
    ),
    Case(
        "an island never runs",
        SHOUT,
        {"input_value": "hey", "output_type": "any"},
        [said("hey", "ChatOutput-a"), said("shout: hey", "ChatOutput-b")],
    ),
    Case(
        "a loop goes through rows",
        LOOP,
        {"input_value": '[{"name":"ann","n":1},{"name":"bob","n":2}]'},
        [said("- ann has 1\n- bob has 2")],
    ),
    Case("a text is one row to a loop", LOOP, {"input_value": "plain"}, [said("-  has ")]),
    Case("a header's variable is read first", VARIABLE, {}, [said("Oslo")], headers={"X-LANGFLOW-GLOBAL-VAR-CITY": "Oslo"}),
    Case("a tweak turns the variable off", VARIABLE, {"tweaks": {"TextInput-v": {"input_value": "literal"}}}, [said("literal")]),
]


def texts(answer: dict[str, Any]) -> list[dict[str, Any]]:
    shown = []
    for vertex in answer["outputs"][0]["outputs"]:
        results = {name: value["text"] if isinstance(value, dict) else value for name, value in vertex["results"].items()}
        shown.append({vertex["component_id"]: results})
    return shown


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.about)
async def test_a_flow_answers_as_recorded(application: Application, case: Case) -> None:
    created = await application.http.post("/api/v1/flows/", json={"name": case.about, "data": case.document})
    assert created.status_code == 201, created.text
    answer = await application.http.post(f"/api/v1/run/{created.json()['id']}", json=case.body, headers=case.headers)
    assert answer.status_code == case.status, answer.text
    if case.status == 200:
        assert texts(answer.json()) == case.texts


async def test_a_variable_comes_from_the_store_when_no_header_brings_it(application: Application) -> None:
    await application.http.post("/api/v1/variables/", json={"name": "CITY", "value": "Rome", "type": "Generic", "default_fields": None})
    flow = (await application.http.post("/api/v1/flows/", json={"name": "city", "data": VARIABLE})).json()
    assert texts((await application.http.post(f"/api/v1/run/{flow['id']}", json={})).json()) == [said("Rome")]


async def test_a_flow_answers_through_another_one(application: Application) -> None:
    inner = flows.document(
        [flows.chat_input(), flows.prompt("Prompt Template-p", "inner says {q}", "q"), flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Prompt Template-p", "q"),
            flows.edge("Prompt Template-p", "ChatOutput-out", "input_value", output="prompt"),
        ],
    )
    await application.http.post("/api/v1/flows/", json={"name": "Inner", "data": inner})
    flow = (await application.http.post("/api/v1/flows/", json={"name": "Outer", "data": flows.running("Inner")})).json()
    answer = (await application.http.post(f"/api/v1/run/{flow['id']}", json={"input_value": "deep"})).json()
    assert texts(answer) == [said("inner says deep")]
    source = answer["outputs"][0]["outputs"][0]["results"]["message"]["properties"]["source"]
    assert source == {"id": "RunFlow-r", "display_name": "Run Flow", "source": "Run Flow"}
    kept = (await application.http.get("/api/v1/monitor/messages", params={"flow_id": flow["id"]})).json()
    assert [message["text"] for message in kept] == ["deep", "inner says deep"]


async def test_a_flow_that_runs_itself_is_told_how_deep_it_went(application: Application) -> None:
    flow = (await application.http.post("/api/v1/flows/", json={"name": "Mirror", "data": flows.running("Mirror")})).json()
    answer = await application.http.post(f"/api/v1/run/{flow['id']}", json={"input_value": "x"})
    assert answer.status_code == 422
    assert "Mirror → Mirror" in answer.text
    assert application.services.invocations.running_count == 0


async def test_a_tool_call_gives_the_answer_of_a_run(application: Application) -> None:
    flow = (await application.http.post("/api/v1/flows/", json={"name": "Pirate", "data": PIRATE, "mcp_enabled": True})).json()
    answer = await application.http.post(f"/api/v1/run/{flow['id']}", json={"input_value": "why?"})
    async with application.mcp_client() as client:
        called = await client.call_tool("pirate", {"input_value": "why?"})
    assert [block.text for block in called.content] == [text["message"] for shown in texts(answer.json()) for text in shown.values()]  # type: ignore[union-attr]


async def test_messages_of_a_run_are_kept_in_order(application: Application) -> None:
    flow = (await application.http.post("/api/v1/flows/", json={"name": "kept", "data": flows.echo()})).json()
    await application.http.post(f"/api/v1/run/{flow['id']}", json={"input_value": "hello", "session_id": "s"})
    kept = (await application.http.get("/api/v1/monitor/messages", params={"flow_id": flow["id"]})).json()
    assert [(message["sender"], message["text"], message["session_id"]) for message in kept] == [
        ("User", "hello", "s"),
        ("Machine", "hello", "s"),
    ]


async def test_a_webhook_runs_to_its_end_in_the_background(application: Application) -> None:
    flow = (await application.http.post("/api/v1/flows/", json={"name": "hook", "data": WEBHOOK})).json()
    accepted = await application.http.post(f"/api/v1/webhook/{flow['id']}", content='{"event":"hook","id":9}')
    assert accepted.status_code == 202
    assert {"message", "status"} <= set(accepted.json())
    await application.services.invocations.wait_until_idle()
    kept = (await application.http.get("/api/v1/monitor/messages", params={"flow_id": flow["id"]})).json()
    assert [message["text"] for message in kept] == ["event=hook id=9"]


async def test_a_component_that_fails_is_named_with_its_id(application: Application) -> None:
    broken = flows.document([flows.node("HeadwaterTestFail", "HeadwaterTestFail-1", {"reason": "no luck"}, display_name="Breaker")], [])
    flow = (await application.http.post("/api/v1/flows/", json={"name": "broken", "data": broken})).json()
    answer = await application.http.post(f"/api/v1/run/{flow['id']}", json={})
    assert answer.status_code == 500
    detail = httpx.Response(200, content=answer.json()["detail"]).json()
    assert detail["message"].startswith("Error running graph: Error building Component Breaker: \n\nno luck")
    assert (detail["component_id"], detail["component_type"]) == ("HeadwaterTestFail-1", "HeadwaterTestFail")
