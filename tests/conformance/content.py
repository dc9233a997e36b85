"""The resources, templates and prompts that the suite reads, as a plugin brings them."""

import json
from collections.abc import Mapping

from projects.engine.questions import Question
from projects.plugin_content import (
    EmbeddedPart,
    MediaPart,
    PluginContent,
    PluginPrompt,
    PluginResource,
    PluginTemplate,
    PromptArgument,
    PromptMessage,
    TextPart,
)
from tests.conformance.components import PIXEL

WORDS = ("park", "party", "testing", "tested")


def _suggest(typed: str) -> list[str]:
    return [word for word in WORDS if word.startswith(typed)]


def _record(variables: Mapping[str, str]) -> str:
    return json.dumps({"id": variables["id"], "templateTest": True, "data": f"Data for ID: {variables['id']}"})


def _with_arguments(given: Mapping[str, str]) -> list[PromptMessage]:
    return [PromptMessage(TextPart(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"))]


def _with_resource(given: Mapping[str, str]) -> list[PromptMessage]:
    embedded = EmbeddedPart(given["resourceUri"], "Embedded resource content for testing.")
    return [PromptMessage(embedded), PromptMessage(TextPart("Please process the embedded resource above."))]


def _with_image(given: Mapping[str, str]) -> list[PromptMessage]:
    return [PromptMessage(MediaPart(PIXEL, "image/png")), PromptMessage(TextPart("Please analyze the image above."))]


CONTENT = PluginContent(
    resources=(
        PluginResource(
            "test://static-text",
            "static-text",
            lambda: "This is the content of the static text resource.",
            description="A text that never changes.",
        ),
        PluginResource("test://static-binary", "static-binary", lambda: PIXEL, "image/png", description="A picture of one pixel."),
    ),
    templates=(
        PluginTemplate(
            "test://template/{id}/data", "template-data", _record, "application/json", description="A record made from its address."
        ),
    ),
    prompts=(
        PluginPrompt(
            "test_simple_prompt",
            lambda given: [PromptMessage(TextPart("This is a simple prompt for testing."))],
            description="A prompt without arguments.",
        ),
        PluginPrompt(
            "test_prompt_with_arguments",
            _with_arguments,
            (
                PromptArgument("arg1", "First argument", is_required=True, suggest=_suggest),
                PromptArgument("arg2", "Second argument", is_required=True),
            ),
            description="A prompt with two arguments.",
        ),
        PluginPrompt(
            "test_prompt_with_embedded_resource",
            _with_resource,
            (PromptArgument("resourceUri", "Address of the resource", is_required=True),),
            description="A prompt with a resource in it.",
        ),
        PluginPrompt(
            "test_input_required_result_prompt",
            lambda given: [PromptMessage(TextPart(f"Context: {given['context']}"))],
            asks=(
                Question(
                    "user_context",
                    "",
                    "human_input",
                    "What context should the prompt use?",
                    {"type": "object", "properties": {"context": {"type": "string"}}, "required": ["context"]},
                ),
            ),
            description="A prompt that asks a person first.",
        ),
        PluginPrompt("test_prompt_with_image", _with_image, description="A prompt with a picture in it."),
    ),
)
