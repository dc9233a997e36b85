"""What a waiting run asks of a person, and what the person says. Faces turn questions into MCP elicitation or REST."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

QuestionKind: TypeAlias = Literal["human_input", "tool_approval"]
Action: TypeAlias = Literal["accept", "decline", "cancel"]


@dataclass(frozen=True, slots=True)
class Question:
    """`schema` is a flat JSON Schema object, as MCP's form elicitation allows: strings, numbers, booleans and enums, nothing nested."""

    id: str  # unique in its run, the same each time the run is read
    vertex_id: str
    kind: QuestionKind
    message: str
    schema: Mapping[str, Any]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`content` fits the question's schema when the action is `accept`, and is empty otherwise.

    `decline` is an answer too: the run goes on, and whoever asked decides what a no means. `cancel` gives the whole run up.
    """

    action: Action
    content: Mapping[str, Any] = field(default_factory=dict)
