"""Create Data: a record from the fields of the node."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from projects.components.conversion import plain_text
from projects.components.processing.transformations.records import mapping_of
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Message, Row

FIELD_LIMIT = 15

_FIELD_NAME = re.compile(r"field_(\d+)_key")

KEY_VALUE_FIELDS = tuple(
    Input(
        f"field_{number}_key",
        InputKind.MAPPING,
        f"Field {number}",
        "A key and its value.",
        default={},
        show=False,
        types=("Message", "Data", "JSON"),
        field_type="dict",
    )
    for number in range(1, FIELD_LIMIT + 1)
)

RECORD_FIELDS = (
    Input("number_of_fields", InputKind.INTEGER, "Number of Fields", "How many fields the editor shows.", default=1, field_type="int"),
    Input("text_key", display_name="Text Key", info="The key that holds the record's text.", advanced=True),
    Input(
        "text_key_validator",
        InputKind.BOOLEAN,
        "Text Key Validator",
        "The text key must be among the keys.",
        default=False,
        advanced=True,
        field_type="bool",
    ),
)


def key_values(inputs: Mapping[str, Any]) -> Row:
    """The keys and values of all `field_<n>_key` inputs, in their order; messages and records give their text."""
    names = sorted((int(match[1]), name) for name in inputs if (match := _FIELD_NAME.fullmatch(name)))
    found: Row = {}
    for _, name in names:
        value = inputs[name]
        if isinstance(value, Message | Data) or (isinstance(value, str) and value):
            found[name] = plain_text(value)
            continue
        pairs = mapping_of(value)
        found |= {key: plain_text(item) if isinstance(item, Message | Data) else item for key, item in pairs.items() if key}
    return found


def with_text_key(record: Row, inputs: Mapping[str, Any]) -> Data:
    """The record under its text key; raises when the key must be there and is not."""
    text_key = plain_text(inputs.get("text_key")).strip()
    if inputs.get("text_key_validator") and text_key not in record:
        raise ComponentError(f"The text key {text_key!r} is not among the keys: {', '.join(record) or 'none'}.")
    return Data(data=record, text_key=text_key) if text_key else Data(data=record)


class CreateData(Component):
    """The fields are named `field_1_key` and so on; each holds one key and its value."""

    type = "CreateData"
    display_name = "Create Data"
    description = "Builds a record from keys and values."
    category = "processing"
    icon = "ListFilter"
    aliases = ("CreateDataComponent",)
    legacy = True
    takes_more_fields = True
    declared_inputs = (*RECORD_FIELDS, *KEY_VALUE_FIELDS)
    declared_outputs = (Output("data", "build_data", ("Data", "JSON"), "Data"),)

    async def build_data(self) -> Data:
        return with_text_key(key_values(self.inputs), self.inputs)
