"""A flow run for something that a person said, followed event by event, and stopped with whoever waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from projects.access.caller import Caller
from projects.builds import BuildRequest, BuildService, MakeFrames
from projects.flows.flow import Flow

MAX_ANSWER_CHARACTERS = 100_000

OnBuildEvent = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class FlowAnswer:
    """`texts` are those of the components that ended with a message, in that order."""

    texts: list[str] = field(default_factory=list)
    failure: str = ""

    @property
    def whole(self) -> str:
        return "\n".join(text for text in self.texts if text)[:MAX_ANSWER_CHARACTERS]

    @property
    def last(self) -> str:
        return next((text for text in reversed(self.texts) if text.strip()), "")[:MAX_ANSWER_CHARACTERS]

    def add(self, event: dict[str, Any]) -> None:
        """One event as the build routes tell it."""
        data = event.get("data") or {}
        match event.get("event"):
            case "end_vertex":
                results = data["build_data"]["data"]["results"]
                message = results.get("message") if isinstance(results, dict) else None
                if data["build_data"]["valid"] and isinstance(message, dict) and isinstance(message.get("text"), str):
                    self.texts.append(message["text"])
            case "error":
                self.failure = str(data.get("text") or "The flow failed.").strip()
            case "human_input_required":
                self.failure = "The flow waits for a person's answer, which cannot be given by voice."
            case _:
                pass


class FlowRuns:
    """The runs of one conversation."""

    def __init__(self, builds: BuildService, caller: Caller, flow: Flow, make_frames: MakeFrames) -> None:
        self._builds = builds
        self._caller = caller
        self._flow = flow
        self._make_frames = make_frames

    async def run(self, text: str, session_id: str, on_event: OnBuildEvent) -> FlowAnswer:
        """Until its end. When the task that waits is cancelled, the run is. Raises what `BuildService.start` raises."""
        request = BuildRequest(input_value=text, session_id=session_id)
        job = await self._builds.start(self._caller, self._flow.id, request, self._make_frames, is_followed=True)
        answer, position = FlowAnswer(), 0
        try:
            while found := await job.next(position):
                position += len(found)
                for frame in found:
                    event = from_json(frame)
                    answer.add(event)
                    await on_event(event)
        finally:
            await self._builds.cancel(job)
        return answer
