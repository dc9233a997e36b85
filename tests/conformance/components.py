"""What the suite's flows need beyond our own components: arguments with given names, questions, media, and ways to fail."""

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

from projects.engine.component import Component, ComponentError, Input, InputKind, Output, PauseRun
from projects.engine.questions import Answer, Question
from projects.engine.values import Message

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==")
# A sound without samples: the shortest there is.
SILENCE = b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00\x80>\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00"
FILES = {
    "image": ("pixel.png", PIXEL),
    "audio": ("silence.wav", SILENCE),
    "text": ("note.txt", b"This is an embedded resource content."),
    "json": ("record.json", b'{"test": "data", "value": 123}'),
}


class Arguments(Component):
    """Each field of the node is an argument of the tool and an output of the same name."""

    type = "ConformanceArguments"
    display_name = "Arguments"
    category = "tests"
    is_input = True
    takes_more_fields = True
    declared_inputs = ()
    declared_outputs = ()

    @classmethod
    def method_for(cls, output: str) -> str:
        return "give"

    async def give(self) -> Message:
        return Message(text=str(self.inputs.get(self.computing, "")))


class Wait(Component):
    """Passes its text on after a while."""

    type = "ConformanceWait"
    display_name = "Wait"
    category = "tests"
    declared_inputs = (Input("text"), Input("seconds", InputKind.NUMBER, default=0.0, field_type="float"))
    declared_outputs = (Output("message", method="wait"),)

    async def wait(self) -> Message:
        await asyncio.sleep(float(self.inputs["seconds"] or 0))
        return Message(text=self.inputs["text"])


class Fail(Component):
    """Fails as a component does whose user can help it, or (`is_a_defect`) as one does that has a defect."""

    type = "ConformanceFail"
    display_name = "Fail"
    category = "tests"
    declared_inputs = (Input("text"), Input("is_a_defect", InputKind.BOOLEAN, default=False, field_type="bool"))
    declared_outputs = (Output("message", method="fail"),)

    async def fail(self) -> Message:
        if self.inputs["is_a_defect"]:
            raise RuntimeError("a defect on purpose")
        raise ComponentError("This tool intentionally returns an error for testing.")


class Ask(Component):
    """Asks a person everything in `questions`, a list of rounds: in each, a question's id → its message and properties.

    The text before goes into `{text}` of a message. What comes out is `{answers}` and each answered value put into `reply`.
    """

    type = "ConformanceAsk"
    display_name = "Ask"
    category = "tests"
    asks_person = True
    declared_inputs = (Input("text"), Input("questions", InputKind.STRING), Input("reply", InputKind.STRING))
    declared_outputs = (Output("message", method="ask"),)

    async def ask(self) -> Message:
        given: dict[str, Answer] = {}
        for asked in json.loads(self.inputs["questions"]):
            missing = [self._question(id, wanted) for id, wanted in asked.items() if id not in self.context.answers]
            if missing:
                raise PauseRun(missing)
            given |= {id: self.context.answers[id] for id in asked}
        return Message(text=self._reply(given))

    def _question(self, id: str, wanted: Mapping[str, Any]) -> Question:
        properties = wanted["properties"]
        schema = {"type": "object", "properties": properties, "required": wanted.get("required", list(properties))}
        return Question(id, self.vertex.id, "human_input", wanted["message"].replace("{text}", self.inputs["text"]), schema)

    def _reply(self, given: Mapping[str, Answer]) -> str:
        told = "; ".join(f"{id}: action={answer.action}, content={json.dumps(dict(answer.content))}" for id, answer in given.items())
        text = str(self.inputs["reply"]).replace("{answers}", told)
        for answer in given.values():
            for name, value in answer.content.items():
                text = text.replace("{" + name + "}", str(value))
        return text


class Media(Component):
    """A message with the files that `files` names, with commas between: image, audio, text, json."""

    type = "ConformanceMedia"
    display_name = "Media"
    category = "tests"
    declared_inputs = (Input("text"), Input("files", InputKind.STRING))
    declared_outputs = (Output("message", method="give"),)

    async def give(self) -> Message:
        paths = [await self.context.files.save(*FILES[name]) for name in self.inputs["files"].split(",")]
        return Message(text=self.inputs["text"], files=paths)


class Rename(Component):
    """Gives another flow a new name each time, through the REST API at `url`: a change of the lists that clients hold."""

    type = "ConformanceRename"
    display_name = "Rename"
    category = "tests"
    writes_world = True
    declared_inputs = (Input("text"), Input("url"))
    declared_outputs = (Output("message", method="rename"),)

    async def rename(self) -> Message:
        async with self.context.http_client() as client:
            answer = await client.patch(self.inputs["url"], json={"name": f"Renamed by {self.context.run_id}"})
        answer.raise_for_status()
        return Message(text="It has another name now.")


COMPONENTS: list[type[Component]] = [Arguments, Wait, Fail, Ask, Media, Rename]
