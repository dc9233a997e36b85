"""A node with its author's code: whether the code may run here, what it lacks, and the component that it becomes. Nothing is executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from projects.code_reading.syntax import CodeUnreadable
from projects.components.known_types import CODE_REASON, contains_code
from projects.custom_code import reading, stock_names
from projects.custom_code.host import CodeFailed
from projects.custom_code.policy import CustomCode, CustomCodePolicy, code_hash
from projects.engine.graph import ComponentClass
from projects.flows.import_report import ImportReport, NodeReport, NodeStatus

_SHOWN = 5
_IS_A_COMPONENT = frozenset(("CustomComponent",))  # of the types whose nodes contain code, the one whose code is a component


def judged(
    report: NodeReport, node: Mapping[str, Any], code: str, policy: CustomCodePolicy, into: ImportReport
) -> tuple[NodeReport, ComponentClass | None]:
    """What is told of a node with code, and its class when it can run here. `into` keeps how it was decided."""
    if contains_code(report.type) and report.type not in _IS_A_COMPONENT and node.get("edited") is not True:
        return report, None
    hash = code_hash(code)
    refusal = policy.refusal(hash)
    into.code_allowed[hash] = refusal is None
    problem = _problem(code)
    if refusal is not None:
        reason, hint = refusal
        if hash not in reason:
            reason = f"{reason} The SHA-256 of its code is {hash}."
        if problem is not None:
            reason = f"{reason} {problem}"
        return replace(report, reason=_with(report.reason, reason), hint=hint), None
    made: ComponentClass | None = None
    if problem is None:
        from projects.custom_code import component, stock  # most servers never meet a text

        assert policy.runner is not None
        shares = policy.mode is CustomCode.TRUSTED
        try:
            made = component.made_from(report.type, node, code, policy.runner, shares_objects=shares)
            reaching = [name for name, base in made.bases.items() if stock.reaches_out(base)]
            if reaching and not shares:
                problem = (
                    f"Its code is made from {', '.join(reaching)}, which reaches other machines; code in a sandbox may not. "
                    "The operator can read it and run it with HEADWATER_CUSTOM_CODE=trusted."
                )
                made = None
        except CodeFailed as error:
            problem = f"Its code cannot be loaded: {error.reason}"
    if made is None:
        hint = "Mend the code, or let the operator install what it imports."
        return replace(report, reason=_with(report.reason, problem or ""), hint=hint), None
    return replace(report, status=NodeStatus.CUSTOM, component=made.type, reason=None, hint=None), made


def stock_type(code: str) -> str | None:
    """The stock component that is meant by a text of one class made from it that says no more than how it is shown: ours runs.

    None for every other text.
    """
    if not mentions_stock(code):
        return None
    try:
        return reading.read(code).stock_type
    except CodeUnreadable:
        return None


def mentions_stock(code: str) -> bool:
    return any(module in code for module in stock_names.MODULES)


def _problem(code: str) -> str | None:
    """What keeps the text from being loaded, as far as its syntax shows."""
    from projects.custom_code import stock
    from projects.custom_code.imports import missing_imports

    try:
        missing = missing_imports(reading.read(code).imports, is_stock=stock.is_offered)
    except CodeUnreadable as error:
        return f"Its code cannot be read: {error}."
    if not missing:
        return None
    more = f" … and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return f"Its code cannot be loaded: {'; '.join(map(str, missing[:_SHOWN]))}{more}."


def _with(told: str | None, reason: str) -> str:
    return (told or CODE_REASON).replace(CODE_REASON, reason)
