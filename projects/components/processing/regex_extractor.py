"""Regex Extractor: every match of a pattern."""

from __future__ import annotations

from projects.components import bounded_regex
from projects.components.conversion import plain_text
from projects.engine.component import Component, Input, Output
from projects.engine.values import Data, Message


class RegexExtractor(Component):
    """A wrong pattern is an answer with `error`, so that an agent can correct itself; a pattern that takes too long fails the run."""

    type = "RegexExtractorComponent"
    display_name = "Regex Extractor"
    description = "Finds all matches of a regular expression in a text."
    category = "processing"
    icon = "regex"
    legacy = True
    declared_inputs = (
        Input("input_text", display_name="Input Text", info="The text to search.", required=True),
        Input("pattern", display_name="Regex Pattern", info="The regular expression.", required=True, tool_mode=True),
    )
    declared_outputs = (
        Output("data", "extract_matches", ("Data", "JSON"), "Data"),
        Output("text", "get_matches_text", display_name="Message"),
    )
    _matches: tuple[str, ...] = ()
    _error = ""

    async def before_outputs(self) -> None:
        pattern, text = plain_text(self.inputs.get("pattern")), plain_text(self.inputs.get("input_text"))
        if not pattern or not text:
            return
        try:
            self._matches = tuple(match for match in await bounded_regex.find_all(pattern, text) if match)
        except bounded_regex.InvalidPattern as error:
            self._error = str(error)

    async def extract_matches(self) -> list[Data]:
        return [Data(data={"error": self._error})] if self._error else [Data(data={"match": match}) for match in self._matches]

    async def get_matches_text(self) -> Message:
        return Message(text=self._error or "\n".join(self._matches) or "No matches found")
