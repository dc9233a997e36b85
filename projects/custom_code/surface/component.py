"""`Component` and `CustomComponent`: what a component's class inherits and may ask while it runs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

from projects.custom_code.surface import calls
from projects.custom_code.surface.fields import Input, Output
from projects.custom_code.surface.records import Data
from projects.custom_code.surface.run_access import RunAccess

_RESERVED = frozenset(("inputs", "outputs", "status", "ctx", "graph", "user_id", "flow_id", "flow_name"))


def is_taken(kind: type, name: str) -> bool:
    """Whether an input cannot be called so."""
    return name in _RESERVED or callable(getattr(kind, name, None))


class Component(RunAccess):
    """The base class of user-written components. An instance lives for one build of one vertex.

    Inputs are attributes, validated before they arrive; outputs are objects under their names, with `value` after their method ran.
    """

    display_name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    icon: ClassVar[str] = ""
    name: ClassVar[str] = ""
    documentation: ClassVar[str] = ""
    inputs: ClassVar[list[Input]] = []
    outputs: ClassVar[list[Output]] = []
    beta = legacy = False
    priority: ClassVar[int | None] = None
    trace_type = "chain"
    metadata: ClassVar[dict[str, Any]] = {}
    replacement: ClassVar[Any] = None
    add_tool_output = False
    field_order: ClassVar[list[str]] = []
    _may_share: ClassVar[frozenset[str]] = frozenset()  # names that an input and an output have both

    def __init__(self, **given: Any) -> None:
        own = self.__dict__
        own["_inputs"] = {item.name: copy.deepcopy(item) for item in type(self)._listed("inputs")}
        own["_outputs_map"] = {item.name or item.method: copy.deepcopy(item) for item in type(self)._listed("outputs")}
        self._check_names()
        own["_attributes"] = {}
        own["_logs"] = []
        own["_stopped"] = []
        own["_code"] = given.pop("_code", None)
        own["_id"] = given.pop("_id", "") or ""
        own["_vertex"] = given.pop("_vertex", None)
        own["_user_id"] = given.pop("_user_id", None)
        own["_parameters"] = given.pop("_parameters", None) or {}
        own["_event_manager"] = None
        own["_tracing_service"] = given.pop("_tracing_service", None)
        own["_calls"] = calls.find_current()
        own["_own_ctx"] = {}
        own["_status"] = None
        own["repr_value"] = ""
        own["_computing"] = ""
        own["tools_metadata"] = []
        self.set(**{**own["_parameters"], **{name: value for name, value in given.items() if not name.startswith("_")}})

    @classmethod
    def _listed(cls, what: str) -> list[Any]:
        found = getattr(cls, what, None)
        return list(found) if isinstance(found, list | tuple) else []

    def _check_names(self) -> None:
        shared = [name for name in self._inputs if name in self._outputs_map and name not in self._may_share]
        if shared:
            raise ValueError(f"Inputs and outputs of {type(self).__name__} have the same names: {', '.join(shared)}. Rename one of them.")
        for name in self._inputs:
            if is_taken(type(self), name):
                raise ValueError(
                    f"The input {name!r} of {type(self).__name__} is called like a method or attribute of components. Rename it."
                )

    # --- inputs and outputs as attributes

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if name in own.get("_attributes", {}):
            return own["_attributes"][name]
        if name in own.get("_inputs", {}):
            return own["_inputs"][name].value
        if name in own.get("_outputs_map", {}):
            return own["_outputs_map"][name]
        if name in ("_session_id", "session_id") and own.get("_calls") is not None:
            return own["_calls"].description.session_id
        raise AttributeError(f"{name!r} not found in {type(self).__name__}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_inputs", {}):
            self._attributes[name] = value
            self._inputs[name].value = value
        else:
            object.__setattr__(self, name, value)

    def set(self, **values: Any) -> Component:
        """Give inputs their values; returns the component."""
        for name, value in values.items():
            self._attributes[name] = value
            if name in self._inputs:
                self._inputs[name].value = value
        return self

    def get_input(self, name: str) -> Input:
        if name not in self._inputs:
            raise ValueError(f"Input {name} not found in {type(self).__name__}")
        found: Input = self._inputs[name]
        return found

    def get_output(self, name: str) -> Output:
        if name not in self._outputs_map:
            raise ValueError(f"Output {name} not found in {type(self).__name__}")
        found: Output = self._outputs_map[name]
        return found

    def get_input_value(self, name: str) -> Any:
        return getattr(self, name)

    def map_inputs(self, inputs: list[Input]) -> None:
        self._inputs.update({item.name: copy.deepcopy(item) for item in inputs})

    def map_outputs(self) -> None:
        return None

    # --- what the component tells

    @property
    def status(self) -> Any:
        return self._status

    @status.setter
    def status(self, value: Any) -> None:
        self.__dict__["_status"] = value

    def log(self, message: Any, name: str | None = None) -> None:
        """A line of the vertex's log."""
        shown = message if isinstance(message, str) else str(message)
        self._logs.append({"name": name or f"Log {len(self._logs) + 1}", "message": shown, "type": "text"})

    def stop(self, output_name: str | None = None) -> None:
        """Let nothing behind this output run. Without a name only where there is a single output."""
        if not output_name:
            if len(self._outputs_map) != 1:
                raise ValueError("You must specify an output name to call stop")
            output_name = next(iter(self._outputs_map))
        self._stopped.append(output_name)

    def start(self, output_name: str | None = None) -> None:
        """Take a `stop` back."""
        self._stopped[:] = [name for name in self._stopped if output_name and name != output_name]

    def to_data(self, data: Any, keys: list[str] | None = None, silent_errors: bool = False) -> list[Data]:
        """Records from records, dicts or documents."""
        made: list[Data] = []
        for item in data if isinstance(data, list | tuple) else [data]:
            if isinstance(item, Data):
                made.append(item)
            elif isinstance(item, str):
                made.append(Data(text=item))
            elif hasattr(item, "page_content"):
                made.append(Data.from_document(item))
            elif isinstance(item, Mapping):
                chosen = {key: item[key] for key in keys or item if key in item or not silent_errors}
                made.append(Data(data=chosen))
            else:
                raise ValueError(f"Invalid data type: {type(item).__name__}")
        return made

    to_records = to_data

    # --- hooks that a class may override

    def _pre_run_setup(self) -> Any:
        return None

    async def _get_tools(self) -> list[Any]:
        """A tool for each output."""
        from projects.custom_code.surface.toolkits import ComponentToolkit  # made of components

        return ComponentToolkit(component=self).get_tools()

    async def to_toolkit(self) -> list[Any]:
        """The tools of `_get_tools`."""
        found = self._get_tools()
        return list(await found) if hasattr(found, "__await__") else list(found)  # type: ignore[call-overload]

    def build_component_error_message(self, message: str) -> str:
        return f"Error in {self.display_name or type(self).__name__}: {message}"

    # --- what an editor asks, not a run

    def build_config(self) -> dict[str, Any]:
        return {}

    def update_build_config(self, build_config: Any, field_value: Any, field_name: str | None = None) -> Any:
        return build_config

    def update_outputs(self, frontend_node: Any, field_name: str, field_value: Any) -> Any:
        return frontend_node

    async def update_frontend_node(self, new_frontend_node: Any, current_frontend_node: Any) -> Any:
        return new_frontend_node

    def post_code_processing(self, new_frontend_node: Any, current_frontend_node: Any) -> Any:
        return new_frontend_node

    def get_field_order(self) -> list[str]:
        return [item.name for item in self._listed("inputs")]


class CustomComponent(Component):
    """The old base class: one method `build` whose parameters are the fields."""

    def build(self, *given: Any, **more: Any) -> Any:
        raise NotImplementedError
