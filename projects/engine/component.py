"""What a component is: declared inputs and outputs, and one async method an output.

The engine calls components only through this class and never imports a concrete one. A plugin package uses the same door:
it subclasses `Component` and names its classes in the entry-point group `headwater.components`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from projects.engine.context import RunContext
from projects.engine.questions import Question
from projects.engine.tools import Tool

NOTIFIED = "notified"  # in the run's state: name → the value that was told last (`Component.notify`)


class InputKind(StrEnum):
    """How a value is read before the component sees it (`engine/coercion.py`). Named after Langflow's input classes."""

    TEXT = "text"  # MessageTextInput, MultilineInput, prompt variables: Message → text, Data → text under its key
    MESSAGE = "message"  # MessageInput: str/dict → Message
    STRING = "string"  # StrInput, DropdownInput, SecretStrInput
    INTEGER = "integer"
    NUMBER = "number"  # FloatInput, SliderInput
    BOOLEAN = "boolean"
    DATA = "data"  # DataInput/JSONInput: as it comes
    TABLE = "table"  # DataFrameInput: as it comes
    ROWS = "rows"  # TableInput: list of dicts
    MAPPING = "mapping"  # DictInput, NestedDictInput
    HANDLE = "handle"  # HandleInput: as it comes, only from an edge
    FILE = "file"  # FileInput: storage path(s), read from `file_path`
    PROMPT = "prompt"
    CODE = "code"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Input:
    """One declared input. `field_type` is the wire word used in templates and schemas (str, int, bool, dict, file …)."""

    name: str
    kind: InputKind = InputKind.TEXT
    display_name: str = ""
    info: str = ""
    default: Any = ""
    required: bool = False
    advanced: bool = False
    show: bool = True
    is_list: bool = False
    options: tuple[str, ...] = ()
    types: tuple[str, ...] = ()  # accepted edge types, for the catalogue
    password: bool = False
    tool_mode: bool = False
    protected: bool = False  # never set by a tweak unless the author marked it api_editable (code, paths, SQL, addresses)
    field_type: str = "str"
    multiline: bool = False
    falls_back: bool = False  # a variable that is not set leaves it empty: what is behind the component has other ways to a value


@dataclass(frozen=True, slots=True)
class Output:
    """One declared output; `method` is the name of the async method that computes it."""

    name: str
    method: str
    types: tuple[str, ...] = ("Message",)
    display_name: str = ""
    tool_mode: bool = True


class ComponentError(Exception):
    """Raised by a component for a failure that its user can understand; the text is shown as it stands."""


class PauseRun(Exception):
    """Raised by a component that waits for a person: what can run without it finishes, then the run ends as `waiting`.

    When the questions are answered, the component is built once more: the answers are in `context.answers` by their questions' ids,
    and `memory` (of what `snapshot.py` can keep) is in `context.memories` under the vertex' id.
    """

    def __init__(self, questions: Sequence[Question], memory: Any = None) -> None:
        super().__init__("The run waits for a person.")
        self.questions = tuple(questions)
        self.memory = memory


@dataclass(frozen=True, slots=True)
class VertexInfo:
    """What a component may know about its place in the graph."""

    id: str
    type: str
    display_name: str
    fed_by: Mapping[str, tuple[SourceInfo, ...]] = field(default_factory=dict)  # input name → vertices with an edge into it
    feeds: tuple[str, ...] = ()  # canonical types of the vertices behind it
    template_defaults: Mapping[str, Any] = field(default_factory=dict)
    output_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # its outputs as the document lists them


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A vertex that feeds an input."""

    id: str
    type: str
    display_name: str


async def _cannot_repeat(item: Any) -> Any:
    raise ComponentError("Only the runner can repeat a branch.")


class Component:
    """Subclass it, declare, and write one `async def` for each output. An instance lives for one build of one vertex.

    `inputs` holds the coerced values of every declared input, and of every further template field of the node
    (prompt variables, dynamic fields) as text.
    """

    type: ClassVar[str]
    display_name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    category: ClassVar[str] = "processing"
    icon: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()  # older type names that mean this component
    legacy: ClassVar[bool] = False
    stands_for_edited: ClassVar[bool] = False  # documents have this type only as a node with code of its own, which it replaces
    declared_inputs: ClassVar[tuple[Input, ...]] = ()
    declared_outputs: ClassVar[tuple[Output, ...]] = ()
    documented_methods: ClassVar[Collection[str]] = ()  # methods that documents name for outputs, beside those of the declared ones
    takes_more_fields: ClassVar[bool] = False  # reads fields beyond the declared ones: a prompt's variables, an author's own rows
    is_input: ClassVar[bool] = False
    is_output: ClassVar[bool] = False
    # What the runner does for a component: `repeats` names the output whose branch is run once for each item (`repeat`),
    # `listens_to` the field that names what it waits to be told of, and `notifies` is set by components that call `notify`.
    repeats: ClassVar[str] = ""
    listens_to: ClassVar[str] = ""
    notifies: ClassVar[bool] = False
    # What an instance has besides. On the class, because most components never touch it.
    computing: str = ""  # the output that is being computed, by its name in the document
    wanted: Sequence[str] = ()  # all outputs that this build computes, by their names in the document
    repeat: Callable[[Any], Awaitable[Any]] = staticmethod(_cannot_repeat)
    notifications: Sequence[tuple[str, Any]] = ()
    token_usage: Mapping[str, int] | None = None  # of models it asked without a message that carries it
    # Annotations of the MCP tool a flow becomes: everything it touches beyond its inputs.
    reads_world: ClassVar[bool] = False
    writes_world: ClassVar[bool] = False
    only_adds: ClassVar[bool] = False  # what it writes never replaces or deletes anything
    only_reads_with: ClassVar[Mapping[str, Collection[Any]]] = {}  # it writes nothing while each of these fields has one of these values
    stays_home: ClassVar[bool] = False  # what it reads and writes is the owner's own, kept by this server
    varies: ClassVar[bool] = False  # it may answer differently to the same inputs: the time, chance, what was said before
    asks_person: ClassVar[bool] = False  # may raise PauseRun

    def __init__(self, *, vertex: VertexInfo, inputs: dict[str, Any], context: RunContext) -> None:
        self.vertex = vertex
        self.inputs = inputs
        self.context = context
        self.stopped_outputs: set[str] = set()
        self.log_entries: list[dict[str, Any]] = []
        self.artifact: Any = None

    @classmethod
    def method_for(cls, output: str) -> str:
        """The method of an output that is not declared but listed by a document (a router's routes); empty when there is none."""
        return ""

    def stop(self, output: str) -> None:
        """Do not let this output's branch run (durably: until this vertex decides again)."""
        self.stopped_outputs.add(output)

    def notify(self, name: str, value: Any) -> None:
        """Have what listens to this name run once with the value, and what is behind it, when the run has nothing else to do."""
        self.notifications = [*self.notifications, (name, value)]

    async def tools(self) -> list[Tool] | None:
        """The tools of a node in tool mode, where they are not simply one for each output; None: they are."""
        return None

    async def before_outputs(self) -> None:
        """Called once before the connected outputs of one build are computed."""

    def log(self, message: str, *, name: str | None = None) -> None:
        """Add a line to the vertex's log; it is sent as a `log` event and kept with the build."""
        entry = {"name": name or f"Log {len(self.log_entries) + 1}", "message": message, "type": "text"}
        self.log_entries.append(entry)
