"""Components for trying the engine: they wait, fail, count, stop branches and give two outputs, as a test tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from projects.engine.component import NOTIFIED, Component, ComponentError, Input, InputKind, Output, PauseRun
from projects.engine.graph import Edge, Field, Graph, Vertex, VertexOutput
from projects.engine.questions import Question
from projects.engine.tool_mode import OUTPUT as TOOLS_OUTPUT
from projects.engine.values import Data, Message


class Source(Component):
    """Gives the text it has, as a message."""

    type = "Source"
    is_input = True
    declared_inputs = (Input("input_value"), Input("session_id", advanced=True))
    declared_outputs = (Output("message", "give"),)

    async def give(self) -> Message:
        return Message(text=self.inputs["input_value"])


class Echo(Component):
    """Passes its text on between brackets named after the vertex."""

    type = "Echo"
    declared_inputs = (Input("text", display_name="Text"), Input("second", default="coded"), Input("count", InputKind.INTEGER, default=1))
    declared_outputs = (Output("message", "give"),)

    async def give(self) -> Message:
        return Message(text=f"{self.vertex.id}({self.inputs['text']}|{self.inputs['second']})")


class Collect(Component):
    """Joins everything that arrives in its list."""

    type = "Collect"
    is_output = True
    declared_inputs = (Input("texts", is_list=True),)
    declared_outputs = (Output("message", "give"),)

    async def give(self) -> Message:
        return Message(text="+".join(self.inputs["texts"]))


class Wait(Component):
    """Says that it began, then waits for the event the test put into the run's state under the vertex's id."""

    type = "Wait"
    declared_inputs = (Input("text"),)
    declared_outputs = (Output("message", "give"),)

    async def give(self) -> Message:
        self.context.state.setdefault("began", []).append(self.vertex.id)
        if (reached := self.context.state.get("reached")) is not None and len(self.context.state["began"]) == reached[0]:
            reached[1].set()
        try:
            await self.context.state[self.vertex.id].wait()
        except asyncio.CancelledError:
            self.context.state.setdefault("cancelled", []).append(self.vertex.id)
            raise
        return Message(text=self.inputs["text"])


class Fail(Component):
    """Fails in the way its `how` names."""

    type = "Fail"
    declared_inputs = (Input("text"), Input("how", InputKind.STRING, default="component"))
    declared_outputs = (Output("message", "give"),)

    async def give(self) -> Message:
        match self.inputs["how"]:
            case "type":
                raise TypeError("unsupported operand")
            case "value":
                raise ValueError("not a date")
            case "silent":
                raise RuntimeError
            case "cancelled":
                raise asyncio.CancelledError
            case _:
                raise ComponentError("The bucket is empty.")


class Count(Component):
    """Counts its builds in the run's state."""

    type = "Count"
    declared_inputs = (Input("text"),)
    declared_outputs = (Output("message", "give"),)

    async def give(self) -> Message:
        counts = self.context.state.setdefault("counts", {})
        counts[self.vertex.id] = counts.get(self.vertex.id, 0) + 1
        return Message(text=str(counts[self.vertex.id]))


class Branch(Component):
    """Stops the output that `stop` names; `yes` and `no` pass the text on."""

    type = "Branch"
    declared_inputs = (Input("text"), Input("stop", InputKind.STRING))
    declared_outputs = (Output("yes", "give_yes"), Output("no", "give_no"))

    async def before_outputs(self) -> None:
        for name in filter(None, self.inputs["stop"].split(",")):
            self.stop(name)

    async def give_yes(self) -> Message:
        self.context.state.setdefault("computed", []).append("yes")
        return Message(text=self.inputs["text"])

    async def give_no(self) -> Message:
        self.context.state.setdefault("computed", []).append("no")
        return Message(text=self.inputs["text"])


class Ask(Component):
    """Waits for a person."""

    type = "Ask"
    declared_inputs = (Input("text"),)
    declared_outputs = (Output("message", "give"),)

    async def give(self) -> Message:
        answer = self.context.answers.get(self.vertex.id)
        if answer is None:
            raise PauseRun([Question(self.vertex.id, self.vertex.id, "human_input", "Go on?", {"type": "object", "properties": {}})])
        return Message(text=answer.action)


class Keep(Component):
    """Changes the list and the rows it was given, as careless components do; writes a log line and an artifact."""

    type = "Keep"
    declared_inputs = (Input("items", InputKind.ANY, default=()), Input("key", InputKind.STRING, password=True))
    declared_outputs = (Output("message", "give"),)

    async def give(self) -> Message:
        self.inputs["items"].append("more")
        self.log("kept", name="note")
        self.artifact = {"kept": len(self.inputs["items"])}
        return Message(text=str(len(self.inputs["items"])), usage={"total_tokens": 3})


class Repeat(Component):
    """A loop over the words of its text; `done` joins what came back."""

    type = "Repeat"
    repeats = "item"
    declared_inputs = (Input("text"),)
    declared_outputs = (Output("item", "give_item"), Output("done", "give_done"))

    async def before_outputs(self) -> None:
        came_back = [await self.repeat(Message(text=word)) for word in self.inputs["text"].split()]
        self.joined = "/".join("-" if result is None else result.text for result in came_back)

    async def give_item(self) -> Message:
        self.stop("item")
        return Message()

    async def give_done(self) -> Message:
        return Message(text=self.joined)


class Tell(Component):
    """Tells its text under a name."""

    type = "Tell"
    notifies = True
    declared_inputs = (Input("text"), Input("name", InputKind.STRING))
    declared_outputs = (Output("message", "give"),)

    async def give(self) -> Message:
        self.notify(self.inputs["name"], self.inputs["text"])
        return Message(text=self.inputs["text"])


class Hear(Component):
    """Gives what was told under the name that its key holds."""

    type = "Hear"
    listens_to = "key"
    declared_inputs = (Input("key", InputKind.STRING),)
    declared_outputs = (Output("message", "give"),)

    async def give(self) -> Message:
        return Message(text=f"heard {self.context.state.get(NOTIFIED, {}).get(self.inputs['key'])}")


class Multiply(Component):
    """A tool of two numbers, and a second one that always fails."""

    type = "Multiply"
    description = "Multiplies."
    declared_inputs = (
        Input("left", InputKind.INTEGER, "Left", "The first number.", required=True, tool_mode=True),
        Input("right", InputKind.INTEGER, "Right", default=2, tool_mode=True),
        Input("unit", InputKind.STRING, default="m"),
    )
    declared_outputs = (
        Output("product", "multiply", ("Data",)),
        Output("failure", "always_fail"),
        Output("hidden", "hide", tool_mode=False),
    )

    async def multiply(self) -> Data:
        return Data({"result": f"{self.inputs['left'] * self.inputs['right']} {self.inputs['unit']}"})

    async def always_fail(self) -> Message:
        raise ComponentError("The abacus is broken.")

    async def hide(self) -> Message:
        return Message()


class Tools(Component):
    """Keeps the tools it is given in the run's state."""

    type = "Tools"
    is_output = True
    declared_inputs = (Input("tools", InputKind.HANDLE, is_list=True),)
    declared_outputs = (Output("message", "give"),)

    async def give(self) -> Message:
        self.context.state["tools"] = list(self.inputs["tools"])
        calls = self.context.state.get("calls", [])
        results = [await tool.call(arguments) for tool in self.inputs["tools"] for name, arguments in calls if tool.name == name]
        return Message(text=str([result.data if isinstance(result, Data) else result for result in results]))


SAMPLES = (Source, Echo, Collect, Wait, Fail, Count, Branch, Ask, Keep, Repeat, Tell, Hear, Multiply, Tools)
_BY_TYPE = {component.type: component for component in SAMPLES}


def vertex(id: str, /, *, frozen: bool = False, tool_mode: bool = False, fields: Iterable[Field] = (), **values: Any) -> Vertex:
    """A vertex whose component is the sample its id starts with (`Echo-a`), with these stored values. An unknown type has none."""
    type = id.partition("-")[0]
    component = _BY_TYPE.get(type)
    declared = {item.name: item for item in component.declared_inputs} if component is not None else {}
    stored = {
        name: Field(name, "str", declared[name].kind if name in declared else InputKind.TEXT, value, declared=name in declared)
        for name, value in values.items()
    }
    stored.update({item.name: item for item in fields})
    outputs = tuple(VertexOutput(item.name, method=item.method) for item in component.declared_outputs) if component is not None else ()
    return Vertex(
        id=id,
        type=type,
        document_type=type,
        display_name=type,
        description="",
        component=component,
        fields=stored,
        outputs=(VertexOutput(TOOLS_OUTPUT),) if tool_mode else outputs,
        problem=None if component is not None else "Nobody knows this type.",
        hint="" if component is not None else "Take another.",
        tool_mode=tool_mode,
        frozen=frozen,
        is_input=component is not None and component.is_input,
        is_output=component is not None and component.is_output,
    )


def edge(text: str) -> Edge:
    """`Source-a.message > Echo-b.text`; `>>` feeds a loop back."""
    is_loop = ">>" in text
    source, target = (end.strip().rpartition(".") for end in text.split(">>" if is_loop else ">"))
    return Edge(source[0], source[2], target[0], target[2], is_loop=is_loop)


def graph(*parts: Vertex | str) -> Graph:
    """Vertices in file order and edges written as `edge` reads them."""
    return Graph(
        vertices={part.id: part for part in parts if isinstance(part, Vertex)},
        edges=tuple(edge(part) for part in parts if isinstance(part, str)),
    )
