"""Runs a component's text: builds the component, computes outputs, uses what it made. Knows no database, no settings and no protocol.

Called in the server for trusted texts, and in a sandbox's worker. The text runs in a thread and a loop of its own, so that a text that
blocks does not stop what else the process does.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from projects.custom_code import objects
from projects.custom_code.evaluation import component_class
from projects.custom_code.host import CodeFailed, Handle, Host, VertexDescription, VertexOutcome
from projects.custom_code.surface import calls
from projects.custom_code.surface.calls import Calls
from projects.custom_code.surface.component import Component, CustomComponent
from projects.custom_code.surface.crossing import from_engine, to_engine
from projects.custom_code.surface.fields import UNDEFINED, Input
from projects.custom_code.surface.given import revive
from projects.custom_code.surface.graph_view import GraphView
from projects.custom_code.surface.messages import Message
from projects.custom_code.surface.stock import StockComponent
from projects.engine import coercion

TOOLKIT = "component_as_tool"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Live:
    """An object of another component's text in an input, where both run in one process."""

    value: Any


async def run_vertex(
    code: str, description: VertexDescription, inputs: Mapping[str, Any], outputs_wanted: Sequence[str], host: Host
) -> VertexOutcome:
    """Build the component once and compute these outputs in order. Raises CodeFailed."""
    run = _calls_of(description, host)
    before = dict(run.state)

    async def work() -> VertexOutcome:
        instance = _built(code, description, inputs, run)
        outcome = VertexOutcome(logs=instance._logs, stopped=instance._stopped)
        output: str | None = None
        try:
            await _finished(instance._pre_run_setup())
            for output in outputs_wanted:
                made = await _computed(instance, output, description)
                value = to_engine(made)
                outcome.outputs[output] = value if objects.is_value(value) else objects.handle_for(output, made)
            output = None
        except Exception as error:
            raise _failure(error, output, instance) from error
        outcome.state = {key: to_engine(value) for key, value in run.state.items() if key not in before or before[key] is not value}
        outcome.status = instance.status if isinstance(instance.status, str) else None
        return outcome

    return await _apart(work, run)


async def use_object(
    code: str,
    description: VertexDescription,
    inputs: Mapping[str, Any],
    handle: Handle,
    operation: str,
    arguments: Mapping[str, Any],
    host: Host,
) -> Any:
    """Use what an output gave: the object itself where it still is, else one made anew. Raises CodeFailed."""
    run = _calls_of(description, host)

    async def work() -> Any:
        made = handle.live
        try:
            if made is None:
                instance = _built(code, description, inputs, run)
                await _finished(instance._pre_run_setup())
                made = await _computed(instance, handle.output, description)
            match operation:
                case "reply":
                    return await objects.reply(made, arguments)
                case "embed":
                    return await objects.embed(made, arguments["texts"])
                case "call":
                    return await objects.call_tool(made, arguments["name"], arguments["arguments"])
        except Exception as error:
            raise _failure(error, handle.output, None) from error
        raise CodeFailed(f"There is no operation {operation!r}.")

    return await _apart(work, run)


def _calls_of(description: VertexDescription, host: Host) -> Calls:
    state = description.state if isinstance(description.state, dict) else dict(description.state)
    for key, value in state.items():
        state[key] = from_engine(value)
    return Calls(host, description, asyncio.get_running_loop(), state)


def _built(code: str, description: VertexDescription, inputs: Mapping[str, Any], run: Calls) -> Component:
    made = component_class(code, description.class_name, description.type)
    try:
        declared = {item.name: item for item in made._listed("inputs")}
        values = {name: _given(declared.get(name), name, value) for name, value in inputs.items()}
        # A class's own `__init__` finds its inputs; and what it leaves of them is not kept over what the flow says.
        instance = made(
            _code=code,
            _id=description.id,
            _user_id=description.user_id,
            _parameters=values,
            _vertex=GraphView(description, {}).vertices[0],
            _tracing_service=None,
        )
        instance.__dict__["_calls"] = run
        instance.__dict__["tools_metadata"] = list(description.tools_metadata)
        instance.set(**values)
    except Exception as error:
        raise _failure(error, None, None) from error
    return instance


def _given(declared: Input | None, name: str, value: Any) -> Any:
    """An input's value as the class that declares it wants it."""
    if isinstance(value, Live):
        return value.value
    if isinstance(value, list) and any(isinstance(item, Live) for item in value):
        return [item.value if isinstance(item, Live) else revive(item) for item in value]
    revived = revive(value)
    if declared is None or (revived is not value and not isinstance(value, list)):
        return from_engine(revived)
    try:
        return from_engine(coercion.coerce(declared.kind, revived, is_list=declared.is_list))
    except coercion.CoercionError as error:
        raise CodeFailed(f"{declared.display_name or name}: {error}") from None


async def _computed(instance: Component, output: str, description: VertexDescription) -> Any:
    if output == TOOLKIT:
        return await _finished(instance.to_toolkit())
    known = instance._outputs_map.get(output)
    name = (known.method if known is not None else None) or description.methods.get(output) or ""
    if not name and isinstance(instance, CustomComponent):
        name = "build"
    method = getattr(type(instance), name, None) if name else None
    if method is None and isinstance(instance, StockComponent):
        method = _inherited(name)
    if method is None:
        raise CodeFailed(f"The component has no method {name!r} for its output {output!r}." if name else f"There is no output {output!r}.")
    given = _parameters(instance, method) if name == "build" and known is None else {}
    instance.__dict__["_computing"] = output
    made = await _finished(method(instance, **given))
    if isinstance(made, AsyncIterator | Iterator):
        made = Message(text=made)
    if isinstance(made, Message):
        await _read_stream(instance, made, description)
    if known is not None and made is not UNDEFINED:
        known.value = made
    return made


def _inherited(method: str) -> Callable[..., Any]:
    """The method of an output that the stock component has as the document lists it: one of a router's routes."""
    return lambda instance: instance._inherited_later(method)


def _parameters(instance: Component, method: Callable[..., Any]) -> dict[str, Any]:
    """What an old `build` takes, from the fields of the node; what has no field keeps the default of the signature, or is None."""
    given: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(method).parameters.items())[1:]:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            given |= {key: value for key, value in instance._attributes.items() if key not in given}
        elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
            if name in instance._attributes or name in instance._inputs:
                given[name] = getattr(instance, name)
            elif parameter.default is inspect.Parameter.empty:
                given[name] = None
    return given


async def _read_stream(instance: Component, message: Message, description: VertexDescription) -> None:
    """A text that comes in pieces is told piece by piece where a chat shows it, and is whole afterwards."""
    if isinstance(message.text, AsyncIterator | Iterator):
        if not message.session_id:
            message.session_id = description.session_id
        if not message.sender:
            message.sender, message.sender_name = "Machine", message.sender_name or "AI"
        await instance._streamed(message, follow=description.is_followed_live and "ChatOutput" in description.feeds)


async def _finished(made: Any) -> Any:
    return await made if inspect.isawaitable(made) else made


def _failure(error: Exception, output: str | None, instance: Component | None) -> CodeFailed:
    logs = instance._logs if instance is not None else ()
    if isinstance(error, CodeFailed):
        return CodeFailed(error.reason, error=error.error, output=error.output or output, logs=error.logs or logs)
    return CodeFailed(str(error) or type(error).__name__, error=type(error).__name__, output=output, logs=logs)


async def _apart(work: Callable[[], Coroutine[Any, Any, T]], run: Calls) -> T:
    """Do the work in a thread with a loop of its own. When this is cancelled the work is too, at its next wait."""
    done: asyncio.Future[T] = run.loop.create_future()
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []

    def settle(result: T | None, error: BaseException | None) -> None:
        if not done.done():
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]

    async def told() -> T:
        task = asyncio.current_task()
        assert task is not None
        started.append((asyncio.get_running_loop(), task))
        return await work()

    def tell(result: T | None, error: BaseException | None) -> None:
        if not run.loop.is_closed():
            run.loop.call_soon_threadsafe(settle, result, error)

    def thread() -> None:
        calls.use(run)
        try:
            result = asyncio.run(told())
        except asyncio.CancelledError:
            tell(None, CodeFailed("Something that the component waited for was cancelled."))
        except Exception as error:  # handed to whoever waits
            tell(None, error)
        except BaseException as error:  # a text that calls sys.exit() ends its own build, not this process
            tell(None, CodeFailed(f"The component ended itself: {type(error).__name__}.", error=type(error).__name__))
        else:
            tell(result, None)

    threading.Thread(target=contextvars.copy_context().run, args=(thread,), daemon=True, name="component-code").start()
    try:
        return await done
    except asyncio.CancelledError:
        for loop, task in started:
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)
        raise
