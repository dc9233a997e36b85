"""README's REST in a minute does what it says, line by line as it stands there, against a server of its own."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running_server import running_server

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- rest -->\n", "<!-- end of rest -->"


def lines_of_readme() -> str:
    found = re.fullmatch(r"```sh\n(.*)```\n", README.read_text().split(BEGIN)[1].split(END)[0], re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_lines_of_readme_make_a_flow_and_run_it_with_a_file(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    password = "the-printed-password"
    with running_server(tmp_path / "data", environment={"HEADWATER_SUPERUSER_PASSWORD": password}) as server:
        ran = subprocess.run(
            ["sh", "-eux", "-c", lines_of_readme()],
            cwd=tmp_path / "here",
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HEADWATER": server.address, "PASSWORD": password},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ran.returncode == 0, ran.stderr
    health, _, answer = ran.stdout.partition("}")
    assert json.loads(health + "}") == {"status": "ok"}
    message = json.loads(answer)["outputs"][0]["outputs"][0]["results"]["message"]
    assert message["text"] == "Six times seven is 42.\n"


def test_the_lines_go_through_every_step_and_name_no_secret_and_no_machine() -> None:
    lines = lines_of_readme()
    steps = ["/health", "/api/v1/login", "/api/v1/api_key/", "/api/v1/projects/", "/api/v1/flows/", "/api/v2/files", "/api/v1/run/"]
    places = [lines.index(step) for step in steps]
    assert places == sorted(places)
    assert "sk-" not in lines and "://" not in lines
