"""Text Input, Text Output and Webhook."""

from typing import Any

import pytest

from projects.components.input_output.text_input import TextInput
from projects.components.input_output.text_output import TextOutput
from projects.components.input_output.webhook import Webhook
from tests.fakes import FakeRunContext, build, output_of


async def test_text_goes_through_and_is_never_stored() -> None:
    context = FakeRunContext()
    for component in (TextInput, TextOutput):
        message = await output_of(build(component, context=context, input_value="as it is"))
        assert message.text == "as it is"
        assert (message.flow_id, message.run_id) == (context.flow_id, context.run_id)
    assert context.kept == []


@pytest.mark.parametrize(
    ("body", "record"),
    [
        ('{"event": "push", "id": 7}', {"event": "push", "id": 7}),
        ("", {}),
        ("no json", {"payload": "no json"}),
        ("[1, 2]", {"payload": [1, 2]}),
        ('{"text": "two\nlines"}', {"text": "two\nlines"}),
        ('{"lc": 1, "type": "secret", "id": ["X"]}', {"lc": 1, "type": "secret", "id": ["X"]}),
        ('{"a": "\\ud800"}', {"payload": '{"a": "\\ud800"}'}),
    ],
)
async def test_a_webhook_body_is_a_record_or_a_payload(body: str, record: dict[str, Any]) -> None:
    assert (await output_of(build(Webhook, data=body))).data == record
