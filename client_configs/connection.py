"""What a client is told: the server's name, its addresses, the command of its bridge, and how the key is written down.

The command is never taken from outside: it is our own executable, or one public bridge pinned by version.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from pathlib import PurePath
from urllib.parse import urlsplit

from client_configs.problems import InvalidConnection

# Clients put the server's name before each tool's name, and model APIs cut names at 64 characters.
MAXIMUM_NAME_LENGTH = 26
NAME_PREFIX = "hw-"
PLACEHOLDER = "YOUR_HEADWATER_API_KEY"
PUBLIC_BRIDGE = "mcp-remote@0.15.1"

NAME_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,24}[a-z0-9])?")
# Narrower than RFC 3986: no user, query or fragment (they may hold secrets), and nothing that `cmd /c` or a shell would read.
ADDRESS_PATTERN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/:@-]*)?")
KEY_PATTERN = re.compile(r"[\x21-\x7e]{1,512}")
VARIABLE_PATTERN = re.compile(r"[A-Z_][A-Z0-9_]*")
HEADER_PATTERN = re.compile(r"[A-Za-z0-9-]+")


class Transport(StrEnum):
    STREAMABLE_HTTP = "streamable-http"
    SSE = "sse"
    STDIO = "stdio"


class KeyHandling(StrEnum):
    """How the key is written into an entry."""

    IN_FILE = "in_file"
    """As it is: only for a file that one person can read."""
    REFERENCE = "reference"
    """As the client's own name for an environment variable or a stored input."""
    PLACEHOLDER = "placeholder"
    """As words a person replaces: for links, pages and blocks to paste."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program a client starts; secrets are in `environment` only, never in `arguments`."""

    program: str
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Connection:
    """One project's server, as a client sees it. The stdio form is our executable when there is one, else the public bridge."""

    server_name: str
    http_url: str
    sse_url: str | None = None
    executable: PurePath | None = None
    key: str | None = field(default=None, repr=False)
    needs_key: bool = True
    header: str = "x-api-key"
    variable: str = "HEADWATER_API_KEY"

    def __post_init__(self) -> None:
        if not NAME_PATTERN.fullmatch(self.server_name):
            raise InvalidConnection(
                f"{self.server_name!r} is not a server name: use a-z, 0-9 and hyphens, at most {MAXIMUM_NAME_LENGTH} characters."
            )
        for address in (self.http_url, self.sse_url):
            if address is not None and not ADDRESS_PATTERN.fullmatch(address):
                raise InvalidConnection(
                    f"{address!r} is not an address a client can be given: http(s)://host[:port]/path, without a query."
                )
        if self.key is not None and not KEY_PATTERN.fullmatch(self.key):
            raise InvalidConnection("The key has characters that do not fit into a header: use printable ASCII without spaces.")
        if not VARIABLE_PATTERN.fullmatch(self.variable):
            raise InvalidConnection(f"{self.variable!r} is not the name of an environment variable.")
        if not HEADER_PATTERN.fullmatch(self.header):
            raise InvalidConnection(f"{self.header!r} is not the name of a header.")
        if self.executable is not None and not self.executable.is_absolute():
            raise InvalidConnection(f"{str(self.executable)!r} must be an absolute path: clients start it from folders of their own.")

    def has_address(self, address: str) -> bool:
        """Whether this is one of our two addresses, whatever name loopback goes by."""
        ours = {comparable_address(own) for own in (self.http_url, self.sse_url) if own is not None}
        return comparable_address(address) in ours

    def has_path(self, address: str) -> bool:
        """Whether the address has the path of one of ours: the same project, perhaps after the server moved."""
        path = urlsplit(address).path.rstrip("/") if ADDRESS_PATTERN.fullmatch(address) else ""
        return len(path) > 1 and path in {urlsplit(own).path.rstrip("/") for own in (self.http_url, self.sse_url) if own is not None}

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.http_url)

    def local_command(self) -> Command:
        """The stdio form on the machine that holds the executable (or, without one, the public bridge)."""
        if self.executable is not None:
            return Command(str(self.executable), ("connect", self.http_url))
        return self.public_command()

    def public_command(self) -> Command:
        """The second choice, for a machine without Headwater: a bridge from npm, its version pinned."""
        arguments = ["-y", PUBLIC_BRIDGE, self.http_url, "--transport", "http-only"]
        if self.http_url.startswith("http://") and not self.is_loopback:
            arguments.append("--allow-http")
        if self.needs_key:
            # No space after the colon: some clients on Windows split arguments at spaces.
            arguments += ["--header", f"{self.header}:${{{self.variable}}}"]
        return Command("npx", tuple(arguments))


def make_server_name(project_name: str, *, taken: Collection[str] = (), project_id: str = "") -> str:
    """A name for a project's server that every client takes; falls back to the project's id when the name is taken."""
    folded = unicodedata.normalize("NFKD", project_name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", folded).strip("-")
    identity = re.sub(r"[^a-z0-9]", "", project_id.lower())[-8:]
    if not words:
        words = identity or "project"
    name = (NAME_PREFIX + words)[:MAXIMUM_NAME_LENGTH].rstrip("-")
    if name not in taken:
        return name
    if identity and (with_identity := (NAME_PREFIX + words)[: MAXIMUM_NAME_LENGTH - 9].rstrip("-") + f"-{identity}") not in taken:
        return with_identity
    for number in range(2, len(taken) + 3):
        if (numbered := f"{name[: MAXIMUM_NAME_LENGTH - 1 - len(str(number))].rstrip('-')}-{number}") not in taken:
            return numbered
    raise AssertionError("one of n + 1 numbers is free among n names")


def comparable_address(address: str) -> str:
    """The address with one spelling for loopback, default ports and a last slash."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return address
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return address
    host = "loopback" if is_loopback(address) else parts.hostname.lower()
    return f"{parts.scheme}://{host}:{port or (443 if parts.scheme == 'https' else 80)}{parts.path.rstrip('/')}"


def is_loopback(address: str) -> bool:
    host = (urlsplit(address).hostname or "").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_public(address: str) -> bool:
    """Whether somebody on the internet could reach it: https, and no private or single-word host."""
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    if parts.scheme != "https" or is_loopback(address):
        return False
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".internal", ".lan"))
