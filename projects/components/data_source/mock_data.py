"""Mock Data: sample values of each kind, the same ones each time."""

from __future__ import annotations

from projects.engine.component import Component, Output
from projects.engine.values import Data, Message, Table

_PLACES = ("Lisbon", "Oslo", "Turin", "Ghent", "Porto")


class MockData(Component):
    """For trying a flow without a source of data."""

    type = "MockDataGenerator"
    display_name = "Mock Data"
    description = "Hands out a sample text, record or table."
    category = "data_source"
    icon = "database"
    aliases = ("MockDataGeneratorComponent", "Mock Data Generator")
    declared_outputs = (
        Output("dataframe_output", "generate_dataframe_output", ("DataFrame", "Table"), "Result"),
        Output("message_output", "generate_message_output", ("Message",), "Result"),
        Output("data_output", "generate_data_output", ("Data", "JSON"), "Result"),
    )

    async def generate_dataframe_output(self) -> Table:
        return Table(
            rows=[
                {"id": number, "city": place, "visitors": 100 * number, "open": number % 2 == 1} for number, place in enumerate(_PLACES, 1)
            ]
        )

    async def generate_message_output(self) -> Message:
        return Message(text="This is a sample text. It stands in for a real one while a flow is being built.")

    async def generate_data_output(self) -> Data:
        return Data(data={"id": 1, "name": "Sample record", "tags": ["sample", "test"], "active": True})
