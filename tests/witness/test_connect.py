"""`headwater connect` under the TypeScript SDK, both generations of it: everything that works directly works through the bridge."""

import sys
from pathlib import Path

import pytest

from tests.witness.project import INSTALL_SECONDS, SLOW, WitnessProject
from tests.witness.test_foreign_clients import NODE, install_node_clients
from tests.witness.test_long_calls import HERE, ROOT, assert_follows_progress, assert_lists_and_calls, project, say, state_of_newest

pytestmark = [pytest.mark.witness, pytest.mark.timeout(INSTALL_SECONDS + 120)]

__all__ = ["project"]


@pytest.fixture(scope="module", autouse=True)
def node_clients() -> None:
    install_node_clients()


@pytest.mark.parametrize("era", ["v1", "v2", "v2-legacy"])
def test_the_typescript_sdk_works_through_the_bridge_and_leaves_no_process(project: WitnessProject, era: str) -> None:
    command = [sys.executable, "-m", "mcp_server", "connect", project.address]
    told = say([str(NODE), str(HERE / "headwater_connect.mjs"), era, project.key, *command], ROOT)
    assert_lists_and_calls(told)
    assert_follows_progress(told)
    assert state_of_newest(project, SLOW, until="cancelled") == "cancelled"
    if told["pid"] is not None and Path("/proc/self").exists():
        assert not Path(f"/proc/{told['pid']}/cmdline").exists()
