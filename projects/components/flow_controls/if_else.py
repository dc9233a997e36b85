"""If-Else: compares a text and lets one of two branches go on."""

from __future__ import annotations

from projects.components import bounded_regex
from projects.components.comparison import NUMBER_OPERATORS, TEXT_OPERATORS, number_of
from projects.components.conversion import plain_text
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Message

TRUE, FALSE = "true_result", "false_result"

_OPERATORS = ("equals", "not equals", "contains", "starts with", "ends with", "regex", *NUMBER_OPERATORS)


class IfElse(Component):
    """Decides once a build; the branch not taken stays off until this vertex decides again.

    On a cycle the `default_route` is taken from the `max_iterations`-th decision of a run on.
    """

    type = "ConditionalRouter"
    display_name = "If-Else"
    description = "Sends a text down one of two branches."
    category = "flow_controls"
    icon = "split"
    aliases = ("ConditionalRouterComponent",)
    declared_inputs = (
        Input("input_text", display_name="Text Input", info="The text to judge.", required=True),
        Input("operator", InputKind.STRING, "Operator", "How the texts are compared.", default="equals", options=_OPERATORS),
        Input("match_text", display_name="Match Text", info="What the text is compared with.", required=True),
        Input(
            "case_sensitive",
            InputKind.BOOLEAN,
            "Case Sensitive",
            "Whether capitals matter; regex decides for itself.",
            default=True,
            advanced=True,
            field_type="bool",
        ),
        Input("message", InputKind.MESSAGE, "Message", "Older form of both cases.", show=False),
        Input("true_case_message", InputKind.MESSAGE, "Case True", "Passed on instead of the text when true.", advanced=True),
        Input("false_case_message", InputKind.MESSAGE, "Case False", "Passed on instead of the text when false.", advanced=True),
        Input(
            "max_iterations",
            InputKind.INTEGER,
            "Max Iterations",
            "How often a cycle may come by.",
            default=10,
            advanced=True,
            field_type="int",
        ),
        Input(
            "default_route",
            InputKind.STRING,
            "Default Route",
            "The branch taken when the iterations are used up.",
            default=FALSE,
            options=(TRUE, FALSE),
            advanced=True,
        ),
    )
    declared_outputs = (
        Output(TRUE, "true_response", display_name="True"),
        Output(FALSE, "false_response", display_name="False"),
    )
    _taken = FALSE

    async def before_outputs(self) -> None:
        self._taken = TRUE if await self._holds() else FALSE
        counter = f"{self.vertex.id}_iteration"
        iteration = int(self.context.state.get(counter, 0)) + 1
        self.context.state[counter] = iteration
        limit = self.inputs.get("max_iterations")
        if isinstance(limit, int) and iteration >= limit and self.inputs.get("default_route") in (TRUE, FALSE):
            self._taken = self.inputs["default_route"]

    async def true_response(self) -> Message:
        return self._answer(TRUE, "true_case_message")

    async def false_response(self) -> Message:
        return self._answer(FALSE, "false_case_message")

    def _answer(self, output: str, case_field: str) -> Message:
        if output != self._taken:
            self.stop(output)
            return Message()
        for name in (case_field, "message"):
            case = self.inputs.get(name)
            if isinstance(case, Message) and (case.text or case.files or case.content_blocks):
                return case
            if isinstance(case, str) and case:
                return Message(text=case)
        return Message(text=plain_text(self.inputs.get("input_text")))

    async def _holds(self) -> bool:
        operator = self.inputs.get("operator") or "equals"
        left, right = plain_text(self.inputs.get("input_text")), plain_text(self.inputs.get("match_text"))
        if operator == "regex":
            try:
                return await bounded_regex.matches_at_start(right, left)
            except bounded_regex.InvalidPattern as error:
                self.log(f"{error} The text counts as not matching.")
                return False
        if compare_numbers := NUMBER_OPERATORS.get(operator):
            first, second = number_of(left), number_of(right)
            return first is not None and second is not None and compare_numbers(first, second)
        if not self.inputs.get("case_sensitive", True):
            left, right = left.lower(), right.lower()
        compare = TEXT_OPERATORS.get(operator)
        return compare is not None and compare(left, right)
