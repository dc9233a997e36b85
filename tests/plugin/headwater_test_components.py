"""Components for tests, brought in as a plugin package would bring its own: by the entry-point group `headwater.components`."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from projects.engine.component import Component, ComponentError, Input, InputKind, Output, PauseRun
from projects.engine.questions import Question
from projects.engine.values import Data, Message, Source

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


class Wait(Component):
    """Passes its text on after a while; `seconds` 0 still gives way to others once."""

    type = "HeadwaterTestWait"
    display_name = "Wait"
    category = "tests"
    declared_inputs = (Input("text"), Input("seconds", InputKind.NUMBER, default=0.0, field_type="float"))
    declared_outputs = (Output("message", method="wait"),)
    started: ClassVar[Counter[str]] = Counter()
    ended: ClassVar[Counter[str]] = Counter()

    async def wait(self) -> Message:
        Wait.started[self.context.flow_id] += 1
        try:
            await asyncio.sleep(float(self.inputs["seconds"] or 0))
        finally:
            Wait.ended[self.context.flow_id] += 1
        return Message(text=self.inputs["text"])


class Fail(Component):
    """Always fails, with the text of `reason`."""

    type = "HeadwaterTestFail"
    display_name = "Fail"
    category = "tests"
    declared_inputs = (Input("text"), Input("reason", default="deliberate"))
    declared_outputs = (Output("message", method="fail"),)

    async def fail(self) -> Message:
        raise ComponentError(self.inputs["reason"])


class Count(Component):
    """How often it ran in one run; the count lives in the run's own state."""

    type = "HeadwaterTestCount"
    display_name = "Count"
    category = "tests"
    declared_inputs = (Input("text"),)
    declared_outputs = (Output("message", method="count"),)

    async def count(self) -> Message:
        seen = self.context.state.setdefault("counted", Counter())
        seen[self.vertex.id] += 1
        return Message(text=str(seen[self.vertex.id]))


class Media(Component):
    """A record with an image in it."""

    type = "HeadwaterTestMedia"
    display_name = "Media"
    category = "tests"
    declared_inputs = (Input("text"),)
    declared_outputs = (Output("data", method="picture", types=("JSON",)),)

    async def picture(self) -> Data:
        return Data({"text": self.inputs["text"], "image": PIXEL})


class Stream(Component):
    """Answers word by word, as a model does that is read live: announced, streamed, and kept by the Chat Output behind it."""

    type = "HeadwaterTestStream"
    display_name = "Stream"
    category = "tests"
    declared_inputs = (Input("text"),)
    declared_outputs = (Output("message", method="answer"),)

    async def answer(self) -> Message:
        message = Message(session_id=self.context.session_id, sender="Machine", sender_name="AI", state="partial")
        message.source = Source(self.vertex.id, self.display_name, "words")
        if not self.context.is_followed_live:
            return message.copy(text=self.inputs["text"], state="complete")
        message = await self.context.announce_message(message)
        assert message.id is not None
        for word in _words(str(self.inputs["text"])):
            await self.context.stream_token(message.id, word)
        message.text, message.state = self.inputs["text"], "complete"
        return message


def _words(text: str) -> Iterator[str]:
    """`text.split(" ")` without a list: hundreds of these streams stand still at once where clients do not read."""
    begin = 0
    while (end := text.find(" ", begin)) >= 0:
        yield text[begin:end]
        begin = end + 1
    yield text[begin:]


class Ask(Component):
    """Asks a person for `names`, with commas between, all at once: each is a question of that id with a text of that name.

    What comes out is the text, and what was answered: `Ada (city: Paris)`.
    """

    type = "HeadwaterTestAsk"
    display_name = "Ask"
    category = "tests"
    asks_person = True
    declared_inputs = (Input("text"), Input("names", default="name"))
    declared_outputs = (Output("message", method="ask"),)

    async def ask(self) -> Message:
        names, answers = str(self.inputs["names"]).split(","), self.context.answers
        missing = [self._question(name) for name in names if name not in answers]
        if missing:
            raise PauseRun(missing)
        said = ", ".join(f"{name}: {answers[name].content.get(name, answers[name].action)}" for name in names)
        return Message(text=f"{self.inputs['text']} ({said})")

    def _question(self, name: str) -> Question:
        schema = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
        return Question(name, self.vertex.id, "human_input", f"What is your {name}?", schema)


class Files(Component):
    """A message that carries files: storage paths with commas between."""

    type = "HeadwaterTestFiles"
    display_name = "Files"
    category = "tests"
    declared_inputs = (Input("paths"),)
    declared_outputs = (Output("message", method="carry"),)

    async def carry(self) -> Message:
        return Message(text="files", files=str(self.inputs["paths"]).split(","))


class Effect(Component):
    """Passes its text on after `seconds`, and leaves a line "run vertex" in the file that TEST_EFFECTS_FILE names when it begins."""

    type = "HeadwaterTestEffect"
    display_name = "Effect"
    category = "tests"
    declared_inputs = (Input("text"), Input("seconds", InputKind.NUMBER, default=0.0, field_type="float"))
    declared_outputs = (Output("message", method="leave"),)

    async def leave(self) -> Message:
        with Path(os.environ["TEST_EFFECTS_FILE"]).open("a", encoding="utf-8") as file:  # noqa: ASYNC230  one line, seen before a kill
            file.write(f"{self.context.run_id} {self.vertex.id}\n")
        await asyncio.sleep(float(self.inputs["seconds"] or 0))
        return Message(text=self.inputs["text"])


class Say(Component):
    """Stores its text as a message of the chat when it begins, and passes it on after `seconds`, or as soon as a test says."""

    type = "HeadwaterTestSay"
    display_name = "Say"
    category = "tests"
    declared_inputs = (Input("text"), Input("seconds", InputKind.NUMBER, default=0.0, field_type="float"))
    declared_outputs = (Output("message", method="say"),)
    goes_on: ClassVar[asyncio.Event | None] = None

    async def say(self) -> Message:
        said = Message(text=self.inputs["text"], session_id=self.context.session_id, sender="Machine", sender_name=self.display_name)
        said = await self.context.keep_message(said)
        if self.goes_on is not None:
            await self.goes_on.wait()
        else:
            await asyncio.sleep(float(self.inputs["seconds"] or 0))
        return said
