"""Text Embedder and Embedding Similarity: one text as a vector, and how near two vectors are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from projects.components.conversion import plain_text
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data

_METRICS = ("Cosine Similarity", "Euclidean Distance", "Manhattan Distance")


class TextEmbedder(Component):
    type = "TextEmbedderComponent"
    display_name = "Text Embedder"
    description = "Turns a text into a vector with the connected embedding model."
    category = "models_and_agents"
    icon = "binary"
    aliases = ("TextEmbedder",)
    legacy = True
    reads_world = True
    declared_inputs = (
        Input("embedding_model", InputKind.HANDLE, "Embedding Model", required=True, types=("Embeddings",), field_type="other"),
        Input("message", InputKind.MESSAGE, "Message", "The text.", required=True, types=("Message",)),
    )
    declared_outputs = (Output("embeddings", "generate_embeddings", ("Data", "JSON"), "Embedding Data"),)

    async def generate_embeddings(self) -> Data:
        model = self.inputs.get("embedding_model")
        if isinstance(model, list):
            model = next(iter(model), None)
        if model is None or not hasattr(model, "embed"):
            raise ComponentError("No embedding model is connected.")
        text = plain_text(self.inputs.get("message"))
        if not text.strip():
            raise ComponentError("There is no text to turn into a vector.")
        (vector,) = await model.embed([text])
        return Data({"text": text, "embeddings": vector})


class EmbeddingSimilarity(Component):
    type = "EmbeddingSimilarityComponent"
    display_name = "Embedding Similarity"
    description = "Compares two vectors."
    category = "models_and_agents"
    icon = "equal"
    aliases = ("EmbeddingSimilarity",)
    legacy = True
    declared_inputs = (
        Input(
            "embedding_vectors",
            InputKind.DATA,
            "Embedding Vectors",
            "Two records with a vector each.",
            default=[],
            required=True,
            is_list=True,
            types=("Data", "JSON"),
            field_type="other",
        ),
        Input("similarity_metric", InputKind.STRING, "Similarity Metric", default=_METRICS[0], options=_METRICS),
    )
    declared_outputs = (Output("similarity_data", "compute_similarity", ("Data", "JSON"), "Similarity Data"),)

    async def compute_similarity(self) -> Data:
        vectors = [_vector(value) for value in self.inputs.get("embedding_vectors") or []]
        if len(vectors) != 2:
            raise ComponentError(f"Exactly two vectors can be compared; {len(vectors)} came.")
        first, second = vectors
        if len(first) != len(second):
            raise ComponentError(f"The vectors have different lengths, {len(first)} and {len(second)}: take one model for both.")
        match self.inputs.get("similarity_metric"):
            case "Euclidean Distance":
                found: dict[str, Any] = {"distance": math.dist(first, second)}
            case "Manhattan Distance":
                found = {"distance": sum(abs(a - b) for a, b in zip(first, second, strict=True))}
            case _:
                size = math.hypot(*first) * math.hypot(*second)
                found = {"cosine_similarity": sum(a * b for a, b in zip(first, second, strict=True)) / size if size else 0.0}
        return Data({"similarity_score": found})


def _vector(value: Any) -> Sequence[float]:
    found = value.data if isinstance(value, Data) else value
    if isinstance(found, dict):
        found = found.get("embeddings", found.get("embedding", found.get("vector")))
    if not isinstance(found, list) or not found or not all(isinstance(number, int | float) for number in found):
        raise ComponentError("A record holds no vector under `embeddings`.")
    return found
