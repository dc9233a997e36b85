"""Create List: texts as records."""

from __future__ import annotations

from projects.components.conversion import texts_of
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Data, Table


class CreateList(Component):
    """A record a text, under `text`."""

    type = "CreateList"
    display_name = "Create List"
    description = "Makes a list of texts."
    category = "processing"
    icon = "list"
    aliases = ("CreateListComponent",)
    legacy = True
    declared_inputs = (Input("texts", InputKind.STRING, "Texts", "The texts.", default=[], is_list=True),)
    declared_outputs = (
        Output("list", "create_list", ("Data", "JSON"), "Data List"),
        Output("dataframe", "as_dataframe", ("DataFrame", "Table"), "DataFrame"),
    )

    async def create_list(self) -> list[Data]:
        return [Data(data={"text": text}) for text in texts_of(self.inputs.get("texts"))]

    async def as_dataframe(self) -> Table:
        return Table(rows=[{"text": text} for text in texts_of(self.inputs.get("texts"))], columns=["text"])
