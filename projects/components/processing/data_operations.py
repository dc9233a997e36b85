"""JSON Operations: one operation on records, chosen in the node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from projects.components.conversion import plain_text, records_of, texts_of
from projects.components.processing.operation_choice import chosen_operation, unknown_operation
from projects.components.processing.transformations import records as record_transformations
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Row

DATA_FIELDS = (
    Input("select_keys_input", display_name="Select Keys", info="The keys to keep.", default=[], is_list=True),
    Input("filter_key", display_name="Filter Key", info="The keys whose lists are filtered.", default=[], is_list=True),
    Input(
        "operator",
        InputKind.STRING,
        "Comparison Operator",
        "How values are compared.",
        default="equals",
        options=("equals", "not equals", "contains", "starts with", "ends with"),
    ),
    Input("filter_values", InputKind.MAPPING, "Filter Values", "Key and value to look for.", default={}, is_list=True, field_type="dict"),
    Input(
        "append_update_data",
        InputKind.MAPPING,
        "Append or Update",
        "Keys to add or overwrite.",
        default={"key": "value"},
        is_list=True,
        field_type="dict",
    ),
    Input("remove_keys_input", display_name="Remove Keys", info="The keys to take out, at every depth.", default=[], is_list=True),
    Input(
        "rename_keys_input",
        InputKind.MAPPING,
        "Rename Keys",
        "Old and new names, at every depth.",
        default={"old_key": "new_key"},
        is_list=True,
        field_type="dict",
    ),
    Input("mapped_json_display", display_name="JSON to Map", info="An example; used by the editor only.", multiline=True),
    Input("selected_key", InputKind.STRING, "Select Path", "The path to follow, such as .a.b[0]."),
    Input("query", display_name="JQ Expression", info="A path such as .items[].name; jq programs are not supported."),
)

Fields = Mapping[str, Any]
Operation = Callable[[Row, Fields], Row]


def _select(record: Row, fields: Fields) -> Row:
    return record_transformations.select_keys(record, texts_of(fields.get("select_keys_input")))


def _remove(record: Row, fields: Fields) -> Row:
    return dict(record_transformations.remove_keys(record, texts_of(fields.get("remove_keys_input"))))


def _rename(record: Row, fields: Fields) -> Row:
    names = record_transformations.mapping_of(fields.get("rename_keys_input"))
    return dict(record_transformations.rename_keys(record, {key: plain_text(value) for key, value in names.items()}))


def _append(record: Row, fields: Fields) -> Row:
    return {**record, **record_transformations.mapping_of(fields.get("append_update_data"))}


def _filter(record: Row, fields: Fields) -> Row:
    return record_transformations.filter_lists(
        record,
        texts_of(fields.get("filter_key")),
        wanted=record_transformations.mapping_of(fields.get("filter_values")),
        operator=str(fields.get("operator") or "equals"),
    )


def _literals(record: Row, fields: Fields) -> Row:
    return dict(record_transformations.read_literals(record))


def _path(record: Row, fields: Fields) -> Row:
    path = plain_text(fields.get("selected_key")).strip()
    if not path:
        raise ComponentError("No path is selected.")
    return record_transformations.at_path(record, path)


def _query(record: Row, fields: Fields) -> Row:
    query = plain_text(fields.get("query")).strip()
    if not query:
        raise ComponentError("The query is empty. Write a path such as .items[].name.")
    return record_transformations.at_path(record, query)


OPERATIONS: Mapping[str, Operation] = {
    "Select Keys": _select,
    "Literal Eval": _literals,
    "Filter Values": _filter,
    "Append or Update": _append,
    "Remove Keys": _remove,
    "Rename Keys": _rename,
    "Path Selection": _path,
    "JQ Expression": _query,
}


def data_result(operation: str, value: Any, fields: Fields) -> Data:
    """What the operation makes of the record; `Combine` alone takes several."""
    records = records_of(value)
    if operation == "Combine":
        return Data(data=record_transformations.combine(records))
    if not operation:
        return Data()
    transformation = OPERATIONS.get(operation)
    if transformation is None:
        raise unknown_operation(operation, [*OPERATIONS, "Combine"])
    if len(records) > 1:
        raise ComponentError(f"{operation} works on one record, {len(records)} arrived. Use Combine first.")
    return Data(data=transformation(records[0] if records else {}, fields))


class DataOperations(Component):
    """Without an operation the answer is an empty record."""

    type = "DataOperations"
    display_name = "JSON Operations"
    description = "Selects, removes, renames, adds, filters, combines or finds keys of records."
    category = "processing"
    icon = "file-json"
    aliases = ("DataOperationsComponent",)
    legacy = True
    declared_inputs = (
        Input("data", InputKind.DATA, "JSON", "The record.", required=True, is_list=True, types=("Data", "JSON"), field_type="other"),
        Input("operations", InputKind.ANY, "Operations", "What to do with it.", default=[], field_type="sortableList"),
        *DATA_FIELDS,
    )
    declared_outputs = (Output("data_output", "as_data", ("Data", "JSON"), "JSON"),)

    async def as_data(self) -> Data:
        return data_result(chosen_operation(self.inputs.get("operations")), self.inputs.get("data"), self.inputs)
