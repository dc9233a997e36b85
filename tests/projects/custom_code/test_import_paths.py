"""The modules and names that public components import are offered under both prefixes, and nothing is offered that fails to load."""

import ast

import pytest

from projects.custom_code import stock
from projects.custom_code.imports import importing, missing_imports
from projects.custom_code.surface import table

_INPUTS = """
BoolInput CodeInput DataFrameInput DataInput DefaultPromptField DictInput DropdownInput FileInput FloatInput HandleInput IntInput JSONInput
LinkInput McpInput MessageInput MessageTextInput ModelInput MultilineInput MultilineSecretInput MultiselectInput NestedDictInput PromptInput
QueryInput SecretStrInput SliderInput SortableListInput StrInput TabInput TableInput ToolsInput Output
"""
_TYPES = "Text Tool LanguageModel Embeddings BaseRetriever VectorStore Data NestedDict Code Object Retriever TextSplitter"
_MEMORY = "get_messages aget_messages store_message astore_message delete_message aupdate_messages"
WANTED = {
    "": "CustomComponent",
    "custom": "Component CustomComponent",
    "custom.custom_component.component": "Component",
    "custom.custom_component.custom_component": "CustomComponent",
    "custom.custom_component.component_with_cache": "ComponentWithCache",
    "io": _INPUTS,
    "inputs": _INPUTS,
    "inputs.inputs": _INPUTS,
    "inputs.input_mixin": "FieldTypes",
    "schema": "Data DataFrame Message dotdict Record",
    "schema.data": "Data JSON",
    "schema.message": "Message ErrorMessage",
    "schema.dataframe": "DataFrame Table",
    "schema.dotdict": "dotdict",
    "schema.content_block": "ContentBlock",
    "schema.content_types": "TextContent CodeContent ErrorContent JSONContent MediaContent ToolContent",
    "schema.properties": "Source Properties",
    "schema.table": "EditMode Column TableSchema",
    "schema.artifact": "ArtifactType",
    "schema.log": "Log LoggableType",
    "template": "Input Output",
    "template.field.base": "Input Output UNDEFINED",
    "template.utils": "apply_json_filter update_template_values update_frontend_node_with_template_values",
    "field_typing": _TYPES,
    "field_typing.range_spec": "RangeSpec",
    "field_typing.constants": _TYPES,
    "utils.constants": "MESSAGE_SENDER_AI MESSAGE_SENDER_USER MESSAGE_SENDER_NAME_AI MESSAGE_SENDER_NAME_USER",
    "utils.util": "unescape_string",
    "utils.async_helpers": "run_until_complete",
    "helpers": "data_to_text",
    "helpers.data": "data_to_text data_to_text_list docs_to_data safe_convert",
    "helpers.base_model": "BaseModel build_model_from_schema",
    "helpers.flow": "list_flows run_flow",
    "memory": _MEMORY,
    "base.memory": _MEMORY,
    "log.logger": "logger",
    "logging": "logger",
    "logging.logger": "logger",
    "services.deps": "get_settings_service get_storage_service get_variable_service session_scope get_cache_service",
    "base.io.chat": "ChatComponent",
    "base.io.text": "TextComponent",
    "base.models.model": "LCModelComponent",
    "base.langchain_utilities.model": "LCToolComponent",
    "base.tools.component_tool": "ComponentToolkit",
    "base.tools.constants": "TOOL_OUTPUT_NAME TOOL_OUTPUT_DISPLAY_NAME",
    "base.data": "BaseFileComponent",
    "base.data.utils": "IMG_FILE_TYPES TEXT_FILE_TYPES parse_text_file_to_data",
    "base.prompts.utils": "dict_values_to_string data_to_string",
    "base.prompts.api_utils": "process_prompt_template",
    "base.vectorstores.model": "LCVectorStoreComponent check_cached_vector_store",
    "base.textsplitters.model": "LCTextSplitterComponent",
    "base.embeddings.model": "LCEmbeddingsModel",
    "base.agents.agent": "LCToolsAgentComponent",
    "graph": "Graph",
    "graph.graph.base": "Graph",
    "graph.schema": "RunOutputs",
    "load": "run_flow_from_json",
    "components.input_output": "ChatInput ChatOutput TextInputComponent TextOutputComponent",
    "interface.custom.custom_component": "CustomComponent",
}


@pytest.mark.parametrize("prefix", table.PREFIXES)
def test_what_public_components_import_is_there(prefix: str) -> None:
    for path, names in WANTED.items():
        module = f"{prefix}.{path}".rstrip(".")
        for name in names.split():
            assert getattr(importing(module, fromlist=(name,)), name) is not None, f"from {module} import {name}"


@pytest.mark.parametrize("prefix", table.PREFIXES)
def test_stock_components_are_offered_by_category_and_module_and_other_names_are_told(prefix: str) -> None:
    for path, name in (
        ("input_output", "ChatInput"),
        ("processing.parser", "ParserComponent"),
        ("processing", "ParserComponent"),
        ("models_and_agents.agent", "AgentComponent"),
        ("agents", "AgentComponent"),
        ("prompts.prompt", "PromptComponent"),
        ("data.api_request", "APIRequestComponent"),
        ("logic", "ConditionalRouterComponent"),
        ("openai.openai_chat_model", "OpenAIModelComponent"),
    ):
        assert not missing_imports(ast.parse(f"from {prefix}.components.{path} import {name}"), is_stock=stock.is_offered), name
    assert not missing_imports(ast.parse(f"from {prefix}.io import *"), is_stock=stock.is_offered)
    everything = missing_imports(ast.parse(f"from {prefix}.no_such import *"), is_stock=stock.is_offered)
    assert [str(each) for each in everything] == [f"line 1: No module named '{prefix}.no_such' is offered to components here"]
    wrong = f"from {prefix}.components.processing import NoSuchComponent"
    assert [str(each) for each in missing_imports(ast.parse(wrong), is_stock=stock.is_offered)] == [
        f"line 1: '{prefix}.components.processing' has no 'NoSuchComponent' here"
    ]


def test_names_that_only_a_graph_of_its_own_would_need_say_what_to_do_instead() -> None:
    for name, module in (("Graph", "lfx.graph"), ("run_flow_from_json", "langflow.load")):
        with pytest.raises(NotImplementedError, match=r"self\.run_flow"):
            getattr(importing(module, fromlist=(name,)), name)("flow.json")


def test_templates_are_brought_up_to_date_and_answers_filtered() -> None:
    prompts = importing("langflow.base.prompts.api_utils", fromlist=("process_prompt_template",))
    templates = importing("lfx.template.utils", fromlist=("apply_json_filter",))
    fields: dict[str, list[str]] = {"template": ["old"]}
    template: dict[str, object] = {"template": {"value": ""}, "old": {"value": 1}}
    assert prompts.process_prompt_template("{a} and {b} {{not}}", "template", fields, template) == ["a", "b"]
    assert (list(template), fields) == (["template", "a", "b"], {"template": ["a", "b"]})
    with pytest.raises(ValueError, match="no name"):
        prompts.validate_prompt("{no name}")

    node = {"template": {"x": {"value": ""}, "new": {"value": 1}}, "display_name": "N"}
    templates.update_frontend_node_with_template_values(node, {"template": {"x": {"value": "typed"}}, "display_name": "N"})
    assert node["template"] == {"x": {"value": "typed"}, "new": {"value": 1}}
    found = {"items": [{"name": "a"}, {"name": "b"}]}
    assert templates.apply_json_filter(found, "items[1].name") == "b"
    assert templates.apply_json_filter(found, "items.name") == ["a", "b"]
    assert (templates.apply_json_filter(found, ""), templates.apply_json_filter(found, "no.such")) == (found, None)
