"""How a component's own call of a model becomes a chat message: token by token where somebody reads along, else in one piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

from projects.engine.component import Component
from projects.engine.values import SENDER_MACHINE, Message, Source
from projects.models.chat import ChatMessage, ChatModel, ChatOptions, Reply, TextChunk


async def reply_as_message(component: Component, model: ChatModel, turns: Sequence[ChatMessage], options: ChatOptions) -> Message:
    """The model's answer as a message with its usage and the model's name.

    Before a Chat Output that is followed live, the message is announced first and its text streamed; Chat Output keeps it under that id.
    """
    if not (component.context.is_followed_live and "ChatOutput" in component.vertex.feeds):
        return _complete(_new_message(component, model), await model.reply(turns, options=options))
    message = await component.context.announce_message(_new_message(component, model, state="partial"))
    async with aclosing(cast("AsyncGenerator[TextChunk | Reply, None]", model.stream(turns, options=options))) as items:
        async for item in items:
            if isinstance(item, Reply):
                return await component.context.announce_message(_complete(message, item))
            if item.text and message.id is not None:
                await component.context.stream_token(message.id, item.text)
    raise RuntimeError(f"{model.name} ended its stream without a reply.")


def _new_message(component: Component, model: ChatModel, *, state: str = "complete") -> Message:
    vertex, context = component.vertex, component.context
    return Message(
        sender=SENDER_MACHINE,
        sender_name="AI",
        session_id=context.session_id,
        flow_id=context.flow_id,
        run_id=context.run_id,
        source=Source(id=vertex.id, display_name=vertex.display_name, source=model.name or vertex.display_name),
        state=state,
    )


def _complete(message: Message, reply: Reply) -> Message:
    message.text = reply.text
    message.state = "complete"
    message.source.source = reply.model or message.source.source
    message.usage = reply.usage.to_dict() if reply.usage is not None else None
    return message
