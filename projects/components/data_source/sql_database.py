"""SQL Database: one reading statement on a database that the operator allowed."""

from __future__ import annotations

from projects.components.conversion import plain_text
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Table
from projects.errors import HeadwaterError


class SqlDatabase(Component):
    """Rows as a table. With `add_error` a failure is a row that tells it, so that an agent can mend its statement."""

    type = "SQLComponent"
    display_name = "SQL Database"
    description = "Runs an SQL query on a database that the operator allowed."
    category = "data_source"
    icon = "database"
    aliases = ("SQLExecutor",)
    reads_world = True
    declared_inputs = (
        Input("database_url", display_name="Database URL", info="An address that the operator allowed.", required=True, protected=True),
        Input("query", display_name="SQL Query", info="The statement to run.", multiline=True, tool_mode=True, protected=True),
        Input(
            "include_columns",
            InputKind.BOOLEAN,
            "Include Columns",
            "Name the columns; otherwise they are numbered.",
            default=True,
            advanced=True,
            tool_mode=False,
            field_type="bool",
        ),
        Input(
            "add_error",
            InputKind.BOOLEAN,
            "Add Error",
            "Give a failure as a row instead of failing.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
    )
    declared_outputs = (Output("run_sql_query", "run_sql_query", ("DataFrame", "Table"), "Result Table"),)

    async def run_sql_query(self) -> Table:
        query = plain_text(self.inputs.get("query")).strip()
        try:
            if not query:
                raise ComponentError("There is no SQL to run.")
            table = await self.context.query_database(plain_text(self.inputs.get("database_url")).strip(), query)
        except (ComponentError, HeadwaterError) as error:
            if not self.inputs.get("add_error"):
                raise
            return Table(rows=[{"error": str(error), "query": query}])
        if self.inputs.get("include_columns", True):
            return table
        names = [str(position) for position in range(len(table.columns))]
        rows = [{str(position): row.get(name) for position, name in enumerate(table.columns)} for row in table.rows]
        return Table(rows=rows, columns=names)
