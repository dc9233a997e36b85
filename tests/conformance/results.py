"""What the suite found, counted: each check of each scenario once, by its worst outcome."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_TIME = re.compile(r"-\d{4}-\d{2}-\d{2}T[\d-]+Z$")
_SEVERITY = {"SUCCESS": 0, "WARNING": 1, "FAILURE": 2}  # anything else says nothing about the server


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that did not pass. `name` is what the list of expected failures calls it: `<scenario>:<check>`."""

    scenario: str
    check: str
    message: str

    @property
    def name(self) -> str:
        return f"{self.scenario}:{self.check}"


@dataclass(slots=True)
class Outcome:
    """Of one requirement set. `stale` are listed failures that passed."""

    passed: int = 0
    expected: list[Finding] = field(default_factory=list)
    not_scored: list[Finding] = field(default_factory=list)
    failed: list[Finding] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def read_expected(path: Path) -> frozenset[str]:
    """The entries of an expected-failures file."""
    return frozenset(str(entry) for entry in YAML(typ="safe").load(path.read_text())["server"])


def read_scenarios(folder: Path) -> dict[str, list[Mapping[str, Any]]]:
    """Scenario → its checks, from the folder that the suite wrote: `server-<scenario>-<time>/checks.json`."""
    return {
        _TIME.sub("", path.parent.relative_to(folder).as_posix()).removeprefix("server-"): json.loads(path.read_text())
        for path in sorted(folder.rglob("checks.json"))
    }


def count(
    scenarios: Mapping[str, Iterable[Mapping[str, Any]]], expected: frozenset[str], not_scored: frozenset[str] = frozenset()
) -> Outcome:
    """Every check of these scenarios against the failures that are expected, and those that are known and not scored."""
    listed = expected | not_scored
    outcome = Outcome()
    for scenario, checks in scenarios.items():
        worst = _worst(checks)
        failing = [Finding(scenario, id, str(check.get("errorMessage") or "")) for id, check in worst.items() if _fails(check)]
        outcome.passed += len(worst) - len(failing)
        for finding in failing:
            names = {scenario, finding.name}
            (outcome.expected if expected & names else outcome.not_scored if not_scored & names else outcome.failed).append(finding)
        if scenario in listed and not failing:
            outcome.stale.append(scenario)
        outcome.stale += [name for id, check in worst.items() if not _fails(check) and (name := f"{scenario}:{id}") in listed]
    return outcome


def summary(outcomes: Sequence[Outcome]) -> str:
    """The last line of a run."""
    passed = sum(outcome.passed for outcome in outcomes)
    expected = sum(len(outcome.expected) for outcome in outcomes)
    failed = sum(len(outcome.failed) + len(outcome.stale) for outcome in outcomes)
    return f"conformance: {passed} passed, {expected} expected, {failed} failed"


def _worst(checks: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    worst: dict[str, Mapping[str, Any]] = {}
    for check in checks:
        severity = _SEVERITY.get(check["status"])
        if severity is not None and ((known := worst.get(check["id"])) is None or severity > _SEVERITY[known["status"]]):
            worst[check["id"]] = check
    return worst


def _fails(check: Mapping[str, Any]) -> bool:
    return bool(check["status"] != "SUCCESS")
