"""From a file with somebody's component to its answer, as a person goes: upload, report, read, trust, run."""

import asyncio
import json
from pathlib import Path
from textwrap import dedent

from projects.custom_code.policy import code_hash
from tests import flow_documents as flows
from tests.application import open_application
from tests.code_texts import node_of, run, texts
from tests.commands import headwater

COMPONENT = dedent("""
    import re

    from langflow.custom import Component
    from langflow.io import IntInput, MessageTextInput, Output
    from langflow.schema import Data


    class ReadingTimeComponent(Component):
        display_name = "Reading Time"
        description = "Estimates how long a text takes to read."
        icon = "clock"
        name = "ReadingTime"

        inputs = [
            MessageTextInput(name="text", display_name="Text", required=True),
            IntInput(name="words_per_minute", display_name="Words per Minute", value=200, advanced=True),
        ]
        outputs = [Output(display_name="Estimate", name="estimate", method="estimate_time")]

        def estimate_time(self) -> Data:
            words = len(re.findall(r"\\w+", self.text))
            self.status = f"{words} words"
            return Data(data={"words": words, "seconds": round(words * 60 / self.words_per_minute)})
""")


async def test_a_component_from_a_file_is_uploaded_reported_read_trusted_and_run(tmp_path: Path) -> None:
    hash = code_hash(COMPONENT)
    async with open_application(tmp_path, custom_code="trusted") as application:
        node = await node_of(application, COMPONENT)
        edges = [
            flows.edge("ChatInput-in", "Text-n", "text"),
            flows.edge("Text-n", "ChatOutput-out", "input_value", output="estimate"),
        ]
        document = {"name": "How long?", "data": flows.document([flows.chat_input(), node, flows.chat_output()], edges)}
        file = ("flow.json", json.dumps(document), "application/json")
        uploaded = await application.http.post("/api/v1/flows/upload/", files={"file": file})
        assert uploaded.status_code == 201, uploaded.text
        flow = uploaded.json()[0]["id"]

        async def told() -> tuple[str, str]:
            report = (await application.http.get(f"/api/v1/flows/{flow}/report")).json()
            (found,) = [item for item in report["nodes"] if item["id"] == "Text-n"]
            return found["status"], f"{found['reason']} {found['hint']}"

        status, advice = await told()
        assert status == "code" and f"headwater code show {hash}" in advice and f"headwater code trust {hash}" in advice
        assert (await run(application, flow)).status_code == 422

        shown = await asyncio.to_thread(headwater, "code", "show", hash, "--data-dir", tmp_path)
        assert "words * 60 / self.words_per_minute" in shown.stdout
        trusted = await asyncio.to_thread(headwater, "code", "trust", hash, "--data-dir", tmp_path)
        assert trusted.stdout.startswith(f"Trusted {hash}."), trusted

        assert (await told())[0] == "custom"
        answer = texts(await run(application, flow, "one two three four five"))["ChatOutput-out"]
        assert '"words": 5' in answer and '"seconds": 2' in answer, answer
