"""What guardrails find without a model: personal data, secrets, injections, code, links, words of lists."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_TEXT = 200_000  # characters that are looked at


@dataclass(frozen=True, slots=True)
class Finding:
    """`score` is how sure it is, from 0 to 1; `start` and `end` are where in the text, equal when it is in no one place."""

    check: str
    reason: str
    score: float
    start: int = 0
    end: int = 0


PII, SECRETS, JAILBREAK, INJECTION, CODE, OFFENSIVE = (
    "PII",
    "Tokens/Passwords",
    "Jailbreak",
    "Prompt Injection",
    "Malicious Code",
    "Offensive Content",
)

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,5}[A-Za-z]{2,24}(?![\w-])")
_PHONE = re.compile(r"(?<![\w+.-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?|\d{2,4}[ .-])\d{3,4}[ .-]?\d{3,4}(?![\w-])")
_SOCIAL = re.compile(r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)")
_CARD = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_IBAN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![A-Z0-9])")
_URL = re.compile(r"\bhttps?://[^\s<>\"')\]]{1,2000}", re.IGNORECASE)
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=])(?:[A-Za-z0-9+/]{4}){6,2000}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?(?![A-Za-z0-9+/=])")

_SECRET_PATTERNS: tuple[tuple[str, re.Pattern[str], float], ...] = (
    ("a provider's API key", re.compile(r"(?<![\w-])(?:sk|pk|rk)-(?:[A-Za-z0-9]{1,12}-)?[A-Za-z0-9_-]{16,200}(?![\w-])"), 0.95),
    ("a GitHub token", re.compile(r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255})(?!\w)"), 0.99),
    ("an AWS access key", re.compile(r"(?<!\w)(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)"), 0.99),
    ("a Google API key", re.compile(r"(?<!\w)AIza[A-Za-z0-9_-]{35}(?![\w-])"), 0.99),
    ("a Slack token", re.compile(r"(?<!\w)xox[abprs]-[A-Za-z0-9-]{10,200}"), 0.99),
    ("a JSON web token", re.compile(r"(?<![\w.])eyJ[\w-]{8,2000}\.eyJ[\w-]{8,4000}\.[\w-]{8,1000}"), 0.95),
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY-----"), 0.99),
    ("an address with a password", re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{1,100}:[^\s:/@]{1,100}@"), 0.95),
    (
        "a password",
        re.compile(
            r"\b(?:password|passwd|pwd|passphrase|secret|api[_ -]?key|access[_ -]?token)\b[\"']?\s{0,3}"
            r"(?:[:=]|is)\s{0,3}[\"']?[^\s\"',;]{6,200}",
            re.I,
        ),
        0.85,
    ),
)

_INJECTION_MARKERS: tuple[tuple[str, float], ...] = (
    (
        r"\b(?:ignore|disregard|forget|override|bypass)"
        r"\b.{0,30}\b(?:previous|prior|above|earlier|all|your|the|any)\b.{0,30}\b(?:instructions?|prompts?|rules?|directions?|guidelines?|context)\b",
        0.95,
    ),
    (
        r"\b(?:reveal|show|print|repeat|output|tell me|leak)"
        r"\b.{0,30}\b(?:system|hidden|initial|original|developer)\b.{0,15}\b(?:prompt|instructions?|message)\b",
        0.9,
    ),
    (r"\bnew (?:system )?instructions?\s{0,3}:", 0.8),
    (r"<\|?(?:im_start|im_end|system|endoftext)\|?>|\[/?INST\]|<</?SYS>>|^\s{0,3}###\s{0,3}system\b", 0.85),
    (r"\byou (?:must|should|will) (?:now )?(?:only )?(?:obey|follow) (?:me|my|these)\b", 0.7),
    (r"\bfrom now on\b.{0,40}\b(?:you|respond|answer|act)\b", 0.6),
)
_JAILBREAK_MARKERS: tuple[tuple[str, float], ...] = (
    (r"\bdo anything now\b|\bDAN mode\b|\bact as DAN\b", 0.95),
    (r"\bjail ?break(?:ed|ing)?\b", 0.75),
    (r"\b(?:developer|debug|god|admin|sudo|unrestricted|unfiltered) mode\b", 0.75),
    (
        r"\b(?:without|no|disable|remove|ignore|bypass)"
        r"\b.{0,25}\b(?:restrictions?|filters?|safety|censorship|content polic(?:y|ies)|guardrails?|limits)\b",
        0.8,
    ),
    (r"\bpretend\b.{0,40}\b(?:no rules|not an ai|evil|unrestricted|no restrictions)\b", 0.85),
    (r"\b(?:you are|you're) (?:now )?(?:free|unbound|no longer bound)\b", 0.7),
    (r"\bhypothetically\b.{0,60}\b(?:illegal|bomb|weapon|malware|hack)\b", 0.7),
)
_CODE_MARKERS: tuple[tuple[str, float], ...] = (
    (r"\brm\s+-[a-z]*[rf][a-z]*\s+[/~*]", 0.95),
    (r":\(\)\s?\{\s?:\|:&\s?\};:", 0.99),
    (r"\b(?:curl|wget)\b[^\n|]{1,200}\|\s?(?:ba|z)?sh\b", 0.9),
    (r"<script\b|\bjavascript:|\bonerror\s?=", 0.8),
    (r"(?:'|\")\s{0,3}(?:or|and)\s{0,3}(?:'|\")?1(?:'|\")?\s?=\s?(?:'|\")?1|\bunion\s+(?:all\s+)?select\b|;\s?drop\s+table\b", 0.9),
    (r"\b(?:os\.system|subprocess\.(?:run|call|Popen)|__import__|eval|exec)\s?\(", 0.7),
    (r"\bpowershell\b.{0,40}(?:-enc|-e |downloadstring|iex)\b", 0.9),
    (r"/etc/(?:passwd|shadow)\b|\.\./\.\./", 0.8),
)


def _compiled(markers: Iterable[tuple[str, float]]) -> tuple[tuple[re.Pattern[str], float], ...]:
    return tuple((re.compile(pattern, re.IGNORECASE | re.MULTILINE), score) for pattern, score in markers)


_MARKERS = {
    INJECTION: ("instructions against the assistant", _compiled(_INJECTION_MARKERS)),
    JAILBREAK: ("an attempt to lift the assistant's limits", _compiled(_JAILBREAK_MARKERS)),
    CODE: ("code that does harm", _compiled(_CODE_MARKERS)),
}


def find_personal_data(text: str) -> Iterator[Finding]:
    for kind, pattern, is_one in (
        ("an e-mail address", _EMAIL, None),
        ("a payment card number", _CARD, is_card_number),
        ("an account number (IBAN)", _IBAN, is_iban),
        ("a social security number", _SOCIAL, None),
        ("a phone number", _PHONE, _has_phone_length),
    ):
        yield from _found(PII, kind, text, pattern, 0.95 if pattern is not _PHONE else 0.8, is_one)


def find_secrets(text: str) -> Iterator[Finding]:
    for kind, pattern, score in _SECRET_PATTERNS:
        yield from _found(SECRETS, kind, text, pattern, score)


def find_markers(check: str, text: str) -> Iterator[Finding]:
    """Wording of injections, of jailbreaks, or of harmful code."""
    kind, markers = _MARKERS[check]
    for pattern, score in markers:
        yield from _found(check, kind, text, pattern, score)


def find_words(check: str, words: Sequence[str], text: str) -> Iterator[Finding]:
    """Words or phrases of a list, as whole words in any case."""
    for word in words:
        pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
        yield from _found(check, f"{word!r}", text, pattern, 1.0)


def find_links(text: str, allowed: Sequence[str]) -> Iterator[Finding]:
    """Links to hosts outside the list; an allowed domain brings its subdomains."""
    hosts = [host for item in allowed if (host := _host(item))]
    for match in _URL.finditer(text):
        host = _host(match.group())
        if not any(host == known or host.endswith("." + known) for known in hosts):
            yield Finding("URLs", f"a link to {host or 'an unreadable address'}", 0.9, match.start(), match.end())


def decoded_payloads(text: str) -> list[str]:
    """Text that is hidden in base64."""
    found = []
    for match in _BASE64.finditer(text):
        try:
            hidden = b64decode(match.group(), validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            continue
        if hidden.isprintable() or "\n" in hidden:
            found.append(hidden)
    return found


def without(text: str, findings: Iterable[Finding], *, mask: Callable[[Finding], str]) -> str:
    """The text with each finding replaced by its mask; overlapping ones become one."""
    parts: list[str] = []
    position = 0
    for finding in sorted((item for item in findings if item.end > item.start), key=lambda item: (item.start, -item.end)):
        if finding.start >= position:
            parts += (text[position : finding.start], mask(finding))
        position = max(position, finding.end)
    return "".join((*parts, text[position:]))


def is_card_number(text: str) -> bool:
    """The check digit of payment cards fits."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """The check digits of account numbers fit."""
    compact = text.replace(" ", "")
    moved = compact[4:] + compact[:4]
    return 15 <= len(compact) <= 34 and int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def _has_phone_length(text: str) -> bool:
    return 9 <= sum(character.isdigit() for character in text) <= 15


def _found(
    check: str, kind: str, text: str, pattern: re.Pattern[str], score: float, is_one: Callable[[str], bool] | None = None
) -> Iterator[Finding]:
    for match in pattern.finditer(text):
        if is_one is None or is_one(match.group()):
            yield Finding(check, kind, score, match.start(), match.end())


def _host(address: str) -> str:
    address = address.strip().lower()
    try:
        return (urlsplit(address if "://" in address else f"//{address}").hostname or "").removeprefix("www.").rstrip(".")
    except ValueError:
        return ""
