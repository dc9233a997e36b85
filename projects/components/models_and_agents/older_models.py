"""The nodes that older exports have for each provider: the Language Model with a provider of its own and that node's field names.

The names of keys, addresses and models that differ are read in `model_fields.py`; what is declared here is what the nodes bring.
"""

from __future__ import annotations

from projects.components.models_and_agents.language_model import MAX_TOKENS_INPUT, QUESTION_INPUTS, STREAM_INPUT, LanguageModel
from projects.engine.component import Input, InputKind


def _key(name: str = "api_key") -> Input:
    return Input(name, InputKind.STRING, "API Key", "Empty: the provider's key of this server.", password=True, falls_back=True)


def _address(name: str) -> Input:
    return Input(name, InputKind.STRING, "Base URL", "Empty: the provider's own address.", advanced=True, protected=True)


def _number(name: str, shown: str, default: float | str = "") -> Input:
    return Input(name, InputKind.NUMBER, shown, default=default, advanced=True, field_type="float")


def _whole(name: str, shown: str) -> Input:
    return Input(name, InputKind.INTEGER, shown, advanced=True, field_type="int")


def _text(name: str, shown: str, info: str = "") -> Input:
    return Input(name, InputKind.STRING, shown, info, advanced=True)


_NAME = Input("model_name", InputKind.STRING, "Model Name", "Empty: the provider's usual one.")
_OTHER_NAME = _text("model", "Model Name", "Older form of the model's name.")
_TEMPERATURE = _number("temperature", "Temperature", 0.1)
_SEED = _whole("seed", "Seed")
_JSON = Input("json_mode", InputKind.BOOLEAN, "JSON Mode", "Answer with JSON.", default=False, advanced=True, field_type="bool")
_TIMEOUT = _number("timeout", "Timeout", "")
_RETRIES = _whole("max_retries", "Max Retries")
_TOP_P = _number("top_p", "Top P", "")
_FURTHER = Input(
    "model_kwargs", InputKind.MAPPING, "Model Kwargs", "Further arguments of the call.", default={}, advanced=True, field_type="dict"
)
_COMMON = (*QUESTION_INPUTS, STREAM_INPUT, MAX_TOKENS_INPUT, _TEMPERATURE, _NAME)


class OpenAIModel(LanguageModel):
    """OpenAI, and whatever speaks its API at `openai_api_base`."""

    type = "OpenAIModel"
    display_name = "OpenAI"
    aliases = ("OpenAIModelComponent", "ChatOpenAI")
    legacy = True
    own_provider = "OpenAI"
    declared_inputs = (*_COMMON, _key(), _key("openai_api_key"), _address("openai_api_base"), _JSON, _SEED, _TIMEOUT, _RETRIES, _FURTHER)


class AnthropicModel(LanguageModel):
    """Anthropic."""

    type = "AnthropicModel"
    display_name = "Anthropic"
    aliases = ("AnthropicModelComponent", "ChatAnthropic")
    legacy = True
    own_provider = "Anthropic"
    declared_inputs = (*_COMMON, _OTHER_NAME, _key(), _key("anthropic_api_key"), _address("base_url"), _address("anthropic_api_url"))


class GroqModel(LanguageModel):
    """Groq."""

    type = "GroqModel"
    display_name = "Groq"
    aliases = ("GroqModelComponent",)
    legacy = True
    own_provider = "Groq"
    declared_inputs = (*_COMMON, _key(), _key("groq_api_key"), _address("base_url"), _address("groq_api_base"))


class OllamaModel(LanguageModel):
    """A model that Ollama runs."""

    type = "OllamaModel"
    display_name = "Ollama"
    aliases = ("ChatOllamaComponent", "ChatOllama", "OllamaModelComponent")
    legacy = True
    own_provider = "Ollama"
    declared_inputs = (*_COMMON, _key(), _address("base_url"), _TIMEOUT, _TOP_P)


class AzureOpenAIModel(LanguageModel):
    """A deployment of one's own on Azure."""

    type = "AzureOpenAIModel"
    display_name = "Azure OpenAI"
    aliases = ("AzureChatOpenAIComponent", "AzureChatOpenAI")
    legacy = True
    own_provider = "Azure OpenAI"
    declared_inputs = (
        *_COMMON,
        _key(),
        _address("azure_endpoint"),
        _text("azure_deployment", "Deployment Name"),
        _text("api_version", "API Version"),
    )


class GoogleGenerativeAIModel(LanguageModel):
    """Gemini."""

    type = "GoogleGenerativeAIModel"
    display_name = "Google Generative AI"
    aliases = ("GoogleGenerativeAIComponent", "ChatGoogleGenerativeAI")
    legacy = True
    own_provider = "Google Generative AI"
    declared_inputs = (
        *(declared for declared in _COMMON if declared is not MAX_TOKENS_INPUT),
        _OTHER_NAME,
        _key(),
        _key("google_api_key"),
        _whole("max_output_tokens", "Max Output Tokens"),
        _TOP_P,
    )


class MistralModel(LanguageModel):
    """Mistral."""

    type = "MistralModel"
    display_name = "MistralAI"
    aliases = ("MistralAIModelComponent", "ChatMistralAI")
    legacy = True
    own_provider = "Mistral"
    declared_inputs = (*_COMMON, _key(), _key("mistral_api_key"), _address("mistral_api_base"), _TIMEOUT, _RETRIES, _TOP_P)


class LMStudioModel(LanguageModel):
    """A model that LM Studio runs; its address is one that the operator has to allow."""

    type = "LMStudioModel"
    display_name = "LM Studio"
    aliases = ("LMStudioModelComponent",)
    legacy = True
    own_provider = "LM Studio"
    declared_inputs = (*_COMMON, _key(), _address("base_url"), _SEED, _FURTHER)


class NVIDIAModel(LanguageModel):
    """NVIDIA's catalogue, or a NIM at `base_url`."""

    type = "NVIDIAModelComponent"
    display_name = "NVIDIA"
    aliases = ("NVIDIAModel",)
    legacy = True
    own_provider = "NVIDIA"
    declared_inputs = (*_COMMON, _key(), _key("nvidia_api_key"), _address("base_url"), _SEED)


class XAIModel(LanguageModel):
    """Grok."""

    type = "xAIModel"
    display_name = "xAI"
    aliases = ("XAIModelComponent",)
    legacy = True
    own_provider = "xAI"
    declared_inputs = (*_COMMON, _key(), _key("xai_api_key"), _address("base_url"), _JSON, _SEED, _FURTHER)


class DeepSeekModel(LanguageModel):
    """DeepSeek."""

    type = "DeepSeekModel"
    display_name = "DeepSeek"
    aliases = ("DeepSeekModelComponent",)
    legacy = True
    own_provider = "DeepSeek"
    declared_inputs = (*_COMMON, _key(), _address("api_base"), _JSON, _SEED, _FURTHER)


class OpenRouterModel(LanguageModel):
    """Models of many makers through OpenRouter. The node's own field `provider` only sorts its list."""

    type = "OpenRouterComponent"
    display_name = "OpenRouter"
    aliases = ("OpenRouterModel",)
    legacy = True
    own_provider = "OpenRouter"
    declared_inputs = (*_COMMON, _key(), _text("provider", "Maker"))


class CohereModel(LanguageModel):
    """Cohere."""

    type = "CohereModel"
    display_name = "Cohere"
    aliases = ("CohereComponent",)
    legacy = True
    own_provider = "Cohere"
    declared_inputs = (*_COMMON, _key(), _key("cohere_api_key"))


class PerplexityModel(LanguageModel):
    """Perplexity."""

    type = "PerplexityModel"
    display_name = "Perplexity"
    aliases = ("PerplexityComponent",)
    legacy = True
    own_provider = "Perplexity"
    declared_inputs = (*_COMMON, _key(), _TOP_P)


class SambaNovaModel(LanguageModel):
    """SambaNova."""

    type = "SambaNovaModel"
    display_name = "SambaNova"
    aliases = ("SambaNovaComponent",)
    legacy = True
    own_provider = "SambaNova"
    declared_inputs = (*_COMMON, _key(), _address("base_url"), _TOP_P)


class NovitaModel(LanguageModel):
    """Novita."""

    type = "NovitaModel"
    display_name = "Novita AI"
    aliases = ("NovitaModelComponent",)
    legacy = True
    own_provider = "Novita"
    declared_inputs = (*_COMMON, _key(), _JSON, _SEED, _FURTHER)


class MaritalkModel(LanguageModel):
    """MariTalk."""

    type = "MaritalkModel"
    display_name = "MariTalk"
    aliases = ("Maritalk", "MaritalkModelComponent")
    legacy = True
    own_provider = "MariTalk"
    declared_inputs = (*_COMMON, _key())


class AIMLModel(LanguageModel):
    """AI/ML API."""

    type = "AIMLModel"
    display_name = "AI/ML API"
    aliases = ("AIMLModelComponent",)
    legacy = True
    own_provider = "AI/ML API"
    declared_inputs = (*_COMMON, _key(), _address("aiml_api_base"), _FURTHER)


class CometAPIModel(LanguageModel):
    """CometAPI."""

    type = "CometAPIModel"
    display_name = "CometAPI"
    aliases = ("CometAPIComponent",)
    legacy = True
    own_provider = "CometAPI"
    declared_inputs = (*_COMMON, _key(), _JSON, _SEED, _FURTHER)


class HuggingFaceModel(LanguageModel):
    """Models through Hugging Face's router."""

    type = "HuggingFaceModel"
    display_name = "Hugging Face"
    aliases = ("HuggingFaceEndpointsComponent",)
    legacy = True
    own_provider = "HuggingFace"
    declared_inputs = (*_COMMON, _text("model_id", "Model ID"), _key(), _key("huggingfacehub_api_token"), _TOP_P)


class VLLMModel(LanguageModel):
    """A model that vLLM runs, at `api_base`; a private address is one that the operator has to allow."""

    type = "vLLMModel"
    display_name = "vLLM"
    aliases = ("VllmComponent", "VLLMModel")
    legacy = True
    own_provider = "vLLM"
    declared_inputs = (*_COMMON, _key(), _address("api_base"), _JSON, _SEED, _TIMEOUT, _FURTHER)


class LiteLLMProxyModel(LanguageModel):
    """Whatever a LiteLLM proxy serves, at `api_base`."""

    type = "LiteLLMProxyModel"
    display_name = "LiteLLM Proxy"
    aliases = ("LiteLLMProxyComponent",)
    legacy = True
    own_provider = "LiteLLM"
    declared_inputs = (*_COMMON, _key(), _address("api_base"), _TIMEOUT, _RETRIES)


OLDER_MODELS: tuple[type[LanguageModel], ...] = (
    OpenAIModel,
    AnthropicModel,
    GroqModel,
    OllamaModel,
    AzureOpenAIModel,
    GoogleGenerativeAIModel,
    MistralModel,
    LMStudioModel,
    NVIDIAModel,
    XAIModel,
    DeepSeekModel,
    OpenRouterModel,
    CohereModel,
    PerplexityModel,
    SambaNovaModel,
    NovitaModel,
    MaritalkModel,
    AIMLModel,
    CometAPIModel,
    HuggingFaceModel,
    VLLMModel,
    LiteLLMProxyModel,
)
