"""Prompt Templates that an author shows, as prompts of the project's MCP server."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequestParams, ElicitResult

from mcp_server import wiring
from projects.engine.questions import Question
from projects.plugin_content import PluginContent, PluginPrompt, PromptArgument, PromptMessage, TextPart
from tests.application import open_application
from tests.flow_documents import chat_input, chat_output, document, edge, prompt
from tests.mcp_server.conftest import ERAS, Served, serve
from tests.mcp_server.long_runs import ASKS, accept, request

every_era = pytest.mark.parametrize("era", ERAS)


def translating() -> dict[str, Any]:
    """A chat whose text goes into one of two variables of a prompt; the other has the author's default."""
    made = prompt("Prompt Template-p", "Say {text} in {language}, {tone}. {{json}}", "text", "language", "tone")
    fields = made["data"]["node"]["template"]
    fields["tone"] |= {"value": "politely", "options": ["politely", "plainly"], "info": "How it sounds."}
    made["data"]["node"]["display_name"] = "Translate"
    edges = [edge("ChatInput-in", "Prompt Template-p", "text"), edge("Prompt Template-p", "ChatOutput-out", "input_value", output="prompt")]
    return document([chat_input(), made, chat_output()], edges)


async def show(served: Served, **settings: Any) -> None:
    answer = await served.application.http.patch(f"/api/v1/mcp/project/{served.application.project_id}", json={"settings": [], **settings})
    assert answer.status_code == 200, answer.text


@every_era
async def test_a_prompt_is_there_once_its_author_shows_it(served: Served, era: str) -> None:
    flow = await served.add_tool("translator", translating())
    async with served.client(era) as client:
        assert client.server_capabilities.prompts is None
        assert (await client.list_prompts()).prompts == []
    await show(served, prompts=[f"{flow.id}:Prompt Template-p"])
    async with served.client(era) as client:
        assert client.server_capabilities.prompts is not None
        assert client.server_capabilities.prompts.list_changed
        (listed,) = (await client.list_prompts()).prompts
        assert (listed.name, listed.title) == ("translator_translate", "Translate")
        assert [(each.name, each.required) for each in listed.arguments or []] == [("text", False), ("language", True), ("tone", False)]
        got: Any = await client.get_prompt(listed.name, {"language": "French", "text": "{tone}"})
        assert [(message.role, message.content.text) for message in got.messages] == [("user", "Say {tone} in French, politely. {json}")]
        wrong: list[tuple[dict[str, str], str]] = [({}, "needs language")]
        wrong += [({"language": "x", "extra": "y"}, "it takes text, language, tone")]
        for arguments, expected in wrong:
            with pytest.raises(MCPError, match=expected) as refusal:
                await client.get_prompt(listed.name, arguments)
            assert refusal.value.error.code == -32602
        with pytest.raises(MCPError) as refusal:
            await client.get_prompt("nothing", {})
        assert refusal.value.error.code == -32602
    await show(served, prompts=[])
    async with served.client(era) as client:
        assert client.server_capabilities.prompts is None


async def test_showing_all_prompts_gives_each_a_name_of_its_own(served: Served) -> None:
    await served.add_tool("one", translating())
    await served.add_tool("two", translating())
    await show(served, expose_prompts=True)
    async with served.client() as client:
        assert [each.name for each in (await client.list_prompts()).prompts] == ["one_translate", "two_translate"]
    read = (await served.application.http.get(f"/api/v1/mcp/project/{served.application.project_id}")).json()
    assert [(each["name"], each["arguments"], each["is_exposed"]) for each in read["prompts"]] == [
        ("one_translate", ["text", "language", "tone"], True),
        ("two_translate", ["text", "language", "tone"], True),
    ]
    first = read["prompts"][0]["key"]
    await show(served, prompts=[first])
    read = (await served.application.http.get(f"/api/v1/mcp/project/{served.application.project_id}")).json()
    assert [each["is_exposed"] for each in read["prompts"]] == [True, False]


async def test_a_key_of_another_projects_flow_is_refused_by_name(served: Served) -> None:
    application = served.application
    other = await application.services.projects.create(application.caller, name="Other")
    flow = await served.add_tool("far", translating(), project_id=other.id)
    path = f"/api/v1/mcp/project/{application.project_id}"
    for key in (f"{flow.id}:Prompt Template-p", "x", "", ":", "é:\u0000"):
        answer = await application.http.patch(path, json={"settings": [], "prompts": [key]})
        assert answer.status_code == 422, key
        assert answer.json()["detail"][0]["loc"] == ["body", "prompts", 0]
    badly: list[Any] = ["yes please", 3, [[]], [None], "a"]
    for each in badly:
        assert (await application.http.patch(path, json={"settings": [], "prompts": each})).status_code == 422
    assert (await application.stranger.patch(path, json={"settings": [], "prompts": []})).status_code == 404


@every_era
async def test_clients_hear_that_prompts_were_shown(served: Served, era: str) -> None:
    await served.add_tool("translator", translating())
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def note(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/prompts/list_changed":
            await heard.put(message.method)

    async with asyncio.timeout(20), served.client(era, message_handler=note) as client:
        if era == "auto":
            async with client.listen(prompts_list_changed=True) as changes:
                await show(served, expose_prompts=True)
                assert type(await anext(changes)).__name__ == "PromptsListChanged"
        else:
            await client.list_tools()
            await show(served, expose_prompts=True)
            await heard.get()


ASKED = Question(
    "who", "", "human_input", "Whom shall I greet?", {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
)


@pytest.fixture
def asking_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin's prompt that asks the person at the client, brought in as a plugin's would be."""
    prompt = PluginPrompt(
        "greet",
        lambda given: [PromptMessage(TextPart(f"{given['greeting']}, {given['who']}!"))],
        (PromptArgument("greeting", is_required=True),),
        asks=(ASKED,),
    )
    monkeypatch.setattr(wiring, "load_plugin_content", lambda: PluginContent(prompts=(prompt,)))


@every_era
async def test_a_prompt_that_asks_is_filled_in_with_what_the_person_says(asking_prompt: None, tmp_path: Path, era: str) -> None:
    answers = [ElicitResult(action="accept", content={"who": "Ada"}), ElicitResult(action="decline")]
    asked: list[str] = []

    async def answer(context: Any, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return answers[len(asked) - 1]

    async with open_application(tmp_path) as application, serve(application) as served:
        async with served.client(era, elicitation_callback=answer) as client:
            got: Any = await client.get_prompt("greet", {"greeting": "Good day"})
            assert got.messages[0].content.text == "Good day, Ada!"
            with pytest.raises(MCPError, match="did not want to answer"):
                await client.get_prompt("greet", {"greeting": "Good day"})
            with pytest.raises(MCPError, match="needs greeting"):
                await client.get_prompt("greet", {})
        assert asked == ["Whom shall I greet?"] * 2
        async with served.client(era) as client:
            with pytest.raises(MCPError, match="asks a person") as refusal:
                await client.get_prompt("greet", {"greeting": "Good day"})
            assert refusal.value.error.code == -32021


async def test_answers_to_a_prompt_that_fit_no_question_are_refused(asking_prompt: None, tmp_path: Path) -> None:
    async with open_application(tmp_path) as application, serve(application) as served:
        wanted: dict[str, Any] = {"name": "greet", "arguments": {"greeting": "Hi"}}
        asked = await request(served, "prompts/get", dict(wanted), capabilities=ASKS)
        assert asked["result"]["resultType"] == "input_required"
        assert list(asked["result"]["inputRequests"]) == ["who"]
        wrong: Any
        for wrong in ("text", [], {"who": 3}, {"who": accept(who=3)}, {"who": accept()}):
            answer = await request(served, "prompts/get", {**wanted, "inputResponses": wrong}, capabilities=ASKS)
            assert answer["error"]["code"] == -32602, wrong
        told = await request(served, "prompts/get", {**wanted, "inputResponses": {"who": accept(who="Ada")}}, capabilities=ASKS)
        assert told["result"]["messages"][0]["content"]["text"] == "Hi, Ada!"
