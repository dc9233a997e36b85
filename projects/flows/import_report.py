"""What became of a flow document: every node and edge by name, and whatever its owner should know before running it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from projects.errors import NodeProblem


class NodeStatus(StrEnum):
    NATIVE = "native"  # one of our components stands behind it
    NOTE = "note"  # a remark on the canvas
    GROUP = "group"  # a flow inside a node; what is inside is listed too
    CODE = "code"  # carries its author's code, which is not run
    CUSTOM = "custom"  # carries its author's code, which is run
    UNSUPPORTED = "unsupported"  # nothing stands behind it here


class EdgeStatus(StrEnum):
    KEPT = "kept"
    DROPPED = "dropped"
    LOOP = "loop"  # feeds back into an output of a loop


class ProblemKind(StrEnum):
    EDGE = "edge"  # an edge that was dropped or looks wrong
    CYCLE = "cycle"  # vertices that wait for each other
    VARIABLE = "variable"  # a field takes its value from a stored variable
    MISSING_VARIABLE = "missing_variable"  # and its owner has none of that name
    MODEL = "model"  # which model a node will use that names none
    MISSING_MODEL = "missing_model"  # and there is none
    MISSING_FILE = "missing_file"
    CODE_HASH = "code_hash"  # a known component whose code is not the one it was shipped with
    FIELD = "field"  # a stored value that the built-in component does not use
    OUTPUT = "output"  # an output that the component does not have
    GROUP = "group"


_LACKING = frozenset((ProblemKind.MISSING_VARIABLE, ProblemKind.MISSING_MODEL, ProblemKind.MISSING_FILE))
STOPS_A_RUN = frozenset((NodeStatus.CODE, NodeStatus.UNSUPPORTED))


@dataclass(frozen=True, slots=True)
class NodeReport:
    """`component` is the native component's type; `reason` and `hint` are None when there is nothing to say."""

    id: str
    type: str
    status: NodeStatus
    display_name: str = ""
    component: str | None = None
    reason: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class EdgeReport:
    source: str
    target: str
    status: EdgeStatus
    id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to know that is not a node's status. `node` is the id it is about, if it is about one."""

    kind: ProblemKind
    message: str
    node: str | None = None
    variable: str | None = None


@dataclass(slots=True)
class ImportReport:
    """Nodes and edges in file order, what was inside a group after it."""

    nodes: list[NodeReport] = field(default_factory=list)
    edges: list[EdgeReport] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    code_allowed: dict[str, bool] = field(default_factory=dict)  # SHA-256 of each author's code → whether it could run then

    @property
    def missing(self) -> tuple[NodeProblem, ...]:
        """The nodes that stop a run which needs them."""
        return tuple(
            NodeProblem(node.id, node.display_name, node.type, node.reason or "", node.hint or "")
            for node in self.nodes
            if node.status in STOPS_A_RUN
        )

    @property
    def lacking(self) -> tuple[Problem, ...]:
        """What its owner has not got yet and a run will want."""
        return tuple(problem for problem in self.problems if problem.kind in _LACKING)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the stored variables that the flow asks for, in order of appearance."""
        return tuple(dict.fromkeys(problem.variable for problem in self.problems if problem.variable is not None))

    def to_dict(self) -> dict[str, Any]:
        """As `GET /flows/{id}/report` shows it."""
        return {
            "nodes": [
                {
                    "id": node.id,
                    "type": node.type,
                    "status": node.status.value,
                    "component": node.component,
                    "reason": node.reason,
                    "hint": node.hint,
                }
                for node in self.nodes
            ],
            "edges": [
                {"id": edge.id, "source": edge.source, "target": edge.target, "status": edge.status.value, "reason": edge.reason}
                for edge in self.edges
            ],
            "problems": [{"kind": problem.kind.value, "node": problem.node, "message": problem.message} for problem in self.problems],
        }
