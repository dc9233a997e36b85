"""Stock components to derive from: chat and text, in and out, written out; all others made from what the server says of them.

Underived they are never run: ours are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar
from uuid import uuid4

from projects.custom_code.host import Handle
from projects.custom_code.surface import calls, given
from projects.custom_code.surface.bases import ChatComponent, TextComponent
from projects.custom_code.surface.component import Component
from projects.custom_code.surface.crossing import from_engine
from projects.custom_code.surface.fields import INPUT_CLASSES, Input, Output
from projects.custom_code.surface.messages import Message

_TEXT, _MULTILINE, _BOOL = INPUT_CLASSES["MessageTextInput"], INPUT_CLASSES["MultilineInput"], INPUT_CLASSES["BoolInput"]


def _about_the_sender(sender: str, name: str) -> list[Input]:
    return [
        _BOOL(name="should_store_message", display_name="Store Messages", value=True, advanced=True),
        INPUT_CLASSES["DropdownInput"](name="sender", display_name="Sender Type", value=sender, options=["Machine", "User"], advanced=True),
        _TEXT(name="sender_name", display_name="Sender Name", value=name, advanced=True),
        _TEXT(name="session_id", display_name="Session ID", advanced=True),
        _TEXT(name="context_id", display_name="Context ID", advanced=True),
    ]


class _Chat(ChatComponent):
    def _with_sender(self, message: Message) -> Message:
        message.sender, message.sender_name = self.sender, self.sender_name
        message.session_id = self._attributes.get("session_id") or message.session_id or self.graph.session_id
        message.context_id = self._attributes.get("context_id") or message.context_id
        return message

    async def _stored(self, message: Message) -> Message:
        if self.should_store_message:
            message = await self.send_message(message)
        self.status = message.get_text()
        return message


class ChatInput(_Chat):
    display_name = "Chat Input"
    inputs: ClassVar[list[Input]] = [
        _MULTILINE(name="input_value", display_name="Input Text"),
        *_about_the_sender("User", "User"),
        INPUT_CLASSES["FileInput"](name="files", display_name="Files", advanced=True, is_list=True),
    ]
    outputs: ClassVar[list[Output]] = [Output(name="message", display_name="Chat Message", method="message_response")]

    async def message_response(self) -> Message:
        """What the person said, kept as a message."""
        files = self.files if isinstance(self.files, list) else [self.files]
        return await self._stored(self._with_sender(Message(text=self.input_value or "", files=[item for item in files if item])))


class ChatOutput(_Chat):
    display_name = "Chat Output"
    inputs: ClassVar[list[Input]] = [
        INPUT_CLASSES["HandleInput"](name="input_value", display_name="Inputs", required=True),
        *_about_the_sender("Machine", "AI"),
    ]
    outputs: ClassVar[list[Output]] = [Output(name="message", display_name="Output Message", method="message_response")]

    def convert_to_string(self) -> str:
        from projects.custom_code.surface.functions import safe_convert

        items: list[Any] = self.input_value if isinstance(self.input_value, list) else [self.input_value]
        return "\n".join(safe_convert(item) for item in items)

    async def message_response(self) -> Message:
        """What arrives, as a message that is kept."""
        given = self.input_value
        return await self._stored(self._with_sender(given if isinstance(given, Message) else Message(text=self.convert_to_string())))


class _Text(TextComponent):
    inputs: ClassVar[list[Input]] = [_MULTILINE(name="input_value", display_name="Text")]
    outputs: ClassVar[list[Output]] = [Output(name="text", display_name="Output Text", method="text_response")]

    def text_response(self) -> Message:
        self.status = self.input_value
        return Message(text=self.input_value or "")


class TextInputComponent(_Text):
    display_name = "Text Input"


class TextOutputComponent(_Text):
    display_name = "Text Output"


class StockComponent(Component):
    """What a class inherits of a stock component: its inputs and outputs, and methods that have the server's own component do the work."""

    _stock: ClassVar[str] = ""
    _defaults: ClassVar[Mapping[str, Any]] = {}

    def _request(self, method: str) -> Any:
        """Asks for the output that this method computes: the one that is wanted now, or the first of its outputs."""
        own = self.__dict__
        known = [item.name for item in type(self)._stock_outputs() if item.method == method]
        output = self._computing if self._computing in known or not known else known[0]
        changed: dict[str, Any] = {}
        for name, value in {**{name: item.value for name, item in self._inputs.items()}, **self._attributes}.items():
            if value is None or (name in self._defaults and _is_same(value, self._defaults[name])):
                continue
            sent = given.handed_back(value)
            if name in self._defaults or not isinstance(sent, Handle):  # objects are sent only for what ours has
                changed[name] = sent
        build = own.setdefault("_build", uuid4().hex)
        return self._run.host.run_stock(self._stock, build, output, changed)

    def _received(self, answer: Mapping[str, Any]) -> Any:
        for output in answer["stopped"]:
            self.stop(output)
        return from_engine(given.revive(answer["value"]))

    @classmethod
    def _stock_outputs(cls) -> list[Output]:
        found = next(base for base in cls.__mro__ if "_stock" in vars(base) and vars(base)["_stock"])
        return list(vars(found)["outputs"])

    def _inherited(self, method: str) -> Any:
        return self._received(self._run.wait(self._request(method)))

    async def _inherited_later(self, method: str) -> Any:
        return self._received(await self._run.ask(self._request(method)))

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            raise AttributeError(
                f"{name!r} not found in {type(self).__name__}: of {self._stock} its inputs, its outputs and their methods are offered here."
            ) from None


def _is_same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and isinstance(value, str | int | float | list | dict) and bool(value == default)


def is_declared(name: str) -> bool:
    """Whether the text that runs may derive from this stock component."""
    run = calls.find_current()
    return run is not None and name in run.description.stock


def made_class(name: str) -> type[StockComponent]:
    """The class of a stock component. Raises ImportError for one that the server said nothing of."""
    run = calls.find_current()
    declared = None if run is None else run.description.stock.get(name)
    if declared is None:
        raise ImportError(f"The stock component {name!r} is not offered to components here")
    inputs = [_input(field) for field in declared["fields"]]
    outputs = [Output(**{**item, "types": list(item["types"])}) for item in declared["outputs"]]
    methods = {method: _method(method, later=method in declared["awaited"]) for method in (str(item.method) for item in outputs)}
    own = {
        "__module__": __name__,
        "_stock": name,
        "_may_share": frozenset(item.name for item in inputs) & {item.name for item in outputs},
        "_defaults": {item.name: item.value for item in inputs},
        "display_name": declared["display_name"],
        "description": declared["description"],
        "inputs": inputs,
        "outputs": outputs,
    }
    return type(name, (StockComponent,), {**own, **methods})


def _method(name: str, *, later: bool) -> Callable[..., Any]:
    async def coroutine(self: StockComponent) -> Any:
        return await self._inherited_later(name)

    def function(self: StockComponent) -> Any:
        return self._inherited(name)

    made: Callable[..., Any] = coroutine if later else function
    made.__name__ = name
    return made


def _input(field: Mapping[str, Any]) -> Input:
    kind: Callable[..., Input] = INPUT_CLASSES.get(str(field["_input_type"]), partial(Input, field_type=field["type"]))
    return kind(
        **{key: list(value) if isinstance(value, tuple) else value for key, value in field.items() if key not in ("_input_type", "type")}
    )
