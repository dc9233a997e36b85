"""A curl command line, as people copy it out of a browser or a manual, read as a request. Nothing is run, and no file is read."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from projects.engine.component import ComponentError

MAX_LENGTH = 100_000

_WITH_VALUE = {
    "-X": "--request",
    "-H": "--header",
    "-d": "--data",
    "-u": "--user",
    "-A": "--user-agent",
    "-e": "--referer",
    "-b": "--cookie",
    "-F": "--form",
    "-m": "--max-time",
}
_DATA = frozenset(("--data", "--data-raw", "--data-binary", "--data-ascii", "--data-urlencode", "--json"))
_LONG_WITH_VALUE = frozenset((*_WITH_VALUE.values(), *_DATA, "--url", "--form-string", "--connect-timeout", "--retry", "--oauth2-bearer"))
_FLAGS = {"-G": "--get", "-I": "--head", "-L": "--location"}
# They change how curl itself speaks or prints, not what is asked.
# fmt: off
_WITHOUT_MEANING = frozenset((
    "-s", "--silent", "-S", "--show-error", "-i", "--include", "-v", "--verbose", "-f", "--fail", "-g", "--globoff", "-N", "--no-buffer",
    "--compressed", "--http1.1", "--http2", "-#", "--progress-bar", "-4", "-6", "--tlsv1.2", "--tlsv1.3",
))
# fmt: on
_VALUE_WITHOUT_MEANING = frozenset(("--max-time", "--connect-timeout", "--retry"))


@dataclass(slots=True)
class CurlCommand:
    """`body` None: there is none. `form` holds the fields of a multipart body."""

    url: str = ""
    method: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    form: list[tuple[str, str]] = field(default_factory=list)
    query: list[str] = field(default_factory=list)
    follow_redirects: bool = False


def parse(command: str) -> CurlCommand:
    """Raises ComponentError, naming what cannot be read."""
    if len(command) > MAX_LENGTH:
        raise ComponentError(f"The curl command is longer than {MAX_LENGTH:,} characters.")
    try:
        words = shlex.split(command.replace("\\\r\n", " ").replace("\\\n", " ").replace("^\n", " "))
    except ValueError as error:
        raise ComponentError(f"The curl command cannot be read: {error}.") from None
    if not words or words.pop(0).removesuffix(".exe") != "curl":
        raise ComponentError("A curl command begins with the word curl.")
    read = CurlCommand()
    data: list[str] = []
    is_get = False
    remaining = iter(words)
    for word in remaining:
        option, value = _option(word)
        if not option:
            if read.url:
                raise ComponentError(f"The curl command names two addresses: {read.url!r} and {word!r}.")
            read.url = word
            continue
        if option in _WITHOUT_MEANING:
            continue
        if option in ("--get", "--head", "--location"):
            is_get = is_get or option == "--get"
            read.method = "HEAD" if option == "--head" else read.method
            read.follow_redirects = read.follow_redirects or option == "--location"
            continue
        if option not in _LONG_WITH_VALUE:
            raise ComponentError(f"The curl option {word!r} is not supported here. Leave it out or use URL mode.")
        if value is None and (value := next(remaining, None)) is None:
            raise ComponentError(f"The curl option {word!r} has no value.")
        _take(read, data, option, value)
    if not read.url:
        raise ComponentError("The curl command names no address.")
    if is_get:
        read.query = data
        read.method = read.method or "GET"
    elif data:
        read.body = "&".join(data)
        _set_default(read.headers, "Content-Type", "application/x-www-form-urlencoded")
    read.method = (read.method or ("POST" if data or read.form else "GET")).upper()
    return read


def _option(word: str) -> tuple[str, str | None]:
    """The long name of an option and the value that is written into the same word; "" for a word that is none."""
    if not word.startswith("-") or word == "-":
        return "", None
    if word.startswith("--"):
        return word, None
    if word in _WITHOUT_MEANING:
        return word, None
    if word[:2] in _WITH_VALUE:
        return _WITH_VALUE[word[:2]], word[2:] or None
    if word in _FLAGS:
        return _FLAGS[word], None
    if all(f"-{letter}" in _WITHOUT_MEANING or letter == "L" for letter in word[1:]):  # such as -sSL
        return ("--location" if "L" in word else "-s"), None
    return word, None


def _take(read: CurlCommand, data: list[str], option: str, value: str) -> None:
    match option:
        case "--url":
            read.url = value
        case "--request":
            read.method = value
        case "--header":
            name, _, text = value.partition(":")
            if text.strip():
                read.headers[name.strip()] = text.strip()
        case "--user":
            user = value if ":" in value else f"{value}:"
            read.headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        case "--oauth2-bearer":
            read.headers["Authorization"] = f"Bearer {value}"
        case "--user-agent":
            read.headers["User-Agent"] = value
        case "--referer":
            read.headers["Referer"] = value
        case "--cookie":
            read.headers["Cookie"] = value
        case "--form" | "--form-string":
            name, _, text = value.partition("=")
            if option == "--form" and text[:1] in ("@", "<"):
                raise _no_file(option)
            read.form.append((name, text))
        case _ if option in _DATA:
            if value.startswith("@") and option != "--data-raw":
                raise _no_file(option)
            if option == "--json":
                _set_default(read.headers, "Content-Type", "application/json")
                _set_default(read.headers, "Accept", "application/json")
            data.append(_url_encoded(value) if option == "--data-urlencode" else value)
        case _:
            assert option in _VALUE_WITHOUT_MEANING


def _url_encoded(value: str) -> str:
    name, sign, text = value.partition("=")
    if not sign:
        if "@" in value:
            raise _no_file("--data-urlencode")
        return quote_plus(value)
    return f"{name}={quote_plus(text)}" if name else quote_plus(text)


def _set_default(headers: dict[str, str], name: str, value: str) -> None:
    if all(known.lower() != name.lower() for known in headers):
        headers[name] = value


def _no_file(option: str) -> ComponentError:
    return ComponentError(f"The curl option {option} names a file, and none is read here. Write the content into the command.")
