"""Batch Run: asks a model once for each row of a table."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from projects.components.conversion import plain_text, table_of
from projects.components.models_and_agents.model_fields import MODEL_INPUTS, chat_model_of, chat_options_of, count_usage
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Row, Table
from projects.errors import ProviderFailed
from projects.models.chat import ChatMessage, ChatModel, ChatOptions, Reply

AT_ONCE = 8  # rows that are asked side by side
MAX_ROWS = 10_000

_COLUMN = "model_response"


class BatchRun(Component):
    """A row that fails ends the run, unless metadata is on: then the row says so, as long as another one succeeded."""

    type = "BatchRunComponent"
    display_name = "Batch Run"
    description = "Asks a model for every row of a table and adds its answers as a column."
    category = "llm_operations"
    icon = "list"
    aliases = ("BatchRun",)
    reads_world = True
    declared_inputs = (
        *MODEL_INPUTS,
        Input("system_message", display_name="Instructions", info="What the model is told before each row.", multiline=True),
        Input("df", InputKind.TABLE, "Table", "The rows to work through.", required=True, types=("DataFrame", "Table"), field_type="other"),
        Input("column_name", display_name="Column Name", info="The column to ask about; empty: the whole row."),
        Input("output_column_name", display_name="Output Column Name", info="Where the answers go.", default=_COLUMN, advanced=True),
        Input(
            "enable_metadata",
            InputKind.BOOLEAN,
            "Enable Metadata",
            "Add a column that says how each row went.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
    )
    declared_outputs = (Output("batch_results", "run_batch", ("DataFrame", "Table"), "LLM Results"),)

    async def run_batch(self) -> Table:
        table = table_of(self.inputs.get("df"))
        if len(table.rows) > MAX_ROWS:
            raise ComponentError(f"The table has {len(table.rows):,} rows; at most {MAX_ROWS:,} are worked through. Filter it first.")
        column = plain_text(self.inputs.get("column_name")).strip()
        if column and column not in table.columns:
            raise ComponentError(f"The table has no column {column!r}. Its columns are: {', '.join(table.columns) or 'none'}.")
        questions = [plain_text(row.get(column)) if column else row_as_toml(row) for row in table.rows]
        if not questions:
            return Table(columns=list(table.columns))
        answers = await self._ask_all(await chat_model_of(self), questions)
        failed = [answer for answer in answers if isinstance(answer, ProviderFailed)]
        for answer in answers:
            if isinstance(answer, Reply):
                count_usage(self, answer.usage)
        if failed and len(failed) == len(answers):
            raise failed[0]
        rows = [self._row(*parts, index) for index, parts in enumerate(zip(table.rows, questions, answers, strict=True))]
        self.log(f"{len(answers) - len(failed)} of {len(answers)} rows were answered.")
        return Table(rows=rows)

    async def _ask_all(self, model: ChatModel, questions: list[str]) -> list[Reply | ProviderFailed]:
        """An answer or a failure for each question. Without metadata the first failure ends the rest, which would be thrown away."""
        system = plain_text(self.inputs.get("system_message")).strip()
        before = [ChatMessage("system", system)] if system else []
        options, goes_on = chat_options_of(self), bool(self.inputs.get("enable_metadata"))
        answers: list[Reply | ProviderFailed | None] = [None] * len(questions)
        waiting = iter(enumerate(questions))
        has_failed = False

        async def work() -> None:
            nonlocal has_failed
            for index, question in waiting:
                if has_failed and not goes_on:
                    return
                answers[index] = await _ask(model, [*before, ChatMessage("user", question)], options)
                has_failed = has_failed or isinstance(answers[index], ProviderFailed)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(questions))):
                    group.create_task(work())
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        failure = next((answer for answer in answers if isinstance(answer, ProviderFailed)), None)
        if failure is not None and not goes_on:
            failure.message = f"Row {answers.index(failure) + 1} of {len(answers)}: {failure.message}"
            raise failure
        return [answer for answer in answers if answer is not None]

    def _row(self, row: Row, question: str, answer: Reply | ProviderFailed, index: int) -> Row:
        column = plain_text(self.inputs.get("output_column_name")).strip() or _COLUMN
        text = answer.text if isinstance(answer, Reply) else ""
        made: Row = {**row, column: text, "batch_index": index}
        if self.inputs.get("enable_metadata"):
            metadata: dict[str, Any] = {
                "has_system_message": bool(plain_text(self.inputs.get("system_message")).strip()),
                "input_length": len(question),
                "response_length": len(text),
                "processing_status": "success",
            }
            if not isinstance(answer, Reply):
                metadata |= {"processing_status": "failed", "error": answer.message}
            made["metadata"] = metadata
        return made


def row_as_toml(row: Row) -> str:
    """`[column]` and its `value`, one column after the other."""
    return "\n\n".join(f"[{_key(name)}]\nvalue = {json.dumps(plain_text(value), ensure_ascii=False)}" for name, value in row.items())


def _key(name: str) -> str:
    is_bare = bool(name) and all(character.isascii() and (character.isalnum() or character in "-_") for character in name)
    return name if is_bare else json.dumps(name, ensure_ascii=False)


async def _ask(model: ChatModel, messages: list[ChatMessage], options: ChatOptions) -> Reply | ProviderFailed:
    try:
        return await model.reply(messages, options=options)
    except ProviderFailed as error:
        return error
