"""How long a tool call may take before it is answered another way."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Seconds, each. 0 of `answer_after` waits for ever, 0 of `heartbeat` gives no sign of life."""

    task_after: float = 5.0
    answer_after: float = 50.0
    heartbeat: float = 15.0
    question: float = 600.0  # how long a person may take to answer on the call's own stream, or a requestState is good
