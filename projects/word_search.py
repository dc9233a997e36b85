"""Which texts have the words of a query, best first: a small ranking for what is already in memory. Pure."""

import math
import re
from collections import Counter
from collections.abc import Sequence

MAX_QUERY_WORDS = 64

_WORD = re.compile(r"\w+")
# Words that say nothing about a text; a query of nothing else is searched as it stands.
_EMPTY = """
a an and are as at be but by can did do does for from had has have how i if in is it its me my of on or our so that the their them there
they this to was we were what when where which who why will with would you your
"""
_EMPTY_WORDS = frozenset(_EMPTY.split())
_SATURATION, _LENGTH_WEIGHT = 1.5, 0.75  # the usual constants of BM25


def words_of(query: str) -> list[str]:
    """The words to look for, in lower case, each once; without empty words as long as others are left."""
    found = list(dict.fromkeys(_WORD.findall(query.lower())))
    telling = [word for word in found if word not in _EMPTY_WORDS]
    return (telling or found)[:MAX_QUERY_WORDS]


def score_texts(query: str, texts: Sequence[str]) -> list[float]:
    """BM25 of each text; 0 for a text without any of the words."""
    wanted = words_of(query)
    counts = [Counter(_WORD.findall(text.lower())) for text in texts]
    if not counts or not wanted:
        return [0.0] * len(texts)
    mean = max(sum(map(Counter.total, counts)) / len(counts), 1.0)
    weights = {word: _weight(sum(1 for count in counts if word in count), len(counts)) for word in wanted}
    return [sum(weights[word] * _frequency(count, word, mean) for word in wanted) for count in counts]


def _weight(holding: int, total: int) -> float:
    return math.log(1 + (total - holding + 0.5) / (holding + 0.5))


def _frequency(count: Counter[str], word: str, mean: float) -> float:
    found = count[word]
    return found * (_SATURATION + 1) / (found + _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * count.total() / mean))
