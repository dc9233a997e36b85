"""What every component that calls the web shares: addresses as people write them, rows of headers, failures in words."""

from __future__ import annotations

import codecs
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from projects.components.conversion import plain_text
from projects.engine.component import Component, ComponentError
from projects.errors import AddressRefused

if TYPE_CHECKING:
    import httpx

USER_AGENT = "Mozilla/5.0 (compatible; Headwater)"

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)


def with_scheme(address: str) -> str:
    """An address without a scheme is taken as https."""
    address = address.strip()
    return address if _SCHEME.match(address) else f"https://{address.removeprefix('//')}"


def header_pairs(rows: Any) -> dict[str, str]:
    """Headers from an editor's rows or an object; those without a value are left out. Raises ComponentError for what no header can hold."""
    pairs: dict[str, str] = {}
    entries: Iterable[tuple[Any, Any]]
    if isinstance(rows, Mapping):
        entries = rows.items()
    else:
        entries = ((row.get("key"), row.get("value")) for row in rows or () if isinstance(row, Mapping))
    for key, value in entries:
        if key in (None, "") or value in (None, ""):
            continue
        name, text = str(key).strip(), plain_text(value)
        if not name.isascii() or any(letter in name + text for letter in "\r\n\0"):
            raise ComponentError(f"The header {name!r} holds characters that a header cannot have.")
        pairs[name] = text
    return pairs


@asynccontextmanager
async def guarded_call(component: Component, address: str) -> AsyncIterator[None]:
    """Failures of one call as the component's own words; a refused address names the node."""
    import httpx  # the client is here by now

    try:
        yield
    except AddressRefused as error:
        raise AddressRefused(f"{component.vertex.display_name} ({component.vertex.id}): {error.message}") from error
    except httpx.TimeoutException as error:
        raise ComponentError(f"{address} did not answer in time.") from error
    except httpx.TooManyRedirects as error:
        raise ComponentError(f"{address} redirects again and again.") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise ComponentError(f"{address!r} is no web address.") from error
    except httpx.HTTPError as error:
        raise ComponentError(f"{address} could not be read: {error or type(error).__name__}") from error


def refuse_bad_status(response: httpx.Response, address: str) -> None:
    if response.status_code >= 400:
        raise ComponentError(f"{address} answered with status {response.status_code}.")


def page_text(response: httpx.Response, *, detect: bool = True) -> str:
    """The body as text: by the header's charset, else by the page's own, else UTF-8."""
    name = response.charset_encoding
    if name is None and detect and (found := _CHARSET.search(response.content[:4_096])):
        name = found[1].decode("ascii", "replace")
    try:
        codec = codecs.lookup(name or "utf-8").name
        return response.content.decode(codec, "replace")
    except (LookupError, ValueError, TypeError):
        return response.content.decode("utf-8", "replace")
