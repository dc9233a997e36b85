"""Splitting a text at a separator and merging the pieces up to a size, with overlap."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Literal

from projects.engine.component import ComponentError

KeepSeparator = Literal["none", "start", "end"]

MAX_CHARACTERS = 50_000_000  # of all chunks: with an overlap as large as they are, each character would stand in thousands of them


def split(text: str, *, separator: str, chunk_size: int, overlap: int, keep: KeepSeparator = "none") -> list[str]:
    """Chunks of at most `chunk_size` characters where the pieces allow it: a longer piece stays whole."""
    glue = separator if keep == "none" else ""
    return _merge(_pieces(text, separator=separator, keep=keep), glue=glue, chunk_size=chunk_size, overlap=overlap)


def _pieces(text: str, *, separator: str, keep: KeepSeparator) -> Sequence[str]:
    if not separator:
        return text
    if keep == "none":
        return [piece for piece in text.split(separator) if piece]
    parts = re.split(f"({re.escape(separator)})", text)
    texts, separators = parts[0::2], parts[1::2]
    if keep == "start":
        pieces = [texts[0], *(found + piece for found, piece in zip(separators, texts[1:], strict=True))]
    else:
        pieces = [*(piece + found for piece, found in zip(texts, separators, strict=False)), texts[-1]]
    return [piece for piece in pieces if piece]


def _merge(pieces: Sequence[str], *, glue: str, chunk_size: int, overlap: int) -> list[str]:
    chunks: list[str] = []
    window: deque[str] = deque()
    length = 0  # of the window's pieces with glue between them
    total = 0

    def with_next(piece: str) -> int:
        return length + len(piece) + (len(glue) if window else 0)

    for piece in pieces:
        if window and with_next(piece) > chunk_size:
            chunks.append(glue.join(window))
            total += len(chunks[-1])
            if total > MAX_CHARACTERS:
                raise ComponentError(f"The chunks would hold more than {MAX_CHARACTERS:,} characters. Make them overlap less.")
            while window and (length > overlap or with_next(piece) > chunk_size):
                length -= len(window.popleft()) + (len(glue) if window else 0)
        length = with_next(piece)
        window.append(piece)
    if window:
        chunks.append(glue.join(window))
    return [stripped for chunk in chunks if (stripped := chunk.strip())]


def split_recursively(text: str, *, separators: Sequence[str], chunk_size: int, overlap: int) -> list[str]:
    """At the first separator that the text has; what is still longer than `chunk_size` at the ones after it."""
    at = next((place for place, separator in enumerate(separators) if not separator or separator in text), len(separators))
    if at == len(separators):
        return [stripped] if (stripped := text.strip()) else []
    separator, finer = separators[at], separators[at + 1 :]
    chunks: list[str] = []
    short: list[str] = []
    for piece in _pieces(text, separator=separator, keep="none"):
        if len(piece) <= chunk_size or not finer:
            short.append(piece)
            continue
        chunks += _merge(short, glue=separator, chunk_size=chunk_size, overlap=overlap)
        short = []
        chunks += split_recursively(piece, separators=finer, chunk_size=chunk_size, overlap=overlap)
    return chunks + _merge(short, glue=separator, chunk_size=chunk_size, overlap=overlap)
