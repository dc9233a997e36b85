"""Condition: routes records by the value under a key."""

from __future__ import annotations

from typing import Any

from projects.components.comparison import TEXT_OPERATORS
from projects.components.conversion import plain_text, records_of
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Row, Table

_TRUE_WORDS = frozenset(("true", "1", "yes", "y", "on"))


class DataCondition(Component):
    """One record goes down one branch; of several, each goes down its own."""

    type = "DataConditionalRouter"
    display_name = "Condition"
    description = "Sends records down one of two branches by the value of a key."
    category = "flow_controls"
    icon = "split"
    aliases = ("DataConditionalRouterComponent",)
    legacy = True
    declared_inputs = (
        Input(
            "data_input",
            InputKind.DATA,
            "Data Input",
            "The record or records to judge.",
            is_list=True,
            types=("Data", "JSON"),
            field_type="other",
        ),
        Input("key_name", display_name="Key Name", info="The key whose value decides."),
        Input(
            "operator",
            InputKind.STRING,
            "Operator",
            "How the value is compared.",
            default="equals",
            options=("equals", "not equals", "contains", "starts with", "ends with", "boolean validator"),
        ),
        Input("compare_value", display_name="Match Text", info="What the value is compared with."),
    )
    declared_outputs = (
        Output("true_output", "process_data", ("Data", "JSON"), "True Output"),
        Output("false_output", "process_false", ("Data", "JSON"), "False Output"),
    )
    _single = False
    _passing: tuple[Row, ...] = ()
    _failing: tuple[Row, ...] = ()

    async def before_outputs(self) -> None:
        value = self.inputs.get("data_input")
        records = records_of(value)
        self._single = not isinstance(value, Table) and len(records) == 1
        judged = [(record, self._holds(record)) for record in records]
        self._passing = tuple(record for record, holds in judged if holds)
        self._failing = tuple(record for record, holds in judged if not holds)

    async def process_data(self) -> Any:
        return self._answer("true_output", self._passing)

    async def process_false(self) -> Any:
        return self._answer("false_output", self._failing)

    def _answer(self, output: str, records: tuple[Row, ...]) -> Any:
        if not records:
            self.stop(output)
            return Data()
        found = [Data(data=record) for record in records]
        return found[0] if self._single else found

    def _holds(self, record: Row) -> bool:
        key = plain_text(self.inputs.get("key_name"))
        if key not in record:
            raise ComponentError(f"The key {key!r} is not in the record. It has: {', '.join(map(str, record)) or 'no keys'}.")
        operator = self.inputs.get("operator") or "equals"
        value = record[key]
        if operator == "boolean validator":
            return value if isinstance(value, bool) else plain_text(value).strip().lower() in _TRUE_WORDS
        compare = TEXT_OPERATORS.get(operator)
        return compare is not None and compare(plain_text(value), plain_text(self.inputs.get("compare_value")))
