"""Installs the suite once and runs it against an address."""

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
EXPECTED = HERE / "expected-failures.yaml"
NOT_SCORED = HERE / "not-scored.yaml"
REVISIONS = ("2025-11-25", "2026-07-28")

_NODE = HERE / "node_modules" / ".bin" / "node"
_SUITE = HERE / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
_INSTALL_SECONDS = 300
_RUN_SECONDS = 300
# What npm says when it cannot reach a registry at all.
_UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ERR_SOCKET_TIMEOUT")


class CannotInstall(Exception):
    """The suite is not here and cannot be had."""


def install() -> None:
    """`npm ci` once: exact versions, hashes from the lock file. Raises CannotInstall without npm or its registry."""
    if _SUITE.exists() and _NODE.exists():
        return
    if shutil.which("npm") is None:
        raise CannotInstall("npm is not installed")
    done = subprocess.run(
        ["npm", "ci", "--no-progress", "--no-audit"], cwd=HERE, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
    )
    if done.returncode:
        if any(word in done.stderr for word in _UNREACHABLE):
            raise CannotInstall("the package registry cannot be reached")
        raise SystemExit(f"npm ci failed in {HERE}:\n{done.stderr}")


def run(address: str, revision: str, folder: Path) -> tuple[int, str]:
    """Every scenario that the revision knows, with its results in `folder`: the suite's exit code and what it printed.

    The exit code is 0 when all that is scored passed, but for the expected failures, and none of those is stale.
    """
    done = subprocess.run(
        [
            *(str(_NODE), str(_SUITE), "server", "--url", address, "--requirements", revision),
            *("--expected-failures", str(EXPECTED), "--output-dir", str(folder)),
        ],
        capture_output=True,
        text=True,
        timeout=_RUN_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
