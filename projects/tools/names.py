"""Names that every client accepts, and texts without characters that nobody sees."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping

NAME_LENGTH = 30  # clients put the server's name before it, and model APIs stop at 64
CHOSEN_NAME_LENGTH = 46  # of a name that the author wrote for the tool: who chooses a longer one knows which clients come
SERVER_NAME_LENGTH = 26
RESERVED_NAMES = frozenset({"get_run"})  # tools of the server's own

_CONSIDERED = 1_000  # characters of a given name
_DROPPED = re.compile(r"[^\w\s-]", re.ASCII)
_JOINED = re.compile(r"[\s_-]+")

# Letters and marks that are drawn as nothing: fillers, joiners, and the selectors that can smuggle bytes behind a picture.
_INVISIBLE = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE0F)))
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))


def clean_name(name: str, *, length: int = NAME_LENGTH) -> str:
    """ASCII lower case, digits and underscores; never empty, never starting with a digit, at most `length` characters."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", name[:_CONSIDERED]) if not unicodedata.combining(char))
    cleaned = _JOINED.sub("_", _DROPPED.sub("", plain)).strip("_").lower()
    if cleaned[:1].isdigit():
        cleaned = f"_{cleaned}"
    return cleaned[:length].rstrip("_") or "unnamed"


def server_name(project_name: str) -> str:
    """What a client calls the server of a project: `lf-` and the name with Latin letters in ASCII, other scripts kept, at most 26 long."""
    folded = []
    for char in unicodedata.normalize("NFC", project_name[:_CONSIDERED]):
        plain = unicodedata.normalize("NFKD", char)[:1]
        char = plain if plain.isascii() else char
        folded.append(char if char.isalnum() or char in "_- " else "_" if char.isspace() else "")
    name = _JOINED.sub("_", "".join(folded)).strip("_").lower()
    return f"lf-{(f'_{name}' if name[:1].isdigit() else name)[:SERVER_NAME_LENGTH].rstrip('_') or 'unnamed'}"


def unique_name(name: str, taken: Collection[str], *, length: int = NAME_LENGTH) -> str:
    """The name, or the name with `_1`, `_2` … inside the length."""
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        candidate = _numbered(name, number, length)
    return candidate


def assigned_names(wanted: Iterable[tuple[str, str]], kept: Mapping[str, str]) -> dict[str, str]:
    """Flow id → name for (flow id, cleaned name) pairs: whoever has a name keeps it, the others get free ones in the given order.

    So a flow that is renamed to another one's name, or comes later, never gets the calls that are meant for the other.
    """
    pairs = list(wanted)
    taken = set(RESERVED_NAMES)
    names: dict[str, str] = {}
    for flow_id, name in pairs:
        known = kept.get(flow_id)
        if known is not None and known not in taken and _is_of(known, name):
            names[flow_id] = known
            taken.add(known)
    for flow_id, name in pairs:
        if flow_id not in names:
            names[flow_id] = unique_name(name, taken, length=_length(name))
            taken.add(names[flow_id])
    return {flow_id: names[flow_id] for flow_id, _ in pairs}


def _length(name: str) -> int:
    """How long a cleaned name may be with its number."""
    return max(NAME_LENGTH, len(name))


def _numbered(name: str, number: int, length: int) -> str:
    return f"{name[: length - len(str(number)) - 1]}_{number}"


def _is_of(known: str, name: str) -> bool:
    """Whether a kept name is this one, perhaps with a number."""
    number = known.rpartition("_")[2]
    return known == name or (number.isascii() and number.isdigit() and known == _numbered(name, int(number), _length(name)))


def shown_text(text: str, *, length: int, lines: bool = False) -> str:
    """The text as a person would see it: without controls, zero-width and direction characters; cut to `length` with an ellipsis."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(_shown(char, lines) for char in text[: length * 4])
    text = text.strip() if lines else " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def has_hidden_characters(text: str) -> bool:
    """Whether `shown_text` takes something away that nobody would see."""
    return any(not _shown(char, lines=True) and char != "\r" for char in text)


def _shown(char: str, lines: bool) -> str:
    if char in "\n\t\u2028\u2029":
        return char if lines and char in "\n\t" else "\n" if lines else " "
    return "" if char in _INVISIBLE or unicodedata.category(char) in ("Cc", "Cf", "Cs", "Cn") else char
