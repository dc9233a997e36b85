"""The flows of the suite's project: each has the name of a tool that the suite calls, and does what the suite says of it."""

import json
from collections.abc import Mapping
from typing import Any

from tests.flow_documents import chat_output, document, edge, node, prompt, text_input

Document = dict[str, Any]

PAST_THE_THRESHOLD = 0.6  # seconds that make a call a task; the server of the suite answers directly for 0.3 s


def flows() -> dict[str, Document]:
    """Tool name → flow document."""
    return {
        "test_simple_text": _text("This is a simple text response for testing."),
        "test_image_content": _line(_media("image"), text="A picture:"),
        "test_audio_content": _line(_media("audio"), text="A sound:"),
        "test_embedded_resource": _line(_media("text"), text="A note:"),
        "test_multiple_content_types": _line(_media("image", "json"), text="Multiple content types test:"),
        "test_error_handling": _line(_fail()),
        "test_tool_with_progress": _line(_wait(0.05, "one"), _wait(0.05, "two"), text="Done, step by step."),
        "test_tool_with_logging": _text("Nothing is logged to clients."),
        "test_logging_tool": _text("Nothing is logged to clients."),
        **_asking_flows(),
        **_task_flows(),
    }


def _asking_flows() -> dict[str, Document]:
    name = {"message": "What is your name?", "properties": {"name": {"type": "string"}}}
    confirm = {"message": "Please confirm", "properties": {"ok": {"type": "boolean"}}}
    return {
        "test_elicitation": _with_arguments(
            {"message": _argument("")},
            "message",
            _ask(
                {
                    "user": {
                        "message": "{text}",
                        "properties": {
                            "username": {"type": "string", "description": "User's response"},
                            "email": {"type": "string", "description": "User's email address"},
                        },
                    }
                },
                reply="User response: {answers}",
            ),
        ),
        "test_elicitation_sep1034_defaults": _line(_ask({"defaults": _DEFAULTS}, reply="Elicitation completed: {answers}")),
        "test_elicitation_sep1330_enums": _line(_ask({"enums": _ENUMS}, reply="Elicitation completed: {answers}")),
        "test_streaming_elicitation": _line(_ask({"user_name": name}, reply="Hello, {name}!")),
        "test_input_required_result_elicitation": _line(_ask({"user_name": name}, reply="Hello, {name}!")),
        "test_input_required_result_request_state": _line(_ask({"confirm": confirm}, reply="state-ok")),
        "test_input_required_result_tampered_state": _line(_ask({"confirm": confirm}, reply="state-ok")),
        "test_input_required_result_multi_round": _line(
            _ask(
                {"step1": {"message": "Step 1: What is your name?", "properties": {"name": {"type": "string"}}}},
                {"step2": {"message": "Step 2: What is your favorite color?", "properties": {"color": {"type": "string"}}}},
                reply="{name} likes {color}.",
            )
        ),
    }


def triggers(renamed: str) -> dict[str, Document]:
    """Tools that change the lists of their own project; `renamed` is the REST address of the flow that gets a new name."""
    rename = _line(node("ConformanceRename", "Rename-r", {"text": "", "url": renamed}))
    return {"test_trigger_tool_change": rename, "test_trigger_prompt_change": rename}


def _task_flows() -> dict[str, Document]:
    name_or_yes = {"name": {"type": "string"}, "confirm": {"type": "boolean"}}
    return {
        "greet": _greet(),
        "slow_compute": document(
            [
                node(
                    "ConformanceArguments", "Arguments-a", {"seconds": _argument(0.0), "label": _argument("")}, outputs=("seconds", "label")
                ),
                _wait(0, "slow"),
                chat_output(),
            ],
            [
                edge("Arguments-a", "Wait-slow", "seconds", output="seconds"),
                edge("Arguments-a", "Wait-slow", "text", output="label"),
                edge("Wait-slow", "ChatOutput-out", "input_value"),
            ],
        ),
        "failing_job": _line(_wait(PAST_THE_THRESHOLD, "first"), _fail()),
        "protocol_error_job": _line(_wait(PAST_THE_THRESHOLD, "first"), _fail(is_a_defect=True)),
        "confirm_delete": _with_arguments(
            {"filename": _argument("")},
            "filename",
            _wait(PAST_THE_THRESHOLD, "first"),
            _ask(
                {"confirmation": {"message": "Delete {text}?", "properties": {"confirm": {"type": "boolean"}}}}, reply="Deleted: {confirm}"
            ),
        ),
        "multi_input": _line(
            _wait(PAST_THE_THRESHOLD, "first"),
            _ask(
                {
                    "first": {"message": "Who goes first?", "properties": name_or_yes, "required": ["name"]},
                    "second": {"message": "Who goes second?", "properties": name_or_yes, "required": ["name"]},
                },
                reply="{answers}",
            ),
        ),
        "test_tool_with_task": _line(
            _ask({"user_name": {"message": "What is your name?", "properties": {"name": {"type": "string"}}}}, reply="Hello, {name}!"),
            _wait(PAST_THE_THRESHOLD, "last"),
        ),
    }


_DEFAULTS: Mapping[str, Any] = {
    "message": "Please check these values",
    "required": [],
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
}

_ENUMS: Mapping[str, Any] = {
    "message": "Please choose",
    "required": [],
    "properties": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {
            "type": "string",
            "oneOf": [
                {"const": f"value{number}", "title": f"{name} Option"} for number, name in enumerate(("First", "Second", "Third"), 1)
            ],
        },
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {
            "type": "array",
            "items": {
                "anyOf": [
                    {"const": f"value{number}", "title": f"{name} Choice"} for number, name in enumerate(("First", "Second", "Third"), 1)
                ]
            },
        },
    },
}


# Nodes ------------------------------------------------------------------------------------------------------------------------------


def _argument(value: Any) -> dict[str, Any]:
    """A field of the argument node; required when it has no value of its own."""
    return {"value": value, "required": value == ""}


def _wait(seconds: float, id: str) -> Document:
    return node("ConformanceWait", f"Wait-{id}", {"text": "", "seconds": float(seconds)})


def _media(*files: str) -> Document:
    return node("ConformanceMedia", "Media-m", {"text": "", "files": ",".join(files)})


def _fail(*, is_a_defect: bool = False) -> Document:
    return node("ConformanceFail", "Fail-f", {"text": "", "is_a_defect": is_a_defect})


def _ask(*rounds: Mapping[str, Any], reply: str) -> Document:
    return node("ConformanceAsk", "Ask-a", {"text": "", "questions": json.dumps(rounds), "reply": reply})


# Documents --------------------------------------------------------------------------------------------------------------------------


def _text(text: str) -> Document:
    """A fixed text."""
    return _line(text=text)


def _line(*nodes: Document, text: str = "") -> Document:
    """A text, and what is done with it in turn."""
    return _chain(text_input(text=text or "start"), "text", nodes)


def _with_arguments(arguments: Mapping[str, Any], passed_on: str, *nodes: Document) -> Document:
    """Arguments by name, of which one is passed on through the nodes."""
    return _chain(node("ConformanceArguments", "Arguments-a", arguments, outputs=tuple(arguments)), passed_on, nodes)


def _chain(first: Document, output: str, nodes: tuple[Document, ...]) -> Document:
    edges, before = [], first
    for each in nodes:
        edges.append(edge(before["id"], each["id"], "text", output=output if before is first else "message"))
        before = each
    edges.append(edge(before["id"], "ChatOutput-out", "input_value", output=output if before is first else "message"))
    return document([first, *nodes, chat_output()], edges)


def _greet() -> Document:
    arguments = node("ConformanceArguments", "Arguments-a", {"name": _argument("")}, outputs=("name",))
    return document(
        [arguments, prompt("Prompt-p", "Hello, {name}!", "name"), chat_output()],
        [
            edge("Arguments-a", "Prompt-p", "name", output="name"),
            edge("Prompt-p", "ChatOutput-out", "input_value", output="prompt"),
        ],
    )
