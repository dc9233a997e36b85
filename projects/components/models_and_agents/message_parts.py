"""What of a chat message a model gets: its text, and its images as data addresses."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable

from projects.engine.context import RunContext
from projects.engine.values import SENDER_MACHINE, Message
from projects.errors import TooLarge
from projects.models.chat import ChatMessage

MAX_IMAGE_BYTES = 20 * 1024 * 1024
MAX_IMAGES = 20

_ROLES = {SENDER_MACHINE: "assistant", "AI": "assistant", "System": "system"}
_REMOTE = ("data:image/", "https://")

# By what the bytes begin with: a name proves nothing, and providers refuse a wrong media type.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)
_IMAGE_ENDINGS = frozenset(("png", "jpg", "jpeg", "gif", "webp", "bmp"))


async def chat_message_of(message: Message, context: RunContext) -> ChatMessage:
    """The message as a turn: its role by its sender, its text, and for a person's turn the images among its files.

    Other files are named below the text, so that the model knows of them; Read File is what reads them.
    """
    role = _ROLES.get(message.sender, "user")
    if role != "user" or not message.files:
        return ChatMessage(role, message.text)
    images: list[str] = []
    others: list[str] = []
    for path in message.files:
        if path.startswith(_REMOTE):
            images.append(path)
        elif is_image_name(path):
            images.append(await image_address(path, context))
        else:
            others.append(path)
        if len(images) > MAX_IMAGES:
            raise TooLarge(f"A message may bring at most {MAX_IMAGES} images to a model.")
    return ChatMessage(role, _with_names(message.text, others), images=tuple(images))


async def chat_messages_of(messages: Iterable[Message], context: RunContext) -> list[ChatMessage]:
    """A history as turns, without messages that hold nothing and without errors."""
    return [
        await chat_message_of(message, context) for message in messages if not message.error and (message.text.strip() or message.files)
    ]


async def image_address(path: str, context: RunContext) -> str:
    """A stored image as a `data:` address. A file that is no image after all is refused by the provider's rules, so here already."""
    content = await context.files.read(path, limit_bytes=MAX_IMAGE_BYTES)
    return f"data:{image_type(content) or _type_by_name(path)};base64,{b64encode(content).decode()}"


def is_image_name(path: str) -> bool:
    return path.rpartition(".")[2].lower() in _IMAGE_ENDINGS


def image_type(content: bytes) -> str | None:
    """The media type of an image by its first bytes; None for anything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for signature, media_type in _SIGNATURES if content.startswith(signature)), None)


def _type_by_name(path: str) -> str:
    ending = path.rpartition(".")[2].lower()
    return f"image/{'jpeg' if ending == 'jpg' else ending}"


def _with_names(text: str, paths: list[str]) -> str:
    if not paths:
        return text
    names = ", ".join(path.rpartition("/")[2] for path in paths)
    return f"{text}\n\nAttached files: {names}".strip()
