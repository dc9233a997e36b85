"""The providers of models that are known, and everything that differs between them: one table.

A provider that speaks OpenAI's API is a line here. Names of default models age; this is the only place that holds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Speaks(StrEnum):
    """Which API a provider has, so which file beside this one talks to it."""

    OPENAI = "openai"
    AZURE = "azure"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Provider:
    """`name` is Langflow's word for it. `keys` are the variables that hold its key, best first."""

    name: str
    keys: tuple[str, ...] = ()
    base_url: str = ""
    chat_model: str = ""
    embedding_model: str = ""
    speaks: Speaks = Speaks.OPENAI
    spellings: tuple[str, ...] = ()
    needs_key: bool = True


OPENAI = Provider("OpenAI", ("OPENAI_API_KEY",), "https://api.openai.com/v1", "gpt-4o-mini", "text-embedding-3-small")
OLLAMA = Provider("Ollama", base_url="http://127.0.0.1:11434/v1", needs_key=False)
LOCAL = Provider("Local", chat_model="smollm2", speaks=Speaks.LOCAL, spellings=("smollm2", "xllamacpp"), needs_key=False)

# In the order in which a key makes its provider the default.
PROVIDERS: tuple[Provider, ...] = (
    OPENAI,
    Provider(
        "Anthropic", ("ANTHROPIC_API_KEY",), "https://api.anthropic.com", "claude-haiku-4-5", speaks=Speaks.ANTHROPIC, spellings=("claude",)
    ),
    Provider(
        "Google Generative AI",
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        "https://generativelanguage.googleapis.com",
        "gemini-2.5-flash",
        "gemini-embedding-001",
        Speaks.GOOGLE,
        ("google", "gemini", "googleai", "googlegenai"),
    ),
    Provider("Groq", ("GROQ_API_KEY",), "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile"),
    Provider(
        "Mistral", ("MISTRAL_API_KEY",), "https://api.mistral.ai/v1", "mistral-small-latest", "mistral-embed", spellings=("mistralai",)
    ),
    Provider("OpenRouter", ("OPENROUTER_API_KEY",), "https://openrouter.ai/api/v1", "openrouter/auto"),
    Provider("DeepSeek", ("DEEPSEEK_API_KEY",), "https://api.deepseek.com/v1", "deepseek-chat"),
    Provider("xAI", ("XAI_API_KEY",), "https://api.x.ai/v1", "grok-3-mini", spellings=("grok",)),
    Provider("NVIDIA", ("NVIDIA_API_KEY",), "https://integrate.api.nvidia.com/v1", "meta/llama-3.1-8b-instruct", "nvidia/nv-embed-v1"),
    Provider("Cohere", ("COHERE_API_KEY",), "https://api.cohere.ai/compatibility/v1", "command-a-03-2025", "embed-v4.0"),
    Provider("Perplexity", ("PERPLEXITY_API_KEY",), "https://api.perplexity.ai", "sonar"),
    Provider("SambaNova", ("SAMBANOVA_API_KEY",), "https://api.sambanova.ai/v1", "Meta-Llama-3.3-70B-Instruct"),
    Provider("Novita", ("NOVITA_API_KEY",), "https://api.novita.ai/v3/openai", "meta-llama/llama-3.1-8b-instruct", spellings=("novitaai",)),
    Provider(
        "AI/ML API", ("AIML_API_KEY",), "https://api.aimlapi.com/v1", "gpt-4o-mini", "text-embedding-3-small", spellings=("aiml", "aimlapi")
    ),
    Provider("CometAPI", ("COMETAPI_KEY",), "https://api.cometapi.com/v1", "gpt-4o-mini"),
    Provider("MariTalk", ("MARITALK_API_KEY",), "https://chat.maritaca.ai/api", "sabia-3"),
    Provider(
        "Together",
        ("TOGETHER_API_KEY",),
        "https://api.together.xyz/v1",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        spellings=("togetherai",),
    ),
    Provider(
        "HuggingFace",
        ("HUGGINGFACEHUB_API_TOKEN", "HF_TOKEN"),
        "https://router.huggingface.co/v1",
        "meta-llama/Llama-3.1-8B-Instruct",
        spellings=("huggingfacehub", "huggingfaceinferenceapi"),
    ),
    Provider("Azure OpenAI", ("AZURE_OPENAI_API_KEY",), speaks=Speaks.AZURE, spellings=("azure",)),
    OLLAMA,
    Provider("LM Studio", ("LM_STUDIO_API_KEY",), "http://localhost:1234/v1", needs_key=False, spellings=("lmstudio",)),
    Provider("vLLM", ("VLLM_API_KEY",), needs_key=False),
    Provider("LiteLLM", ("LITELLM_API_KEY",), needs_key=False, spellings=("litellmproxy",)),
    LOCAL,
)

# ElevenLabs has no models of ours and speaks for conversations by voice; its key is the operator's as theirs are.
KEY_NAMES: tuple[str, ...] = (*(key for provider in PROVIDERS for key in provider.keys), "ELEVENLABS_API_KEY")

# Models named without their provider, as older nodes and people do.
_BY_MODEL = (
    (re.compile(r"(gpt-|chatgpt|o[1-9](-|$)|text-embedding-)"), "OpenAI"),
    (re.compile(r"claude"), "Anthropic"),
    (re.compile(r"gemini|gemma-.*-it"), "Google Generative AI"),
    (re.compile(r"(open-)?(mistral|mixtral|codestral|ministral|magistral)-"), "Mistral"),
    (re.compile(r"deepseek-(chat|reasoner|coder)"), "DeepSeek"),
    (re.compile(r"grok-"), "xAI"),
)
_BY_KEY = (
    ("sk-ant-", "Anthropic"),
    ("sk-or-", "OpenRouter"),
    ("AIza", "Google Generative AI"),
    ("gsk_", "Groq"),
    ("xai-", "xAI"),
    ("nvapi-", "NVIDIA"),
    ("hf_", "HuggingFace"),
    ("pplx-", "Perplexity"),
    ("sk-", "OpenAI"),
)


def _bare(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())


def _by_word(providers: Iterable[Provider]) -> dict[str, Provider]:
    return {_bare(word): provider for provider in providers for word in (*provider.spellings, provider.name)}


_WORDS = _by_word(PROVIDERS)


def find_provider(word: str) -> Provider | None:
    """By Langflow's name for it or another usual spelling, in any case."""
    return _WORDS.get(_bare(word))


def provider_of_model(model: str) -> Provider | None:
    """Whose model this is, when its name alone tells."""
    return next((find_provider(name) for pattern, name in _BY_MODEL if pattern.match(model.lower())), None)


def provider_of_key(key: str) -> Provider | None:
    """Whose key this is, when its beginning tells."""
    return next((find_provider(name) for beginning, name in _BY_KEY if key.startswith(beginning)), None)
