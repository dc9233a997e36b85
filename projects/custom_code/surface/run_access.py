"""What a component may ask of the run it is in, and tell it: its context, messages, variables, other flows, files."""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from projects.custom_code.surface import calls
from projects.custom_code.surface.calls import Calls
from projects.custom_code.surface.crossing import from_engine, to_engine
from projects.custom_code.surface.graph_view import GraphView
from projects.custom_code.surface.message_parts import Source
from projects.custom_code.surface.messages import Message
from projects.custom_code.surface.records import Data


class RunAccess:
    """A component's part that speaks with the run; `Component` has the rest."""

    _own_ctx: dict[str, Any]
    _user_id: str | None

    @property
    def _run(self) -> Calls:
        found: Calls = self.__dict__.get("_calls") or calls.current()
        return found

    @property
    def ctx(self) -> dict[str, Any]:
        """Scratch space shared by the components of the run."""
        found = self.__dict__.get("_calls")
        return found.state if found is not None else self._own_ctx

    def update_ctx(self, value: Mapping[str, Any]) -> None:
        self.ctx.update(value)

    def add_to_ctx(self, key: str, value: Any, *, overwrite: bool = False) -> None:
        if key in self.ctx and not overwrite:
            raise ValueError(f"Key {key} already exists in context. Set overwrite=True to overwrite.")
        self.ctx[key] = value

    @property
    def graph(self) -> GraphView:
        if "_graph_view" not in self.__dict__:
            self.__dict__["_graph_view"] = GraphView(self._run.description, self.ctx)
        found: GraphView = self.__dict__["_graph_view"]
        return found

    @property
    def user_id(self) -> str | None:
        return self._user_id

    @property
    def flow_id(self) -> str:
        return self._run.description.flow_id

    @property
    def flow_name(self) -> str:
        return self._run.description.flow_name

    def is_connected_to_chat_output(self) -> bool:
        return "ChatOutput" in self._run.description.feeds

    def get_incoming_edge_by_target_param(self, target_param: str) -> str | None:
        """The id of the vertex that feeds this input."""
        found = self._run.description.fed_by.get(target_param) or ()
        return next((item["id"] for item in found), None)

    def get_langchain_callbacks(self) -> list[Any]:
        return []

    async def send_message(self, message: Message, id_: str | None = None, **_more: Any) -> Message:
        """Announce a message of the run and keep it; an iterator as its text is streamed piece by piece. Returns the kept one."""
        if id_ and not message.id:
            message.id = id_
        run = self._run
        description = run.description
        if not message.session_id:
            message.session_id = description.session_id
        if not message.flow_id:
            message.flow_id = description.flow_id
        if message.properties.source.get("id") is None:
            message.properties.source = Source(description.id, description.display_name, description.display_name)
        await self._streamed(message, follow=description.is_followed_live)
        return await self._kept(message)

    async def _kept(self, message: Message) -> Message:
        kept = await self._run.ask(self._run.host.send_message(to_engine(message), keep=True))
        message.id = kept.id
        found = from_engine(kept)
        assert isinstance(found, Message)
        return found

    async def _streamed(self, message: Message, *, follow: bool) -> None:
        """Take an iterator's pieces until the text is whole, telling each where somebody follows the run."""
        pieces = message.text
        if not isinstance(pieces, AsyncIterator | Iterator):
            return
        run = self._run
        message.text = ""
        if follow:
            message.properties.state = "partial"
            announced = await run.ask(run.host.send_message(to_engine(message), keep=False))
            message.id = announced.id
        collected: list[str] = []
        async for piece in _pieces(pieces):
            collected.append(piece)
            if follow and piece:
                await run.ask(run.host.stream_token(message.id, piece))
        message.text = "".join(collected)
        message.properties.state = "complete"

    # --- variables, flows, files

    async def get_variable(self, name: str, field: str | None = None, session: Any = None) -> str:
        """The value of a stored variable. A credential is given only for a `field` that holds secrets."""
        run = self._run
        value = await run.ask(run.host.get_variable(name, field=field or ""))
        return str(value)

    get_variables = variables = get_variable

    async def list_key_names(self) -> list[str]:
        found: list[str] = await self._run.ask(self._run.host.list_variable_names())
        return found

    async def alist_flows(self) -> list[Data]:
        return [Data(data=item) for item in await self._run.ask(self._run.host.list_flows())]

    def list_flows(self) -> list[Data]:
        return [Data(data=item) for item in self._run.wait(self._run.host.list_flows())]

    async def run_flow(
        self,
        inputs: Any = None,
        flow_id: str | None = None,
        flow_name: str | None = None,
        output_type: str | None = "chat",
        tweaks: Mapping[str, Mapping[str, Any]] | None = None,
        **_more: Any,
    ) -> list[Any]:
        """Run another flow of the same owner; the values of its output components in file order."""
        wanted = flow_id or flow_name
        if not wanted:
            raise ValueError("Flow ID or Flow Name is required")
        if isinstance(inputs, list | tuple):
            inputs = inputs[0] if inputs else None
        text = inputs.get("input_value") if isinstance(inputs, Mapping) else getattr(inputs, "input_value", inputs)
        run = self._run
        values = [[vertex, name, value] for vertex, changes in (tweaks or {}).items() for name, value in changes.items()]
        answer = await run.ask(
            run.host.run_flow(wanted, input_value=None if text is None else str(text), values=values, session_id=run.description.session_id)
        )
        return [from_engine(value) for outputs in answer.values() for value in outputs.values()]

    async def load_flow(self, flow_id: str, tweaks: Any = None) -> Any:
        """A flow is run whole, and never handed to a component."""
        raise NotImplementedError(f"Components get no graphs here: run it with `await self.run_flow(flow_id={flow_id!r})`.")

    def resolve_path(self, path: str) -> str:
        """A path below the run's own folder, which is gone after the run. An upload is there as a copy.

        ValueError for a path that leads out of the folder.
        """
        run = self._run
        folder = run.description.files_folder
        if not folder:
            raise ValueError("This component runs without a folder of its own.")
        found = posixpath.normpath(posixpath.join(folder, path))
        if found != folder and not found.startswith(folder.rstrip("/") + "/"):
            raise ValueError(f"The path {path!r} leads out of the run's own folder.")
        here = Path(found)
        Path(folder).mkdir(mode=0o700, exist_ok=True)
        if not here.exists():
            here.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # then it is for a file that the component makes
                here.write_bytes(run.wait(run.host.read_file(path)))
        return found

    get_full_path = resolve_path

    async def read_file(self, path: str) -> bytes:
        """The content of an uploaded file that the run may see."""
        content: bytes = await self._run.ask(self._run.host.read_file(path))
        return content


async def _pieces(stream: Any) -> AsyncIterator[str]:
    if isinstance(stream, AsyncIterator):
        async for piece in stream:
            yield _piece(piece)
    else:
        for piece in stream:
            yield _piece(piece)


def _piece(piece: Any) -> str:
    content = getattr(piece, "content", piece)
    return content if isinstance(content, str) else str(content)
