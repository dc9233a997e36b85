"""Embedding Model and the older nodes of single providers: a model that turns texts into vectors, for other nodes to use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from projects.components.models_and_agents.model_fields import model_choice
from projects.engine.component import Component, Input, InputKind, Output
from projects.models.chat import EmbeddingModel, ModelChoice

_OUTPUTS = (Output("embeddings", "build_embeddings", ("Embeddings",), "Embedding Model", tool_mode=False),)


def _key(name: str = "api_key") -> Input:
    return Input(
        name, InputKind.STRING, "API Key", "Empty: the provider's key of this server.", advanced=True, password=True, falls_back=True
    )


def _address(name: str) -> Input:
    return Input(name, InputKind.STRING, "Base URL", "Empty: the provider's own address.", advanced=True, protected=True)


def _whole(name: str, shown: str, info: str = "") -> Input:
    return Input(name, InputKind.INTEGER, shown, info, advanced=True, field_type="int")


def _text(name: str, shown: str) -> Input:
    return Input(name, InputKind.STRING, shown, advanced=True)


_MODEL = Input("model", InputKind.ANY, "Embedding Model", "Empty: the one that this server uses by default.", field_type="model")
_NAME = _text("model_name", "Model Name")
_DIMENSIONS = _whole("dimensions", "Dimensions", "Length of a vector, where the model lets it be chosen.")
_AT_ONCE = _whole("chunk_size", "Chunk Size", "Texts sent at once.")


class EmbeddingModelNode(Component):
    """`embeddings` is the model itself; it is asked by the nodes behind it."""

    type = "EmbeddingModel"
    display_name = "Embedding Model"
    description = "A model that turns texts into vectors."
    category = "models_and_agents"
    icon = "binary"
    aliases: ClassVar[tuple[str, ...]] = ("EmbeddingModelComponent",)
    takes_more_fields = True
    reads_world = True
    declared_inputs: ClassVar[tuple[Input, ...]] = (
        _MODEL,
        _key(),
        _text("provider", "Provider"),
        _NAME,
        _address("api_base"),
        _address("ollama_base_url"),
        _DIMENSIONS,
        _AT_ONCE,
    )
    declared_outputs = _OUTPUTS
    own_provider: ClassVar[str] = ""

    async def build_embeddings(self) -> EmbeddingModel:
        return await self.context.models.embedding_model(embedding_choice(self, provider=self.own_provider))


def embedding_choice(component: Component, *, provider: str = "") -> ModelChoice:
    """What the fields of a node with an embedding model name."""
    shown = f"{component.vertex.display_name} ({component.vertex.id})"
    choice = model_choice(component.inputs, provider=provider, node=shown)
    further: dict[str, Any] = {
        name: value for name in ("dimensions", "chunk_size") if isinstance(value := component.inputs.get(name), int) and value > 0
    }
    return replace(choice, options={**choice.options, **further})


class OpenAIEmbeddings(EmbeddingModelNode):
    type = "OpenAIEmbeddings"
    display_name = "OpenAI Embeddings"
    aliases = ("OpenAIEmbeddingsComponent",)
    legacy = True
    own_provider = "OpenAI"
    declared_inputs = (_MODEL, _key(), _key("openai_api_key"), _address("openai_api_base"), _DIMENSIONS, _AT_ONCE)


class OllamaEmbeddings(EmbeddingModelNode):
    type = "OllamaEmbeddings"
    display_name = "Ollama Embeddings"
    aliases = ("OllamaEmbeddingsComponent",)
    legacy = True
    own_provider = "Ollama"
    declared_inputs = (_NAME, _MODEL, _address("base_url"))


class AzureOpenAIEmbeddings(EmbeddingModelNode):
    type = "AzureOpenAIEmbeddings"
    display_name = "Azure OpenAI Embeddings"
    aliases = ("AzureOpenAIEmbeddingsComponent",)
    legacy = True
    own_provider = "Azure OpenAI"
    declared_inputs = (
        _MODEL,
        _key(),
        _address("azure_endpoint"),
        _text("azure_deployment", "Deployment Name"),
        _text("api_version", "API Version"),
        _DIMENSIONS,
        _AT_ONCE,
    )


class GoogleEmbeddings(EmbeddingModelNode):
    type = "Google Generative AI Embeddings"
    display_name = "Google Generative AI Embeddings"
    aliases = ("GoogleGenerativeAIEmbeddingsComponent", "GoogleGenerativeAIEmbeddings")
    legacy = True
    own_provider = "Google Generative AI"
    declared_inputs = (_NAME, _key(), _key("google_api_key"), _DIMENSIONS)


class MistralEmbeddings(EmbeddingModelNode):
    type = "MistalAIEmbeddings"
    display_name = "MistralAI Embeddings"
    aliases = ("MistralAIEmbeddings", "MistralAIEmbeddingsComponent")
    legacy = True
    own_provider = "Mistral"
    declared_inputs = (_MODEL, _key(), _key("mistral_api_key"))


class NVIDIAEmbeddings(EmbeddingModelNode):
    type = "NVIDIAEmbeddingsComponent"
    display_name = "NVIDIA Embeddings"
    aliases = ("NVIDIAEmbeddings",)
    legacy = True
    own_provider = "NVIDIA"
    declared_inputs = (_MODEL, _key(), _key("nvidia_api_key"), _address("base_url"))


class CohereEmbeddings(EmbeddingModelNode):
    type = "CohereEmbeddings"
    display_name = "Cohere Embeddings"
    aliases = ("CohereEmbeddingsComponent",)
    legacy = True
    own_provider = "Cohere"
    declared_inputs = (_NAME, _key(), _key("cohere_api_key"))


class LMStudioEmbeddings(EmbeddingModelNode):
    type = "LMStudioEmbeddingsComponent"
    display_name = "LM Studio Embeddings"
    aliases = ("LMStudioEmbeddings",)
    legacy = True
    own_provider = "LM Studio"
    declared_inputs = (_MODEL, _key(), _address("base_url"))


class AIMLEmbeddings(EmbeddingModelNode):
    type = "AIMLEmbeddingsComponent"
    display_name = "AI/ML API Embeddings"
    aliases = ("AIMLEmbeddings",)
    legacy = True
    own_provider = "AI/ML API"
    declared_inputs = (_NAME, _key())


OLDER_EMBEDDINGS: tuple[type[EmbeddingModelNode], ...] = (
    OpenAIEmbeddings,
    OllamaEmbeddings,
    AzureOpenAIEmbeddings,
    GoogleEmbeddings,
    MistralEmbeddings,
    NVIDIAEmbeddings,
    CohereEmbeddings,
    LMStudioEmbeddings,
    AIMLEmbeddings,
)
