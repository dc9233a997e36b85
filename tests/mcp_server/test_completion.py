"""completion/complete: options of prompts' arguments, sessions, files."""

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from tests.flow_documents import chat_input, chat_output, document, edge, prompt
from tests.mcp_server.conftest import ERAS, Served
from tests.mcp_server.test_prompts import show, translating
from tests.mcp_server.test_resources import upload

every_era = pytest.mark.parametrize("era", ERAS)


@every_era
async def test_options_of_a_prompts_argument_are_completed(served: Served, era: str) -> None:
    await served.add_tool("translator", translating())
    await show(served, expose_prompts=True)
    async with served.client(era) as client:
        assert client.server_capabilities.completions is not None
        ref = PromptReference(name="translator_translate")
        for typed, values in (("", ["politely", "plainly"]), ("PO", ["politely"]), ("x", [])):
            told = (await client.complete(ref, {"name": "tone", "value": typed})).completion
            assert (told.values, told.total, told.has_more) == (values, len(values), False)
        assert (await client.complete(ref, {"name": "language", "value": ""})).completion.values == []
        for wrong, name in ((ref, "nothing"), (PromptReference(name="nothing"), "tone")):
            with pytest.raises(MCPError) as refusal:
                await client.complete(wrong, {"name": name, "value": ""})
            assert refusal.value.error.code == -32602


async def test_sessions_are_completed_where_an_argument_or_a_variable_is_one(served: Served) -> None:
    made = prompt("Prompt Template-p", "About {session_id}", "session_id")
    edges = [edge("Prompt Template-p", "ChatOutput-out", "input_value", output="prompt")]
    flow = await served.add_tool("about", document([chat_input(), made, chat_output()], edges))
    await show(served, expose_prompts=True)
    async with served.client() as client:
        for session_id in ("red room", "blue"):
            await client.call_tool("about", {"session_id": session_id, "input_value": "x"})
        told = await client.complete(PromptReference(name="about"), {"name": "session_id", "value": "r"})
        assert told.completion.values == ["red room"]
        templates = (await client.list_resource_templates()).resource_templates
        ref = ResourceTemplateReference(uri=next(each.uri_template for each in templates if "session_id" in each.uri_template))
        assert (await client.complete(ref, {"name": "flow_id", "value": "abou"})).completion.values == [flow.id]
        told = await client.complete(ref, {"name": "session_id", "value": ""}, context_arguments={"flow_id": flow.id})
        assert told.completion.values == ["blue", "red%20room"]
        assert (await client.complete(ref, {"name": "session_id", "value": ""})).completion.values == []


async def test_files_are_completed_by_name_or_id_and_at_most_a_hundred_at_once(served: Served) -> None:
    flow = await served.add_tool("reader")
    ids = [await upload(served.application, flow.id, f"{number:03}.txt", b"x") for number in range(105)]
    async with served.client() as client:
        ref = ResourceTemplateReference(uri=f"headwater://project/{served.application.project_id}/files/{{file_id}}")
        told = (await client.complete(ref, {"name": "file_id", "value": "104.t"})).completion
        assert told.values == [ids[104]]
        told = (await client.complete(ref, {"name": "file_id", "value": ""})).completion
        assert (told.values, told.total, told.has_more) == (ids[:100], 105, True)
        with pytest.raises(MCPError):
            await client.complete(ResourceTemplateReference(uri="headwater://{anything}"), {"name": "x", "value": ""})


async def test_whoever_is_not_the_owner_is_told_no_sessions(served: Served) -> None:
    made = prompt("Prompt Template-p", "About {session_id}", "session_id")
    edges = [edge("Prompt Template-p", "ChatOutput-out", "input_value", output="prompt")]
    await served.add_tool("about", document([chat_input(), made, chat_output()], edges))
    await show(served, expose_prompts=True, auth_settings={"auth_type": "none"})
    services, project_id = served.application.services, served.application.project_id
    await services.tools.call_tool(served.application.caller, project_id, "about", {"session_id": "the owner's", "input_value": "x"})
    access = await services.project_access.find(project_id)
    assert access is not None
    assert await services.prompts.suggest(served.application.caller, project_id, "about", "session_id", "") == ["the owner's"]
    for caller in (access.guest(), access.guest("session"), access.token_holder("carol")):
        assert await services.prompts.suggest(caller, project_id, "about", "session_id", "") == []
        assert not any("session_id" in each.uri_template for each in services.resources.list_templates(caller, project_id))
