"""Logging: one line an entry, in text or JSON, with the ids of request and run, and with API keys and tokens taken out."""

import json
import logging
import re
import sys
import time
from typing import Literal
from urllib.parse import unquote_plus

from mcp_server.request_identity import request_id
from projects.runs.observers import current_run

_QUERY_PAIR = re.compile(r"(?<=[?&])([^=&\s\"']+)=[^&\s\"']*")
_SECRET_NAMES = frozenset({"x-api-key", "api_key", "access_token", "refresh_token", "token", "password"})
_KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{16,}")
_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u2028\u2029]")
# These say at `info` what every request does, or at `debug` what stands in it.
CHATTY = ("httpx", "httpx2", "httpcore", "mcp", "alembic", "sse_starlette", "uvicorn.error", "websockets")
# This one says as a mistake of ours, with a stack trace and a part of the message, what its clients send wrong. They are told by a 4xx.
BLAMING = "mcp.server.sse"
LINE_LIMIT = 20_000  # characters of one entry; a stack trace fits, a hostile flow name does not fill the disk


def redact(text: str) -> str:
    """The text without anything that could be used to log in."""
    text = _QUERY_PAIR.sub(_redacted_pair, text)
    text = _KEY.sub("sk-[redacted]", text)
    return _TOKEN.sub("[redacted token]", text)


def _redacted_pair(pair: re.Match[str]) -> str:
    # A server decodes names before it compares them, so every spelling of a name counts.
    return f"{pair[1]}=[redacted]" if unquote_plus(pair[1]).strip().lower() in _SECRET_NAMES else pair[0]


def _one_line(text: str) -> str:
    escaped = text.replace("\r\n", "\n").replace("\n", "\\n")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", escaped)[:LINE_LIMIT]


def plain_line(record: logging.LogRecord) -> str:
    """The entry as one line without its time: level, logger, message, the ids of request and run, and what kind of error it was."""
    line = f"{record.levelname:<7} {record.name}: {_one_line(redact(record.getMessage()))}"
    if record.exc_info and record.exc_info[0] is not None:
        line += f" ({record.exc_info[0].__name__})"
    ids = [f"{name}={value}" for name, value in _ids() if value]
    return f"{line} [{' '.join(ids)}]" if ids else line


def _ids() -> tuple[tuple[str, str], tuple[str, str]]:
    return ("request_id", request_id.get()), ("run_id", current_run.get())


class _TextFormatter(logging.Formatter):
    """For a terminal: a message's own line breaks are escaped, a stack trace keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{moment} {plain_line(record)}"
        if record.exc_info:
            line += "\n" + redact(self.formatException(record.exc_info))[:LINE_LIMIT]
        return line


class _JsonFormatter(logging.Formatter):
    """For a collector: one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        entry = {
            "time": moment,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage())[:LINE_LIMIT],
            **{name: value for name, value in _ids() if value},
        }
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))[:LINE_LIMIT]
        return json.dumps(entry)


def configure_logging(level: str, style: Literal["text", "json"], *, access_log: bool = False) -> None:
    """Everything goes to standard error: standard output belongs to the first start's text, and on stdio to the protocol."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    logging.getLogger(BLAMING).setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if access_log else logging.WARNING)
