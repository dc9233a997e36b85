"""What a tool says of itself: its arguments two ways, its answers' schema, its hints, its name, and the lint."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from mcp_server.content import content_of
from projects.access.caller import Caller
from projects.errors import InvalidInput, NotFound
from projects.flows.library import Flow, FlowChanges, FlowDraft
from projects.services import ProjectServices
from projects.tools import NAME_LENGTH, Severity, Tool
from projects.tools.lint import schema_problems
from projects.tools.names import CHOSEN_NAME_LENGTH, has_hidden_characters, shown_text
from tests import flow_documents as flows
from tests.services import open_test_services, to_text

Opened = tuple[ProjectServices, Caller]


@pytest.fixture
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Opened]:
    async with open_test_services(tmp_path_factory.mktemp("data")) as opened:
        yield opened


async def made(opened: Opened, document: dict[str, Any], name: str = "Made", **keys: Any) -> Tool:
    services, caller = opened
    flow = await services.flows.create(caller, FlowDraft(name=name, document=to_text(document), is_tool=True, **keys))
    return await tool_of(opened, flow)


async def tool_of(opened: Opened, flow: Flow) -> Tool:
    services, caller = opened
    found = await services.tools.find_tool_of(caller, flow.project_id, flow.id)
    assert found is not None
    return found


async def structured(opened: Opened, tool: Tool, **arguments: Any) -> dict[str, Any]:
    """Of one call, checked against the output schema."""
    services, caller = opened
    result = await services.tools.call_tool(caller, tool.prepared.flow.project_id, tool.name, arguments)
    answer = tool.results.structured(result.outputs)
    Draft202012Validator.check_schema(tool.output_schema)
    Draft202012Validator(tool.output_schema).validate(answer)
    assert tool.output_schema["type"] == "object"
    return answer


def record_of(text: str, *, to_chat: bool = False) -> dict[str, Any]:
    """A JSON text as a record; at the end by itself, or shown in the chat."""
    nodes = [flows.node("JSONtoData", "Json-1", {"json_string": text}, outputs=("data",))]
    edges = []
    if to_chat:
        nodes.append(flows.chat_output())
        edges.append(flows.edge("Json-1", "ChatOutput-out", "input_value", output="data"))
    return flows.document(nodes, edges)


def told(amount: str = "3", **more: Any) -> dict[str, Any]:
    """A chat whose text is split, with a chunk size that its author lets callers choose; at the end a table."""
    split = flows.node(
        "SplitText",
        "SplitText-1",
        {
            "data_inputs": {"value": "", "type": "other", "_input_type": "HandleInput"},
            "chunk_size": {"value": amount, "type": "int", "api_editable": True, "info": "Characters of a piece."},
            "chunk_overlap": {"value": 0, "type": "int"},
            "separator": {"value": " "},
            **more,
        },
        outputs=("dataframe",),
        display_name="Splitter",
    )
    return flows.document([flows.chat_input(), split], [flows.edge("ChatInput-in", "SplitText-1", "data_inputs")])


# Arguments


async def test_a_field_that_its_author_marked_is_an_argument_wherever_it_is_and_reaches_its_node(opened: Opened) -> None:
    tool = await made(opened, told())
    properties = tool.input_schema["properties"]
    assert set(properties) == {"input_value", "chunk_size", "session_id"}
    assert properties["chunk_size"] | {"title": ""} == {
        "type": "integer",
        "default": 3,
        "title": "",
        "description": "Characters of a piece.",
    }
    assert tool.input_schema["additionalProperties"] is False
    assert len((await structured(opened, tool, input_value="one two three"))["rows"]) == 3
    assert len((await structured(opened, tool, input_value="one two three", chunk_size=100))["rows"]) == 1


async def test_what_is_not_advertised_reaches_nothing(opened: Opened) -> None:
    tool = await made(opened, told())
    for name in ("chunk_overlap", "separator", "data_inputs", "code", "splitter_chunk_size", "__proto__", "tweaks"):
        with pytest.raises(InvalidInput, match="no such argument"):
            await structured(opened, tool, input_value="x", **{name: 1})


async def test_marked_fields_of_one_name_are_told_apart_and_the_code_and_what_an_edge_fills_are_never_arguments(opened: Opened) -> None:
    mark = {"api_editable": True}
    first = flows.prompt("Prompt-1", "{a}", "a")
    second = flows.prompt("Prompt-2", "{a}", "a")
    for number, node in enumerate((first, second)):
        template = node["data"]["node"]["template"]
        template["a"] |= mark | {"show": True}
        template["code"] |= mark
        node["data"]["node"]["display_name"] = f"Poem {number}"
    document = flows.document(
        [flows.text_input(name="Topic"), first, second, flows.chat_output()],
        [
            flows.edge("TextInput-in", "Prompt-1", "a", output="text"),
            flows.edge("Prompt-1", "ChatOutput-out", "input_value", output="prompt"),
        ],
    )
    tool = await made(opened, document)
    assert set(tool.binding.values()) == {("TextInput-in", "input_value"), ("Prompt-2", "a")}
    document["edges"].clear()
    again = await made(opened, document, name="Again")
    assert set(again.binding) == {"input_value", "poem_0_a", "poem_1_a"}


async def test_choices_lists_objects_and_rows_have_their_types_and_secrets_no_default(opened: Opened) -> None:
    fields: dict[str, Any] = {
        "tone": {"value": "calm", "options": ["calm", "loud"]},
        "only": {"value": "", "options": ["one"]},
        "words": {"value": ["a"], "type": "str", "list": True},
        "options": {"value": {"a": 1}, "type": "dict", "list": True},
        "lines": {"value": [{"a": 1}], "type": "table", "list": True},
        "api_token": "sk-12345",
        "key": {"value": "sk-12345", "password": True},
        "variable": {"value": "MY_VARIABLE", "load_from_db": True},
        "address": "https://ada:secret@example.org/",
    }
    tool = await made(opened, flows.document([flows.text_input(**fields), flows.text_output()], []))
    properties = tool.input_schema["properties"]
    assert properties["tone"]["enum"] == ["calm", "loud"]
    assert properties["tone"]["default"] == "calm"
    assert properties["only"]["enum"] == ["one"]
    assert properties["words"]["items"] == {"type": "string"}
    assert properties["options"]["type"] == "object"
    assert properties["lines"]["items"]["type"] == "object"
    assert not any("default" in properties[name] for name in ("api_token", "key", "variable", "address"))
    assert not list(schema_problems(tool.input_schema, is_input=True))
    with pytest.raises(InvalidInput, match="tone"):
        await structured(opened, tool, tone="shrill")


async def test_a_marked_file_field_takes_an_upload_of_the_callers_and_no_other_file(opened: Opened) -> None:
    services, caller = opened

    async def pieces() -> AsyncIterator[bytes]:
        yield b"inside the file"

    stored = await services.files.save(caller, None, "note.txt", pieces())
    read = flows.node(
        "File", "File-1", {"path": {"value": "", "type": "file", "list": True, "file_path": [], "api_editable": True}}, outputs=("message",)
    )
    document = flows.document([read, flows.chat_output()], [flows.edge("File-1", "ChatOutput-out", "input_value")])
    tool = await made(opened, document)
    assert tool.input_schema["properties"]["path"]["items"] == {"type": "string"}
    for named in (stored.path, stored.id):
        assert "inside the file" in (await structured(opened, tool, path=[named]))["text"]
    for named in ("/etc/passwd", "../secret", "00000000-0000-0000-0000-000000000000/note.txt"):
        with pytest.raises(Exception, match="no uploaded file"):
            await structured(opened, tool, path=[named])


async def test_a_flow_without_inputs_is_a_tool_without_arguments_but_the_session(opened: Opened) -> None:
    tool = await made(opened, record_of('{"a": 1}'))
    assert set(tool.input_schema["properties"]) == {"session_id"}
    assert tool.input_schema["required"] == []
    assert await structured(opened, tool) == {"a": 1}


async def test_wrong_extra_and_huge_arguments_are_refused_or_taken_on_the_server(opened: Opened) -> None:
    tool = await made(opened, flows.echo())
    assert (await structured(opened, tool, input_value="x" * 1_000_000))["text"] == "x" * 1_000_000
    for wrong in ({"input_value": ["x"]}, {"input_value": None}, {"__proto__": {"a": 1}}, {"input_value": "x", "constructor": 1}):
        with pytest.raises(InvalidInput):
            await structured(opened, tool, **wrong)
    with pytest.raises(InvalidInput) as refusal:
        await structured(opened, tool, **{f"extra_{number}": number for number in range(5_000)})
    assert len(refusal.value.message) < 3_000
    assert "more" in refusal.value.message


# Answers


async def test_a_chat_answers_with_its_text(opened: Opened) -> None:
    assert await structured(opened, await made(opened, flows.echo()), input_value="héllo") == {"text": "héllo"}


async def test_a_record_that_the_chat_shows_is_there_as_a_record_too(opened: Opened) -> None:
    tool = await made(opened, record_of('{"name": "Ada", "n": [1, 2]}', to_chat=True))
    answer = await structured(opened, tool)
    assert answer["data"] == {"name": "Ada", "n": [1, 2]}
    assert "Ada" in answer["text"]
    assert tool.output_schema["properties"]["data"]["type"] == "object"


async def test_a_table_at_the_end_answers_with_rows_and_the_text_stays_beside_it(opened: Opened) -> None:
    services, caller = opened
    tool = await made(opened, told())
    assert tool.output_schema["properties"]["rows"]["type"] == "array"
    assert [row["text"] for row in (await structured(opened, tool, input_value="a b c", chunk_size=1))["rows"]] == ["a", "b", "c"]
    result = await services.tools.call_tool(caller, tool.prepared.flow.project_id, tool.name, {"input_value": "a b"})
    assert "text" in content_of(result.outputs)[0]["text"]


async def test_several_outputs_are_keyed_by_their_names_and_one_that_was_not_reached_is_left_out(opened: Opened) -> None:
    choice = flows.node(
        "ConditionalRouter",
        "Choice-1",
        {"input_text": "", "match_text": "yes", "operator": "equals"},
        outputs=("true_result", "false_result"),
        display_name="If-Else",
    )
    yes, no = flows.chat_output("ChatOutput-yes"), flows.chat_output("ChatOutput-no")
    yes["data"]["node"]["display_name"], no["data"]["node"]["display_name"] = "Said yes", "State"
    document = flows.document(
        [flows.chat_input(), choice, yes, no],
        [
            flows.edge("ChatInput-in", "Choice-1", "input_text"),
            flows.edge("Choice-1", "ChatOutput-yes", "input_value", output="true_result"),
            flows.edge("Choice-1", "ChatOutput-no", "input_value", output="false_result"),
        ],
    )
    tool = await made(opened, document)
    # `state` is what a call says of a run that goes on.
    assert set(tool.output_schema["properties"]) == {"said_yes", "state_1"}
    assert await structured(opened, tool, input_value="yes") == {"said_yes": {"text": "yes"}}
    assert await structured(opened, tool, input_value="no") == {"state_1": {"text": "no"}}


async def test_numbers_that_json_has_no_word_for_are_null(opened: Opened) -> None:
    from projects.tools.results import plain

    assert plain({"a": float("nan"), 3: [float("inf"), 1.5, b"x", "\ud800"]}) == {"a": None, "3": [None, 1.5, "b'x'", "?"]}


# Hints


def ending_in(node: dict[str, Any], field: str) -> dict[str, Any]:
    return flows.document([flows.chat_input(), node], [flows.edge("ChatInput-in", node["id"], field)])


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (flows.echo(), (True, False, True, False)),
        (ending_in(flows.node("SaveToFile", "S-1", {"file_name": "a"}), "input"), (False, True, False, False)),
        (ending_in(flows.node("APIRequest", "A-1", {"method": "GET"}, outputs=("data",)), "url_input"), (True, False, False, True)),
        (ending_in(flows.node("APIRequest", "A-1", {"method": "DELETE"}, outputs=("data",)), "url_input"), (False, True, False, True)),
        (
            ending_in(flows.node("APIRequest", "A-1", {"method": {"value": "GET", "api_editable": True}}, outputs=("data",)), "url_input"),
            (False, True, False, True),
        ),
        (ending_in(flows.node("APIRequest", "A-1", {"url_input": "x"}, outputs=("data",)), "method"), (False, True, False, True)),
        (
            ending_in(flows.node("Memory", "M-1", {"mode": "Retrieve"}, outputs=("messages_text",)), "session_id"),
            (True, False, False, False),
        ),
        (ending_in(flows.node("Memory", "M-1", {"mode": "Store"}, outputs=("messages_text",)), "message"), (False, False, False, False)),
        (flows.document([flows.node("CurrentDate", "D-1", {}, outputs=("current_date",))], []), (True, False, False, False)),
        (flows.document([flows.node("LanguageModelComponent", "L-1", {}, outputs=("text_output",))], []), (True, False, False, True)),
    ],
    ids=["pure", "writes a file", "gets", "deletes", "caller chooses the method", "an edge chooses it", "reads", "stores", "time", "model"],
)
async def test_hints_say_what_the_components_do(opened: Opened, document: dict[str, Any], expected: tuple[bool, ...]) -> None:
    hints = (await made(opened, document)).hints
    assert (hints.is_read_only, hints.is_destructive, hints.is_idempotent, hints.is_open_world) == expected


# Names and texts


async def test_a_flow_that_is_renamed_to_anothers_name_does_not_get_its_calls_not_even_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("data")
    async with open_test_services(folder) as opened:
        services, caller = opened
        older = await services.flows.create(caller, FlowDraft(name="Other", document=to_text(flows.echo()), is_tool=True))
        known = await services.flows.create(caller, FlowDraft(name="Pay", document=to_text(flows.echo()), is_tool=True))
        assert (await tool_of(opened, known)).name == "pay"
    async with open_test_services(folder) as opened:
        services, caller = opened
        await services.flows.update(caller, older.id, FlowChanges(name="Pay!"))
        assert (await tool_of(opened, known)).name == "pay"
        assert (await tool_of(opened, older)).name == "pay_1"
        assert [tool.name for tool in await services.tools.list_tools(caller, None) if tool.flow_id in (known.id, older.id)]
        await services.flows.delete(caller, known.id)
        # What was approved under one name keeps it.
        assert (await tool_of(opened, older)).name == "pay_1"


async def test_the_servers_own_names_are_not_given_away_and_a_huge_name_is_cut(opened: Opened) -> None:
    assert (await made(opened, flows.echo(), name="get_run")).name == "get_run_1"
    assert len((await made(opened, flows.echo(), name="Huge" * 50)).name) == NAME_LENGTH
    services, caller = opened
    project = await services.projects.default_project(caller)
    with pytest.raises(NotFound):
        await services.tools.call_tool(caller, project.id, "n" * 100_000, {})


async def test_a_name_that_the_author_chose_for_the_tool_may_be_longer_and_is_unique_all_the_same(opened: Opened) -> None:
    chosen = "look_up_the_invoice_of_a_customer_by_its_number"
    names = [(await made(opened, flows.echo(), name=f"Flow {number}", tool_name=chosen)).name for number in range(3)]
    assert names[0] == chosen[:CHOSEN_NAME_LENGTH]
    assert names[1:] == [f"{chosen[: CHOSEN_NAME_LENGTH - 2]}_{number}" for number in (1, 2)]
    assert CHOSEN_NAME_LENGTH == 46
    assert (await made(opened, flows.echo(), name=chosen)).name == chosen[:NAME_LENGTH].rstrip("_")


async def test_hidden_characters_are_not_told(opened: Opened) -> None:
    hidden = "Sum\u200b \u202eevil\u202c\U000e0041\x1b[31m\ufe01 it"
    tool = await made(opened, flows.echo(), name=hidden, description=f"{hidden}\nline two\u2066" + "x" * 9_000)
    assert tool.title == "Sum evil[31m it"
    assert tool.description.startswith("Sum evil[31m it\nline two")
    assert len(tool.description) <= 4_000
    assert has_hidden_characters(hidden)
    assert not has_hidden_characters("Größe 漢字 👍\tx\n")
    assert shown_text("a\u2028b", length=10) == "a b"


async def test_an_icon_is_shown_only_where_it_can_be_one(opened: Opened) -> None:
    assert (
        (await made(opened, flows.echo(), name="a", icon="🎉", icon_background="#ff0000")).icons[0]["src"].startswith("data:image/svg+xml,")
    )
    assert (await made(opened, flows.echo(), name="b", icon="https://example.org/i.png")).icons == [{"src": "https://example.org/i.png"}]
    for number, icon in enumerate(("Workflow", "javascript:alert(1)", "http://example.org/i.png", "data:text/html,x", "<script>")):
        assert (await made(opened, flows.echo(), name=f"c{number}", icon=icon)).icons == []


# Lint


async def test_the_lint_names_flow_tool_rule_and_the_next_step(opened: Opened) -> None:
    services, caller = opened
    project = await services.projects.create(caller, name="A project with quite a long name")
    broken = flows.document([flows.chat_input(text="x"), flows.node("NobodyMadeThis", "N-1", {"text": ""})], [])
    broken["edges"].append(flows.edge("ChatInput-in", "N-1", "text"))
    for name, document, description in (
        ("Fine and dandy", flows.echo(), "Says it again."),
        ("fine AND dandy", flows.echo(), None),
        ("A tool with a name that is much too long", broken, "x" * 5_000),
        ("Hid\u200bden", flows.echo(), "Says it again."),
    ):
        draft = FlowDraft(name=name, document=to_text(document), description=description, is_tool=True, project_id=project.id)
        await services.flows.create(caller, draft)
    findings = await services.tools.lint(caller, project.id)
    rules = {(finding.rule, finding.tool) for finding in findings}
    assert ("cannot-run", "a_tool_with_a_name_that_is_muc") in rules
    assert ("name-length", "a_tool_with_a_name_that_is_muc") in rules
    assert ("description-length", "a_tool_with_a_name_that_is_muc") in rules
    assert ("hidden-characters", "hidden") in rules
    assert {tool for rule, tool in rules if rule == "title-twice"} == {"fine_and_dandy", "fine_and_dandy_1"}
    assert ("name-taken", "fine_and_dandy_1") in rules
    assert ("description-missing", "fine_and_dandy_1") in rules
    assert not [finding for finding in findings if finding.tool == "fine_and_dandy" and finding.rule != "title-twice"]
    assert all(finding.message and finding.advice and finding.flow_id for finding in findings)
    assert findings == sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR)
    with pytest.raises(NotFound):
        await services.tools.lint(Caller("someone-else", "bob", False, caller.via), project.id)


async def test_the_lint_counts_tools(opened: Opened) -> None:
    services, caller = opened
    project = await services.projects.create(caller, name="Many")
    drafts = [
        FlowDraft(name=f"t{number}", document=to_text(flows.echo()), description="d", is_tool=True, project_id=project.id)
        for number in range(101)
    ]
    await services.flows.create_many(caller, drafts[:41])
    assert [(finding.rule, finding.severity) for finding in await services.tools.lint(caller, project.id)] == [("tool-count", "warning")]
    await services.flows.create_many(caller, drafts[41:])
    assert [(finding.rule, finding.severity) for finding in await services.tools.lint(caller, project.id)] == [("tool-count", "error")]


@pytest.mark.parametrize(
    ("schema", "rule"),
    [
        ({"type": "array"}, "schema-root"),
        ({"type": "object", "properties": {}}, "schema-open"),
        ({"type": "object", "additionalProperties": False, "properties": {"a": True}}, "schema-boolean"),
        ({"type": "object", "additionalProperties": False, "properties": {"a": {"$ref": "#/x", "description": "d"}}}, "schema-keyword"),
        ({"type": "object", "additionalProperties": False, "properties": {"a": {"anyOf": [], "description": "d"}}}, "schema-keyword"),
        ({"type": "object", "additionalProperties": False, "properties": {"a": {"type": ["string", "null"]}}}, "schema-type-union"),
        ({"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}}}, "schema-description"),
        ({"type": "object", "additionalProperties": False, "properties": {"a b": {"type": "string"}}}, "schema-property-name"),
        ({"type": "object", "additionalProperties": False, "properties": {"a": {"type": "array", "items": {}}}}, "schema-untyped"),
        ({"type": "object", "additionalProperties": False, "required": ["a"]}, "schema-required"),
    ],
)
def test_a_schema_that_not_every_client_reads_is_found(schema: dict[str, Any], rule: str) -> None:
    assert rule in {found for found, _, _ in schema_problems(schema, is_input=True)}
