"""How near the meaning of messages is to a query: their vectors, made when first asked for and remembered by this process alone.

Nothing is kept in the database, so a deleted message leaves nothing behind. Above: `knowledge.py`. Below: an embedding model.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

from projects.errors import InvalidInput
from projects.models.chat import EmbeddingModel

MAX_REMEMBERED = 4_000  # vectors; about 6 kB each
MAX_CHARACTERS = 8_000  # of a message that the model reads
_EMBEDDED_AT_ONCE = 128

Similarities = Callable[[Sequence[float], Sequence[bytes]], Sequence[float]]


class MessageVectors:
    """One for the process. Vectors are remembered for their owner, since a flow chooses the model and its address."""

    def __init__(self, *, pack: Callable[[Sequence[float]], bytes], similarities: Similarities, limit: int = MAX_REMEMBERED) -> None:
        self._pack = pack
        self._similarities = similarities
        self._limit = limit
        self._known: OrderedDict[tuple[str, str, bytes], bytes] = OrderedDict()

    async def scores(self, owner_id: str, model: EmbeddingModel, query: str, texts: Sequence[str]) -> list[float]:
        """The cosine between the query and each text. Raises as the model does, and InvalidInput for vectors that do not fit together."""
        if not texts:
            return []
        keys = [(owner_id, model.name, hashlib.sha256(text.encode()).digest()) for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        found = {key: self._known[key] for key in keys if key in self._known}
        (wanted,) = await _embedded(model, [query])
        for start in range(0, len(missing), _EMBEDDED_AT_ONCE):
            some = list(missing.items())[start : start + _EMBEDDED_AT_ONCE]
            vectors = await _embedded(model, [text for _, text in some])
            found |= {key: self._pack(vector) for (key, _), vector in zip(some, vectors, strict=True)}
        self._remember(found)
        return list(await asyncio.to_thread(self._similarities, wanted, [found[key] for key in keys]))

    def _remember(self, found: dict[tuple[str, str, bytes], bytes]) -> None:
        for key, vector in found.items():
            self._known[key] = vector
            self._known.move_to_end(key)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)


async def _embedded(model: EmbeddingModel, texts: list[str]) -> list[list[float]]:
    vectors = await model.embed([text[:MAX_CHARACTERS] for text in texts])
    if len(vectors) != len(texts):
        raise InvalidInput(f"The embedding model gave {len(vectors)} vectors for {len(texts)} texts.")
    return vectors
