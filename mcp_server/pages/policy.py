"""The headers of a page: nothing comes from elsewhere, nobody frames it, and only its own style and script count, by digest."""

import base64
import hashlib
import re


def page_headers(page: bytes) -> dict[str, str]:
    return {
        "content-security-policy": "; ".join(_policy(page)),
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
    }


def _policy(page: bytes) -> list[str]:
    rules = [
        "default-src 'none'",
        f"style-src {_digest(page, b'style')}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    if b"<script>" in page:
        rules += [f"script-src {_digest(page, b'script')}", "connect-src 'self'"]
    return rules


def _digest(page: bytes, element: bytes) -> str:
    found = re.search(rb"<%s>(.*?)</%s>" % (element, element), page, re.DOTALL)
    assert found is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1]).digest()).decode()}'"
