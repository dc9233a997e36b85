"""What a run that may have to go on keeps beside its vertices' results, its questions as text, and whether an answer fits its question."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from projects.engine import snapshot
from projects.engine.questions import Answer, Question
from projects.errors import FieldProblem, InvalidInput

VERSION = 1
TIME_IS_OVER = Answer("cancel", {})
"""Stands in a run for the answer that nobody gave in time."""

_TYPES: Mapping[str, type | tuple[type, ...]] = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}


class Unreadable(Exception):
    """The text was written by another version."""


@dataclass(slots=True)
class Checkpoint:
    """All of it is made of what `snapshot.py` can keep."""

    state: dict[str, Any] = field(default_factory=dict)  # the run's scratch space, as far as it can be kept
    steps: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    memories: dict[str, Any] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)  # every vertex that ran, also those whose result could not be kept
    notified: list[tuple[str, Any]] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)  # messages that the run has stored
    begun: list[str] = field(default_factory=list)  # vertices that may have been at work when this was written
    cut_offs: int = 0  # how often a process ended in the middle of the run
    failures: int = 0  # how often the run failed and was tried again

    def to_text(self) -> str:
        """Raises `snapshot.CannotKeep` when a component wants to remember something that cannot be kept."""
        return json.dumps(
            {
                "version": VERSION,
                "state": snapshot.keepable_parts(self.state),
                "steps": self.steps,
                "answers": {id: [answer.action, snapshot.to_plain(dict(answer.content))] for id, answer in self.answers.items()},
                "memories": {id: snapshot.to_plain(memory) for id, memory in self.memories.items()},
                "finished": self.finished,
                "notified": [[name, snapshot.to_plain(value)] for name, value in self.notified],
                "message_ids": self.message_ids,
                "begun": self.begun,
                "cut_offs": self.cut_offs,
                "failures": self.failures,
            }
        )

    @classmethod
    def from_text(cls, text: str | None) -> "Checkpoint":
        """Raises Unreadable."""
        try:
            kept = json.loads(text or "null")
            if kept["version"] != VERSION:
                raise Unreadable(f"version {kept['version']}")
            return cls(
                state={name: snapshot.from_plain(value) for name, value in kept["state"].items()},
                steps=kept["steps"],
                answers={id: Answer(action, snapshot.from_plain(content)) for id, (action, content) in kept["answers"].items()},
                memories={id: snapshot.from_plain(memory) for id, memory in kept["memories"].items()},
                finished=list(kept["finished"]),
                notified=[(name, snapshot.from_plain(value)) for name, value in kept["notified"]],
                message_ids=list(kept["message_ids"]),
                begun=list(kept.get("begun", ())),
                cut_offs=int(kept.get("cut_offs", 0)),
                failures=int(kept.get("failures", 0)),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreadable("The checkpoint cannot be read.") from error


def questions_to_text(questions: Iterable[Question]) -> str:
    return json.dumps(
        [
            {
                "id": question.id,
                "vertex_id": question.vertex_id,
                "kind": question.kind,
                "message": question.message,
                "schema": dict(question.schema),
                "expires_at": None if question.expires_at is None else question.expires_at.isoformat(),
            }
            for question in questions
        ]
    )


def questions_from_text(text: str | None) -> tuple[Question, ...]:
    if text is None:
        return ()
    return tuple(
        Question(
            id=kept["id"],
            vertex_id=kept["vertex_id"],
            kind=kept["kind"],
            message=kept["message"],
            schema=kept["schema"],
            expires_at=None if kept["expires_at"] is None else datetime.fromisoformat(kept["expires_at"]).astimezone(UTC),
        )
        for kept in json.loads(text)
    )


def warnings_from_text(text: str | None) -> list[str]:
    return [] if text is None else list(json.loads(text))


def first_expiry(questions: Iterable[Question]) -> datetime | None:
    return min((question.expires_at for question in questions if question.expires_at is not None), default=None)


def check_answer(question: Question, answer: Answer) -> None:
    """Raises InvalidInput that names what does not fit."""
    where = ("answers", question.id)
    if answer.action not in ("accept", "decline", "cancel"):
        raise _wrong((*where, "action"), f"{answer.action!r} is no answer: accept, decline or cancel.")
    if answer.action != "accept":
        if answer.content:
            raise _wrong((*where, "content"), f"An answer of {answer.action!r} has no content.")
        return
    properties: Mapping[str, Any] = question.schema.get("properties", {})
    for name in answer.content:
        if name not in properties:
            known = ", ".join(properties) or "none"
            raise _wrong((*where, "content", name), f"This question has no field {name!r}; its fields are: {known}.")
    for name in question.schema.get("required", ()):
        if name not in answer.content:
            raise _wrong((*where, "content", name), f"The field {name!r} is missing.")
    for name, value in answer.content.items():
        _check_value((*where, "content", name), name, properties[name], value)


def _check_value(where: tuple[str, ...], name: str, schema: Mapping[str, Any], value: Any) -> None:
    wanted = schema.get("type")
    kinds = _TYPES.get(wanted) if isinstance(wanted, str) else None
    if kinds is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and wanted != "boolean")):
        raise _wrong(where, f"The field {name!r} must be of type {wanted}.")
    if "enum" in schema and value not in schema["enum"]:
        raise _wrong(where, f"The field {name!r} must be one of: {', '.join(map(str, schema['enum']))}.")
    if isinstance(value, str):
        if "\x00" in value:
            raise _wrong(where, f"The field {name!r} holds a NUL character.")
        if len(value) > schema.get("maxLength", len(value)) or len(value) < schema.get("minLength", 0):
            raise _wrong(where, f"The field {name!r} must have {schema.get('minLength', 0)} to {schema.get('maxLength', '…')} characters.")
    elif isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        raise _wrong(where, f"The field {name!r} must be from {schema.get('minimum', '…')} to {schema.get('maximum', '…')}.")


def _wrong(where: tuple[str, ...], message: str) -> InvalidInput:
    return InvalidInput(message, problems=[FieldProblem(where, message)])
