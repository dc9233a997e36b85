"""Secrets inside a flow's document, found and taken out of a copy: what leaves this server in a file must not carry them.

A field is secret when its author marked it a password or when its name says so; inside other values, names, headers, environments and
addresses are looked at too. A field bound to one of the caller's own variables keeps the variable's name, which is no secret.
"""

import re
from collections.abc import Iterator, Mapping, Set
from copy import deepcopy
from itertools import pairwise
from typing import Any

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORDS = frozenset(
    (
        *("apikey", "authorization", "bearer", "cookie", "credential", "credentials", "dsn", "jwt"),
        *("passphrase", "passwd", "password", "pwd", "secret", "secrets", "token"),
    )
)
_SECRET_PAIRS = frozenset(
    {
        ("api", "key"),
        ("api", "keys"),
        ("access", "key"),
        ("account", "key"),
        ("auth", "key"),
        ("connection", "string"),
        ("encryption", "key"),
        ("private", "key"),
        ("secret", "key"),
        ("service", "key"),
        ("signing", "key"),
        ("subscription", "key"),
    }
)
# `api_key_name`, `token_url`: where a secret is or what it is called, not the secret.
_ABOUT_SECRETS = frozenset(("endpoint", "field", "label", "length", "limit", "name", "param", "type", "uri", "url"))
# What such a table holds is told to another server or program; only these are known to be harmless.
_CARRIERS = frozenset(("headers", "header", "env", "environment"))
_HARMLESS = frozenset(
    ("accept", "accept-encoding", "accept-language", "cache-control", "content-encoding", "content-language", "content-type", "user-agent")
)
_SECRET_TYPES = frozenset(("SecretStrInput", "MultilineSecretInput"))
_USER_IN_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)[^/?#\s@\"']+@")
_QUERY_VALUE = re.compile(r"([?&;]([A-Za-z0-9_.-]{1,60})=)[^&;\s#\"']+")


def is_secret_name(name: str) -> bool:
    """Whether the name says that its value is a secret: `token2`, `apiKey`, `X-Api-Key`; not `max_tokens`."""
    words = [word.lower() for word in _WORD.findall(name[:200])]
    if words and words[-1] in _ABOUT_SECRETS:
        return False
    return not _SECRET_WORDS.isdisjoint(words) or any(pair in _SECRET_PAIRS for pair in pairwise(words))


def without_secrets(document: Mapping[str, Any], *, variable_names: Set[str] = frozenset()) -> dict[str, Any]:
    """A copy of a graph with every secret value null. `variable_names` may stay where a field is bound to a variable."""
    copy = deepcopy(dict(document))
    for template in templates_in(copy):
        for name, field in template.items():
            if isinstance(field, dict):
                _clean_field(str(name), field, variable_names)
    return copy


def templates_in(graph: Any) -> Iterator[dict[str, Any]]:
    """The template of every node, also of those inside groups."""
    graphs = [graph]
    while graphs:
        for node in nodes_of(graphs.pop()):
            described = _dict(_dict(node.get("data")).get("node"))
            if isinstance(template := described.get("template"), dict):
                yield template
            if isinstance(inner := _dict(described.get("flow")).get("data"), dict):
                graphs.append(inner)


def nodes_of(graph: Any) -> Iterator[dict[str, Any]]:
    nodes = _dict(graph).get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, dict):
            yield node


def _clean_field(name: str, field: dict[str, Any], variable_names: Set[str]) -> None:
    is_bound = field.get("load_from_db") is True
    is_password = field.get("password") is True or field.get("_input_type") in _SECRET_TYPES
    for key in ("value", "default"):
        value = field.get(key)
        if value in (None, "", [], {}) or field.get("type") == "code":
            continue
        if is_password or is_secret_name(name):
            is_name = is_bound and isinstance(value, str) and value in variable_names
            # A number or a switch under such a name (`use_token`) is a setting; in a password field it is not.
            if not is_name and (is_password or not isinstance(value, bool | int | float)):
                field[key] = None
        elif not (is_bound and isinstance(value, str)):
            field[key] = _cleaned(value, is_carrier=name.lower() in _CARRIERS)


def _cleaned(value: Any, *, is_carrier: bool = False) -> Any:
    """The value without what inside it is secret. JSON's nesting is bounded where the document came in."""
    match value:
        case str():
            return _QUERY_VALUE.sub(_query_value, _USER_IN_ADDRESS.sub(r"\1", value))
        case list():
            return [_cleaned(item, is_carrier=is_carrier) for item in value]
        case dict():
            # A row of a table of headers names what its value is in another cell.
            said = next((value[key] for key in ("key", "name") if isinstance(value.get(key), str)), None)
            cleaned: dict[str, Any] = {}
            for key, item in value.items():
                named = said if key == "value" and said is not None else str(key)
                is_cell = is_carrier and said is not None and key != "value"
                is_unknown = is_carrier and not is_cell and not isinstance(item, dict | list) and named.lower() not in _HARMLESS
                if (is_secret_name(named) or is_unknown) and not isinstance(item, bool | int | float):
                    cleaned[key] = None
                else:
                    cleaned[key] = _cleaned(item, is_carrier=is_carrier or str(key).lower() in _CARRIERS)
            return cleaned
        case _:
            return value


def _query_value(found: re.Match[str]) -> str:
    return found[1] if is_secret_name(found[2]) else found[0]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
