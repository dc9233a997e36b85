from pathlib import Path
from typing import Any

from tests.conformance import project, suite
from tests.conformance.results import Outcome, count, read_expected, read_scenarios, summary


def check(id: str, status: str) -> dict[str, Any]:
    return {"id": id, "status": status, "errorMessage": f"{id} went wrong" if status in ("FAILURE", "WARNING") else None}


def names(outcome: Outcome) -> tuple[list[str], list[str], list[str]]:
    return [item.name for item in outcome.expected], [item.name for item in outcome.failed], outcome.stale


def test_a_check_counts_once_by_its_worst_outcome_and_remarks_do_not_count() -> None:
    checks = [check("a", "SUCCESS"), check("a", "FAILURE"), check("a", "SUCCESS"), check("b", "SUCCESS"), check("c", "INFO")]
    outcome = count({"s": checks}, frozenset())
    assert outcome.passed == 1
    assert names(outcome) == ([], ["s:a"], [])


def test_a_warning_is_a_failure() -> None:
    assert names(count({"s": [check("a", "WARNING")]}, frozenset())) == ([], ["s:a"], [])


def test_an_expected_failure_names_a_scenario_or_one_check_of_it() -> None:
    scenarios = {"whole": [check("a", "FAILURE")], "part": [check("a", "FAILURE"), check("b", "FAILURE")]}
    assert names(count(scenarios, frozenset({"whole", "part:a"}))) == (["whole:a", "part:a"], ["part:b"], [])


def test_an_expected_failure_that_passes_is_stale_and_counts_as_failed() -> None:
    outcome = count({"whole": [check("a", "SUCCESS")], "part": [check("a", "SUCCESS")]}, frozenset({"whole", "part:a"}))
    assert names(outcome) == ([], [], ["whole", "part:a"])
    assert summary([outcome]) == "conformance: 2 passed, 0 expected, 2 failed"


def test_what_is_known_and_not_scored_is_neither_expected_nor_failed() -> None:
    outcome = count({"s": [check("a", "FAILURE"), check("b", "SUCCESS")]}, frozenset(), frozenset({"s:a"}))
    assert names(outcome) == ([], [], [])
    assert [item.name for item in outcome.not_scored] == ["s:a"]


def test_results_are_found_by_the_scenarios_name(tmp_path: Path) -> None:
    for name in ("server-tools-list-2026-11-22T05-48-56-123Z", "server-server-stateless-2026-11-22T05-48-57-001Z"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "checks.json").write_text("[]")
    assert set(read_scenarios(tmp_path)) == {"tools-list", "server-stateless"}


def test_every_listed_failure_stands_under_a_reason() -> None:
    for path in (suite.EXPECTED, suite.NOT_SCORED):
        assert read_expected(path)
        before = ""
        for line in path.read_text().splitlines():
            if line.startswith("  - "):
                assert before.startswith(("  #", "  - ")), line
            before = line


def test_a_failure_is_expected_for_one_of_four_reasons_only() -> None:
    words = ("sampling", "roots", "logging", "subscrib")
    reasons = [line for line in suite.EXPECTED.read_text().lower().splitlines() if line.startswith("  #")]
    assert reasons and all(any(word in line for word in words) for line in reasons)


def test_the_flows_of_the_suite_have_the_names_of_its_tools() -> None:
    flows = project.flows()
    assert {"test_simple_text", "test_elicitation", "greet", "slow_compute", "multi_input"} <= set(flows)
    assert all(document["nodes"] for document in flows.values())
