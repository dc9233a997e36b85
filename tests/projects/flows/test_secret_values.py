"""Which names and values are secrets, and what is left of a document without them."""

from copy import deepcopy

import pytest

from projects.flows.secret_values import is_secret_name, without_secrets
from tests import flow_documents as flows


@pytest.mark.parametrize(
    "name", ["api_key", "apiKey", "APIKEY", "OPENAI_API_KEY", "X-Api-Key", "token2", "accessToken", "db_password", "clientSecret", "DSN"]
)
def test_a_name_that_says_so_is_a_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["max_tokens", "key", "tokenizer", "input_value", "keyboard", "passenger", "", "authors", "api_key_param", "token_url"]
)
def test_a_name_that_only_looks_alike_is_not(name: str) -> None:
    assert not is_secret_name(name)


def test_the_document_itself_is_left_alone() -> None:
    document = flows.document([flows.node("N", "N-1", {"api_key": "x", "text": "a@b.example: see https://u:p@h/?q=1"})], [])
    before = deepcopy(document)
    template = without_secrets(document)["nodes"][0]["data"]["node"]["template"]
    assert document == before
    assert (template["api_key"]["value"], template["text"]["value"]) == (None, "a@b.example: see https://h/?q=1")


def test_switches_and_numbers_beside_secrets_stay() -> None:
    fields = {"use_token": True, "token": {"value": 3, "type": "int"}, "pin": {"value": 1234, "type": "int", "password": True}}
    template = without_secrets(flows.document([flows.node("N", "N-1", fields)], []))["nodes"][0]["data"]["node"]["template"]
    assert [template[name]["value"] for name in fields] == [True, 3, None]


def test_odd_documents_are_taken_as_they_are() -> None:
    for document in ({}, {"nodes": 1}, {"nodes": [None, {"data": 1}, {"data": {"node": {"template": [], "flow": 3}}}]}):
        assert without_secrets(document) == document
