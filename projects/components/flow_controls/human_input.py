"""Human Input: the run waits for a person's decision, and only the branch of that decision goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from projects.components.conversion import plain_text
from projects.engine.component import Component, ComponentError, Input, InputKind, Output, PauseRun
from projects.engine.questions import Answer, Question
from projects.engine.values import Message

FALLBACK = "fallback"
FIELD = "decision"

_PREFIX = "branch_"
_UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)
_LONGEST = timedelta(days=3_650)
_DEFAULT_TIMEOUT = {"value": 3, "unit": "Days"}


class HumanInput(Component):
    """Every connected branch carries the prompt. Without a connected branch nobody is asked, for no answer would change anything.

    The fallback is taken when the time for an answer is over or the person declines; without one the run fails then.
    """

    type = "HumanInput"
    display_name = "Human Input"
    description = "Waits for a person's decision and goes on down its branch."
    category = "flow_controls"
    asks_person = True
    icon = "user-check"
    declared_inputs = (
        Input("prompt", display_name="Form Content", info="What the person is shown.", multiline=True),
        Input(
            "decisions",
            InputKind.ANY,
            "User Actions",
            "What the person can choose; a branch for each.",
            default=("Approve", "Reject"),
            required=True,
            field_type="picks",
        ),
        Input(
            "timeout",
            InputKind.ANY,
            "Timeout",
            "How long an answer is waited for; 0 for ever.",
            default=_DEFAULT_TIMEOUT,
            field_type="duration",
        ),
        Input(
            "enable_fallback",
            InputKind.BOOLEAN,
            "Enable Fallback",
            "A branch for when nobody decides.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
    )
    declared_outputs = (
        Output("branch_approve", "route_branch", display_name="Approve", tool_mode=False),
        Output("branch_reject", "route_branch", display_name="Reject", tool_mode=False),
    )

    @classmethod
    def method_for(cls, output: str) -> str:
        return "route_branch" if output.startswith(_PREFIX) else ""

    async def before_outputs(self) -> None:
        labels = _labels(self.inputs.get("decisions"))
        if not labels:
            raise ComponentError("There is nothing to decide: add at least one user action.")
        if not self.vertex.feeds:
            return
        answer = self.context.answers.get(self.vertex.id)
        if answer is None:
            raise PauseRun([self._question(labels)])
        taken = self._taken(labels, answer)
        for id in (*labels, FALLBACK):
            if id != taken:
                self.stop(_PREFIX + id)
        self.log(f"Decision: {labels.get(taken, 'Fallback')}")

    async def route_branch(self) -> Message:
        return Message(text=self._prompt())

    def _question(self, labels: Mapping[str, str]) -> Question:
        seconds = _seconds(self.inputs.get("timeout"))
        field = {"type": "string", "title": "Decision", "enum": list(labels), "enumNames": list(labels.values())}
        return Question(
            id=self.vertex.id,
            vertex_id=self.vertex.id,
            kind="human_input",
            message=self._prompt() or f"{self.vertex.display_name}: how should the flow go on?",
            schema={"type": "object", "properties": {FIELD: field}, "required": [FIELD]},
            expires_at=datetime.now(UTC) + timedelta(seconds=seconds) if seconds else None,
        )

    def _taken(self, labels: Mapping[str, str], answer: Answer) -> str:
        decision = answer.content.get(FIELD)
        if answer.action == "accept" and decision in labels:
            return str(decision)
        if self.inputs.get("enable_fallback"):
            return FALLBACK
        happened = "Nobody decided in time" if answer.action == "cancel" else "The person declined to decide"
        raise ComponentError(f"{happened}, and there is no fallback branch. Enable the fallback if the flow should go on then.")

    def _prompt(self) -> str:
        return plain_text(self.inputs.get("prompt"))


def _labels(decisions: Any) -> dict[str, str]:
    """The branch's id → what the person reads, in order. A pick is a text, or a record that has its text under one of the usual names."""
    picks = decisions if isinstance(decisions, list | tuple) else [decisions]
    labels: dict[str, str] = {}
    for pick in picks:
        if isinstance(pick, Mapping):
            pick = next((pick[key] for key in ("label", "name", "value", "display_name") if pick.get(key)), "")
        label = str(pick if pick is not None else "").strip()
        if label:
            labels.setdefault(label.lower().replace(" ", "_"), label)
    return labels


def _seconds(timeout: Any) -> float:
    """0 for no bound. Raises ComponentError for what is no length of time."""
    if isinstance(timeout, Mapping):
        timeout = f"{timeout.get('value') or 0} {timeout.get('unit') or 'Days'}"
    found = _DURATION.fullmatch(str(timeout or 0))
    unit = found[2].lower().removesuffix("s") if found is not None else ""
    unit = {"": "second", "s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day"}.get(unit, unit)
    if found is None or unit not in _UNITS:
        raise ComponentError(f"The timeout {timeout!r} is no length of time such as 3 days.")
    return min(float(found[1]) * _UNITS[unit], _LONGEST.total_seconds())
