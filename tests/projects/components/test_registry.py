"""Which component stands behind which name."""

import logging
from importlib.metadata import EntryPoint

import pytest

from projects.components import registry
from projects.components.input_output.chat_input import ChatInput
from projects.components.known_types import contains_code, describe_unsupported, known_types
from projects.components.models_and_agents.prompt_template import PromptTemplate
from projects.components.processing.parser import Parser
from projects.components.registry import ComponentRegistry, builtin_components, load_registry
from projects.engine.component import Component


def test_a_component_is_found_by_type_alias_class_display_name_and_extension_name() -> None:
    known = load_registry(plugins=False)
    assert known.find("Prompt Template") is PromptTemplate
    assert known.find("Prompt") is PromptTemplate
    assert known.find("parser") is Parser
    assert known.find("Parser") is Parser
    assert known.find("Chat Input") is ChatInput
    assert known.find("ext:core:ChatInput@official") is ChatInput
    assert known.find("ext:core:ChatInput") is ChatInput


def test_an_unknown_type_is_not_found() -> None:
    known = load_registry(plugins=False)
    assert known.find("NoSuchThing") is None
    assert known.find("ext:") is None
    assert known.find("") is None


def test_every_declared_output_has_its_method_and_every_name_is_unique() -> None:
    for component in builtin_components():
        assert component.type and component.display_name and component.description and component.icon
        for names in ([item.name for item in component.declared_inputs], [item.name for item in component.declared_outputs]):
            assert len(names) == len(set(names)), component
        for output in component.declared_outputs:
            assert callable(getattr(component, output.method)), (component, output)


def test_categories_hold_every_component_once() -> None:
    known = load_registry(plugins=False)
    listed = [component for components in known.by_category().values() for component in components]
    assert sorted(component.type for component in listed) == sorted(component.type for component in known)
    assert len(known) == len(builtin_components())


def test_two_components_of_one_type_are_refused_by_name() -> None:
    class Impostor(Component):
        type = "ChatInput"

    with pytest.raises(ValueError, match=r"Two components are called 'ChatInput'.*Impostor"):
        ComponentRegistry([ChatInput, Impostor])


class Shouter(Component):
    """What a plugin package brings."""

    type = "Shouter"
    display_name = "Shouter"


class Usurper(Component):
    type = "ChatInput"


SEVERAL = [Shouter]
NO_COMPONENT = "something else"


def _plugins(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    points = [EntryPoint(name=value, value=f"{__name__}:{value}", group=registry.ENTRY_POINT_GROUP) for value in values]
    monkeypatch.setattr(registry, "entry_points", lambda *, group: points if group == registry.ENTRY_POINT_GROUP else [])


def test_a_plugin_names_a_class_or_a_list_of_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    _plugins(monkeypatch, "Shouter")
    assert load_registry().find("Shouter") is Shouter
    _plugins(monkeypatch, "SEVERAL")
    assert load_registry().find("Shouter") is Shouter


def test_a_broken_plugin_is_logged_and_the_others_still_load(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    _plugins(monkeypatch, "does_not_exist", "NO_COMPONENT", "Shouter")
    with caplog.at_level(logging.ERROR):
        known = load_registry()
    assert known.find("Shouter") is Shouter
    assert "does_not_exist" in caplog.text
    assert "NO_COMPONENT" in caplog.text


def test_a_plugin_cannot_take_over_a_type_of_ours(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    _plugins(monkeypatch, "Usurper")
    assert load_registry().find("ChatInput") is ChatInput
    assert "Usurper" in caplog.text


@pytest.mark.parametrize("document_type", known_types())
def test_a_known_type_without_a_component_is_told_with_reason_and_hint(document_type: str) -> None:
    described = describe_unsupported(document_type)
    assert described is not None
    reason, hint = described
    assert reason.endswith(".") and hint.endswith(".")
    assert load_registry(plugins=False).find(document_type) is None, "It has a component now: take it out of known_types.py."


@pytest.mark.parametrize("document_type", ["PythonREPLComponent", "PythonREPLTool", "PythonFunction", "SmartFunction", "CustomComponent"])
def test_what_runs_code_is_told_with_what_an_operator_can_do(document_type: str) -> None:
    described = describe_unsupported(document_type)
    assert described is not None and contains_code(document_type)
    assert "runs no code that is typed into a stock component, and no setting allows it" in described[0] and "plugin" in described[1]


@pytest.mark.parametrize(
    ("document_type", "instead"),
    [
        ("SequentialCrewComponent", "Agent"),
        ("XMLAgent", "Agent"),
        ("RetrieverTool", "Knowledge"),
        ("ext:cohere:CohereRerankComponent@official", "API Request"),
        ("ExportDoclingDocument", "Split Text"),
        ("AmazonBedrockModel", "Language Model"),
        ("SearchComponent", "Web Search"),
        ("SQLAgent", "SQL Database"),
        ("RetrievalQA", "Knowledge"),
        ("SemanticTextSplitter", "Split Text"),
        ("Pinecone", "Knowledge"),
        ("TavilySearchComponent", "Web Search"),
        ("MistralModelX", "Language Model"),
        ("AstraDB", "Knowledge"),
        ("AssemblyAITranscriber", "API Request"),
    ],
)
def test_a_type_of_a_framework_or_vendor_is_told_with_what_takes_its_place(document_type: str, instead: str) -> None:
    described = describe_unsupported(document_type)
    assert described is not None
    assert instead in described[1]


def test_a_framework_s_component_is_called_that() -> None:
    for document_type, framework in (("HierarchicalCrewComponent", "CrewAI"), ("XMLAgent", "LangChain")):
        described = describe_unsupported(document_type)
        assert described is not None
        assert described[0].startswith("Framework component, not supported") and framework in described[0]


def test_a_vendor_type_names_its_bundle() -> None:
    for document_type, bundle in (
        ("PineconeVectorStore", "pinecone"),
        ("SlackPoster", "slack"),
        ("ext:acme:Rocket@official", "acme"),
        ("ExaSearch", "exa"),
    ):
        described = describe_unsupported(document_type)
        assert described is not None
        assert f"{bundle!r} bundle" in described[0]


def test_the_two_vendor_accounts_in_shipped_flows_are_called_that() -> None:
    for document_type, vendor in (("AstraDB", "Astra DB"), ("AssemblyAITranscriber", "AssemblyAI")):
        described = describe_unsupported(document_type)
        assert described is not None
        assert described[0].startswith("Vendor account needed") and vendor in described[0]


def test_a_type_nobody_knows_is_not_described() -> None:
    assert describe_unsupported("WordCounter") is None
    assert describe_unsupported("Example") is None
    assert describe_unsupported("GitHubby") is not None  # begins with a bundle's name
    assert describe_unsupported("") is None
