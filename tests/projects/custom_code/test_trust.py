"""Code in the server's process runs when a superuser has read and trusted that very text, and from the next request on."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from projects.access.caller import Credential
from projects.custom_code.policy import code_hash
from storage.trusted_code import TrustedCodeRepository
from tests import prepared_folders
from tests.application import open_application
from tests.code_texts import flow_around, run, texts
from tests.commands import headwater

CODE = """
from langflow.custom import Component
from langflow.io import MessageTextInput, Output

class Shout(Component):
    inputs = [MessageTextInput(name="text")]
    outputs = [Output(name="out", method="shout")]

    def shout(self) -> str:
        return self.text.upper()
"""


async def test_a_text_runs_when_it_is_trusted_and_no_longer_when_that_is_revoked(tmp_path: Path) -> None:
    hash = code_hash(CODE)
    async with open_application(tmp_path, custom_code="trusted") as application:
        flow = await flow_around(application, CODE)
        assert (await application.http.patch(f"/api/v1/flows/{flow}", json={"mcp_enabled": True})).status_code == 200
        async with application.mcp_client() as client:
            assert (await client.call_tool("with_code", {"input_value": "tool"})).is_error
        refused = await run(application, flow)
        assert refused.status_code == 422
        assert all(part in refused.text for part in ("Text-n", hash, f"headwater code trust {hash}"))
        login = await application.nobody.post(
            "/api/v1/login",
            data={
                "username": application.caller.username,
                "password": prepared_folders.FIRST_USER["superuser_password"].get_secret_value(),
            },
        )
        person = {"Authorization": f"Bearer {login.json()['access_token']}"}

        listed = (await application.http.get("/api/v1/custom_code")).json()
        place = {"flow_id": flow, "flow_name": "with code", "owner": "ada", "node_id": "Text-n", "display_name": "Shout"}
        assert [(text["hash"], text["is_trusted"], text["places"]) for text in listed] == [
            (hash, False, [place | {"owner": application.caller.username}])
        ]
        assert (await application.http.get(f"/api/v1/custom_code/{hash}")).json()["code"] == CODE

        address = f"/api/v1/custom_code/{hash}/trust"
        assert (await application.http.put(address)).status_code == 403  # a key, not a person
        assert (await application.nobody.put(address, headers=person)).json()["trusted_by"] == application.caller.username
        async with application.mcp_client() as client:  # before anything else asks for the flow
            called = await client.call_tool("with_code", {"input_value": "tool"})
            assert not called.is_error and "TOOL" in str(called.content), called.content
        assert texts(await run(application, flow))["ChatOutput-out"] == "HELLO"
        other = await flow_around(application, CODE.replace("upper", "lower"))
        assert (await run(application, other)).status_code == 422  # another text has another hash

        assert (await application.http.delete(address)).status_code == 403
        assert (await application.nobody.delete(address, headers=person)).status_code == 204
        assert (await run(application, flow)).status_code == 422
        assert (await application.nobody.delete(address, headers=person)).status_code == 404
        assert (await application.nobody.put(f"/api/v1/custom_code/{'0' * 64}/trust", headers=person)).status_code == 404


async def test_only_superusers_see_or_trust_code(tmp_path: Path) -> None:
    async with open_application(tmp_path) as application:
        await flow_around(application, CODE)
        for method, address in (("GET", ""), ("GET", f"/{code_hash(CODE)}"), ("PUT", f"/{code_hash(CODE)}/trust")):
            answer = await application.stranger.request(method, f"/api/v1/custom_code{address}")
            assert (answer.status_code, "code" in answer.json()) == (403, False)


async def test_the_command_lists_shows_trusts_and_revokes(tmp_path: Path) -> None:
    hidden = "\u202e\x1b[2K\u200b\u3164\u00a0\ufe0f"  # what turns round, wipes or hides what a person reads
    code = CODE + f"# {hidden}\n"
    hash = code_hash(code)
    async with open_application(tmp_path) as application:
        flow = await flow_around(application, code)
    at = ("--data-dir", tmp_path)
    listed = headwater("code", "list", *at)
    assert listed.returncode == 0 and f"{hash}  not trusted" in listed.stdout and flow in listed.stdout
    shown = headwater("code", "show", hash, *at)
    assert "class Shout(Component):" in shown.stdout
    assert "# \\u202e\\u001b[2K\\u200b\\u3164\\u00a0\\ufe0f" in shown.stdout
    assert headwater("code", "trust", hash, *at).stdout.splitlines() == [
        f"Trusted {hash}.",
        "It has no effect while HEADWATER_CUSTOM_CODE is off.",
    ]
    assert f"{hash}  trusted by" in headwater("code", "list", *at).stdout
    assert headwater("code", "revoke", hash, *at).stdout == f"Revoked {hash}.\n"
    unknown = headwater("code", "trust", "0" * 64, *at)
    assert unknown.returncode == 1 and unknown.stderr.startswith(f"headwater: Code not found: {'0' * 64}")


async def test_what_was_read_before_a_revocation_never_outlives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hash, read = code_hash(CODE), TrustedCodeRepository.list_hashes
    is_read, goes_on = asyncio.Event(), asyncio.Event()

    async def slow_once(repository: TrustedCodeRepository) -> list[str]:
        found = list(await read(repository))
        if not is_read.is_set():
            is_read.set()
            await goes_on.wait()
        return found

    async with open_application(tmp_path, custom_code="trusted") as application:
        services, person = application.services, replace(application.caller, via=Credential.LOCAL)
        policy = services.registry.custom_code
        await flow_around(application, CODE)
        await services.code_trust.trust(person, hash)
        monkeypatch.setattr(TrustedCodeRepository, "list_hashes", slow_once)
        before = asyncio.ensure_future(policy.refresh())
        await is_read.wait()
        await services.code_trust.revoke(person, hash)
        after = asyncio.ensure_future(policy.refresh())
        await asyncio.wait({after}, timeout=0.2)
        goes_on.set()
        await asyncio.gather(before, after)
        assert not policy.is_trusted(hash)


def test_texts_that_differ_have_different_hashes_also_where_they_are_no_text() -> None:
    assert len({code_hash(f"said = '{sign}'") for sign in ("?", "\ud800", "\udfff", "\ufffd")}) == 4


def test_an_import_writes_out_what_a_terminal_would_obey(tmp_path: Path) -> None:
    obeyed = "\x1b]0;title\x07\u202e\nTrusted"
    node = {"id": f"Evil{obeyed}", "type": "genericNode", "data": {"type": f"Shout{obeyed}", "node": {"edited": True, "template": {}}}}
    file = tmp_path / "flow.json"
    file.write_text(json.dumps({"name": f"flow{obeyed}", "data": {"nodes": [node], "edges": [{"source": node["id"], "target": obeyed}]}}))
    said = headwater("import", file, "--data-dir", tmp_path / "data")
    assert said.returncode == 0, said.stderr
    assert "Evil\\u001b]0;title\\u0007\\u202e\\u000aTrusted" in said.stdout
    assert not set("\x1b\x07\u202e") & set(said.stdout) and "\nTrusted" not in said.stdout
