"""Text Operations: one operation on a text, chosen in the node."""

from __future__ import annotations

from typing import Any

from projects.components.conversion import data_of, message_of, plain_text, table_of
from projects.components.processing.operation_choice import chosen_operation, unknown_operation
from projects.components.processing.transformations import text as text_transformations
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Data, Message, Table

TEXT_FIELDS = (
    Input("text_input_2", display_name="Second Text Input", info="For joining: the text that follows."),
    Input("table_separator", InputKind.STRING, "Table Separator", "Between the cells of a line.", default="|"),
    Input("has_header", InputKind.BOOLEAN, "Has Header", "The first line names the columns.", default=True, field_type="bool"),
    Input("count_words", InputKind.BOOLEAN, "Count Words", "Count words.", default=True, field_type="bool"),
    Input("count_characters", InputKind.BOOLEAN, "Count Characters", "Count characters.", default=True, field_type="bool"),
    Input("count_lines", InputKind.BOOLEAN, "Count Lines", "Count lines.", default=True, field_type="bool"),
    Input(
        "case_type",
        InputKind.STRING,
        "Case Type",
        "How letters are written.",
        default="lowercase",
        options=("uppercase", "lowercase", "title", "capitalize", "swapcase"),
    ),
    Input("use_regex", InputKind.BOOLEAN, "Use Regex", "The search pattern is a regular expression.", default=False, field_type="bool"),
    Input("search_pattern", InputKind.STRING, "Search Pattern", "What to replace."),
    Input("replacement_text", InputKind.STRING, "Replacement Text", "What to put in its place."),
    Input("extract_pattern", InputKind.STRING, "Extract Pattern", "The regular expression to look for."),
    Input("max_matches", InputKind.INTEGER, "Max Matches", "How many matches to keep; 0: all.", default=10, field_type="int"),
    Input("head_characters", InputKind.INTEGER, "Characters from Start", "How many to keep.", default=100, field_type="int"),
    Input("tail_characters", InputKind.INTEGER, "Characters from End", "How many to keep.", default=100, field_type="int"),
    Input("strip_mode", InputKind.STRING, "Strip Mode", "Which ends to strip.", default="both", options=("both", "left", "right")),
    Input("strip_characters", InputKind.STRING, "Characters to Strip", "Empty: white space."),
    Input("remove_extra_spaces", InputKind.BOOLEAN, "Remove Extra Spaces", "Runs of spaces become one.", default=True, field_type="bool"),
    Input(
        "remove_special_chars",
        InputKind.BOOLEAN,
        "Remove Special Characters",
        "Only letters, digits and punctuation stay.",
        default=False,
        field_type="bool",
    ),
    Input("remove_empty_lines", InputKind.BOOLEAN, "Remove Empty Lines", "Lines without text go.", default=False, field_type="bool"),
)


async def text_result(operation: str, text: str, fields: dict[str, Any]) -> Any:
    """What the operation makes of the text; the text itself when none is chosen."""
    if not operation:
        return text
    transformation = text_transformations.OPERATIONS.get(operation) or text_transformations.OPERATIONS.get(f"Text {operation}")
    if transformation is None:
        raise unknown_operation(operation, text_transformations.OPERATIONS)
    return await transformation(text, fields)


class TextOperations(Component):
    """The outputs listed in the document depend on the operation; each gives the one result in its own kind."""

    type = "TextOperations"
    display_name = "Text Operations"
    description = "Counts, converts, replaces, extracts, cuts, joins or cleans text."
    category = "processing"
    icon = "type"
    legacy = True
    declared_inputs = (
        Input("text_input", display_name="Text Input", info="The text to work on.", required=True),
        Input("operation", InputKind.ANY, "Operation", "What to do with it.", default=[], field_type="sortableList"),
        *TEXT_FIELDS,
    )
    declared_outputs = (
        Output("message", "get_message", display_name="Message"),
        Output("text", "get_text", display_name="Text"),
        Output("data", "get_data", ("Data", "JSON"), "JSON"),
        Output("dataframe", "get_dataframe", ("DataFrame", "Table"), "Table"),
    )
    _result: Any = None

    async def before_outputs(self) -> None:
        operation = chosen_operation(self.inputs.get("operation"))
        self._result = await text_result(operation, plain_text(self.inputs.get("text_input")), self.inputs)

    async def get_message(self) -> Message:
        return as_message(self._result)

    async def get_text(self) -> Message:
        return as_message(self._result)

    async def get_data(self) -> Data:
        return as_data(self._result)

    async def get_dataframe(self) -> Table:
        return as_table(self._result)


def as_message(result: Any) -> Message:
    return message_of(result)


def as_data(result: Any) -> Data:
    """Texts go under `result`, lists of texts under `items`."""
    if isinstance(result, str):
        return Data(data={"result": result})
    if isinstance(result, list) and all(isinstance(item, str) for item in result):
        return Data(data={"items": result})
    return data_of(result)


def as_table(result: Any) -> Table:
    return table_of(result)
