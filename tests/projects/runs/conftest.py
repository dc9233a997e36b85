import asyncio

import pytest
from headwater_test_components import Say


@pytest.fixture
def goes_on(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Ends the wait of a `HeadwaterTestSay`."""
    event = asyncio.Event()
    monkeypatch.setattr(Say, "goes_on", event)
    return event
