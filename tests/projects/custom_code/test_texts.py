"""Texts in the styles that public components are written in run as their authors meant them, trusted and sandboxed alike."""

import asyncio
import json
from pathlib import Path

import pytest

from projects.custom_code.surface import table
from tests import flow_documents as flows
from tests.application import Application
from tests.code_texts import agent_with, flow_around, keep, node_of, run, said_by, texts

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_old_base_class_builds_from_the_parameters_of_its_one_method(running_code: Application) -> None:
    code = """
        from langflow import CustomComponent
        from langflow.field_typing import Text

        class Shouter(CustomComponent):
            display_name = "Shouter"

            def build_config(self):
                return {"text": {"display_name": "Text"}, "marks": {"display_name": "Marks", "value": 2}}

            def build(self, text: Text, marks: int = 1) -> Text:
                self.status = text
                return text.upper() + "!" * marks
    """
    assert await said_by(running_code, code, "hey") == "HEY!!"


async def test_inputs_outputs_and_helpers_of_the_module_work_under_the_older_name(running_code: Application) -> None:
    code = """
        from langflow.custom import Component
        from langflow.io import BoolInput, IntInput, MessageTextInput, Output
        from langflow.schema import Data

        SEPARATOR = "-"

        def joined(words):
            return SEPARATOR.join(words)

        class Repeater(Component):
            display_name = "Repeater"
            inputs = [
                MessageTextInput(name="text", display_name="Text"),
                IntInput(name="times", display_name="Times", value=3),
                BoolInput(name="loud", display_name="Loud", value=False),
            ]
            outputs = [Output(name="result", display_name="Result", method="make")]

            def make(self) -> Data:
                text = self.text.upper() if self.loud else self.text
                return Data(data={"joined": joined([text] * self.times), "count": self.times})
    """
    assert json.loads((await said_by(running_code, code, "a")).strip("`json\n")) == {"joined": "a-a-a", "count": 3}


async def test_inputs_and_outputs_need_no_import_and_async_methods_are_awaited(running_code: Application) -> None:
    code = """
        import asyncio
        from lfx.custom import Component
        from lfx.schema.message import Message

        class Waiter(Component):
            display_name = "Waiter"
            inputs = [MessageTextInput(name="text", display_name="Text")]
            outputs = [Output(name="later", display_name="Later", method="later")]

            async def later(self) -> Message:
                await asyncio.sleep(0)
                return Message(text=f"later: {self.text}")
    """
    assert await said_by(running_code, code) == "later: hello"


async def test_only_imports_definitions_and_assignments_of_a_text_take_effect(running_code: Application) -> None:
    code = """
        from lfx.custom import Component
        from lfx.io import MessageTextInput, Output

        if True:
            FROM_IF = 1
        try:
            FROM_TRY = 1
        except Exception:
            pass
        print("never said")

        class Names(Component):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="names", method="names_there")]

            def names_there(self) -> str:
                return f"{'FROM_IF' in globals()} {'FROM_TRY' in globals()} {'AFTER' in globals()} {helper(1)}"

        def helper(number: "NoSuchType") -> NeitherThis:
            return number + 1

        AFTER: int = 3
    """
    assert await said_by(running_code, code) == "False False True 2"


async def test_stopping_an_output_keeps_its_branch_from_running(running_code: Application) -> None:
    code = """
        from lfx.custom import Component
        from lfx.io import MessageTextInput, Output
        from lfx.schema import Message

        class Fork(Component):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="short", method="short"), Output(name="long", method="long")]

            def short(self) -> Message:
                if len(self.text) > 3:
                    self.stop("short")
                    return Message(text="")
                return Message(text="short " + self.text)

            def long(self) -> Message:
                if len(self.text) <= 3:
                    self.stop("long")
                    return Message(text="")
                return Message(text="long " + self.text)
    """
    node = await node_of(running_code, code)
    flow = await keep(
        running_code,
        [flows.chat_input(), node, flows.chat_output("ChatOutput-short"), flows.chat_output("ChatOutput-long")],
        [
            flows.edge("ChatInput-in", "Text-n", "text"),
            flows.edge("Text-n", "ChatOutput-short", "input_value", output="short"),
            flows.edge("Text-n", "ChatOutput-long", "input_value", output="long"),
        ],
    )
    assert texts(await run(running_code, flow, "abc")) == {"ChatOutput-short": "short abc"}
    assert texts(await run(running_code, flow, "abcd")) == {"ChatOutput-long": "long abcd"}


async def test_the_hook_before_a_run_comes_once_and_outputs_hold_their_values(running_code: Application) -> None:
    code = """
        from langflow.custom import Component
        from langflow.io import MessageTextInput, Output
        from langflow.schema.message import Message

        class Counter(Component):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="first", method="one"), Output(name="second", method="two")]

            def _pre_run_setup(self):
                self.calls = getattr(self, "calls", 0) + 1

            def one(self) -> Message:
                return Message(text=f"{self.text} {self.calls}")

            def two(self) -> Message:
                return Message(text=f"{self.calls} after {self.first.value.text}")
    """
    node = await node_of(running_code, code)
    flow = await keep(
        running_code,
        [flows.chat_input(), node, flows.chat_output("ChatOutput-a"), flows.chat_output("ChatOutput-b")],
        [
            flows.edge("ChatInput-in", "Text-n", "text"),
            flows.edge("Text-n", "ChatOutput-a", "input_value", output="first"),
            flows.edge("Text-n", "ChatOutput-b", "input_value", output="second"),
        ],
    )
    assert texts(await run(running_code, flow, "x")) == {"ChatOutput-a": "x 1", "ChatOutput-b": "1 after x 1"}


async def test_components_of_a_run_share_a_context_and_a_cache_and_runs_do_not(running_code: Application) -> None:
    writer = """
        from langflow.custom.custom_component.component_with_cache import ComponentWithCache
        from langflow.io import MessageTextInput, Output
        from langflow.schema import Message

        class Writer(ComponentWithCache):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="out", method="write")]

            def write(self) -> Message:
                seen = "seen" in self.ctx
                self.update_ctx({"seen": self.text})
                self._shared_component_cache.set("kept", [self.text, self.text])
                return Message(text=f"{self.text} {seen}")
    """
    reader = """
        from lfx.custom.custom_component.component_with_cache import ComponentWithCache
        from lfx.io import MessageTextInput, Output
        from lfx.services.cache.utils import CacheMiss

        class Reader(ComponentWithCache):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="out", method="read")]

            def read(self) -> str:
                missing = isinstance(self._shared_component_cache.get("other"), CacheMiss)
                return f"{self.text} | {self.ctx['seen']} {self._shared_component_cache.get('kept')} {missing}"
    """
    first, second = await node_of(running_code, writer, "Writer-w"), await node_of(running_code, reader, "Reader-r")
    flow = await keep(
        running_code,
        [flows.chat_input(), first, second, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Writer-w", "text"),
            flows.edge("Writer-w", "Reader-r", "text", output="out"),
            flows.edge("Reader-r", "ChatOutput-out", "input_value", output="out"),
        ],
    )
    for _ in range(2):
        assert texts(await run(running_code, flow, "a")) == {"ChatOutput-out": "a False | a ['a', 'a'] True"}


async def test_a_component_sends_messages_and_reads_what_earlier_runs_kept(running_code: Application) -> None:
    code = """
        from langflow.custom import Component
        from langflow.io import MessageTextInput, Output
        from langflow.memory import aget_messages, get_messages
        from langflow.schema.message import Message
        from langflow.utils.constants import MESSAGE_SENDER_AI

        class Teller(Component):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="out", method="tell")]

            async def tell(self) -> Message:
                before = await aget_messages(session_id=self.graph.session_id, sender=MESSAGE_SENDER_AI, order="ASC")
                told = await self.send_message(Message(text="aside: " + self.text, sender=MESSAGE_SENDER_AI, sender_name="Teller"))
                same = len(get_messages(session_id=self.graph.session_id, sender=MESSAGE_SENDER_AI)) == len(before)
                return Message(text=f"{[each.text for each in before]} {bool(told.id)} {same}")
    """
    flow = await flow_around(running_code, code)
    assert texts(await run(running_code, flow, "one"))["ChatOutput-out"] == "[] True True"
    assert texts(await run(running_code, flow, "two"))["ChatOutput-out"] == "['aside: one', '[] True True'] True True"
    kept = (await running_code.http.get("/api/v1/monitor/messages", params={"flow_id": flow, "sender_name": "Teller"})).json()
    assert [(item["text"], item["properties"]["source"]["id"]) for item in kept] == [("aside: one", "Text-n"), ("aside: two", "Text-n")]


async def test_a_text_that_comes_in_pieces_is_streamed_to_who_follows_and_is_whole_for_the_rest(running_code: Application) -> None:
    code = """
        from lfx.custom import Component
        from lfx.io import MessageTextInput, Output
        from lfx.schema.message import Message

        class Pieces(Component):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="out", method="pieces")]

            async def pieces(self) -> Message:
                async def one_by_one():
                    for word in self.text.split():
                        yield word + " "
                return Message(text=one_by_one())
    """
    flow = await flow_around(running_code, code)
    assert texts(await run(running_code, flow, "a b c"))["ChatOutput-out"].strip() == "a b c"
    async with running_code.http.stream("POST", f"/api/v1/run/{flow}", params={"stream": "true"}, json={"input_value": "a b c"}) as answer:
        events = [json.loads(line) for line in (await answer.aread()).decode().split("\n\n") if line.strip()]
    assert [event["data"]["chunk"] for event in events if event["event"] == "token"] == ["a ", "b ", "c "]


async def test_tables_are_pandas_frames_for_the_code_and_rows_for_the_rest(running_code: Application) -> None:
    code = """
        from langflow.custom import Component
        from langflow.io import MessageTextInput, Output
        from langflow.schema import Data, DataFrame

        class Rows(Component):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="rows", method="rows")]

            def rows(self) -> DataFrame:
                table = DataFrame([Data(text=word, size=len(word)) for word in self.text.split()])
                table = table.add_row({"text": "more", "size": 4})
                return DataFrame(table[table["size"] > 1])
    """
    assert await said_by(running_code, code, "a bb") == "| text   |   size |\n|:-------|-------:|\n| bb     |      2 |\n| more   |      4 |"


async def test_records_know_their_text_their_keys_and_each_other(running_code: Application) -> None:
    code = """
        from lfx.custom import Component
        from lfx.helpers.data import data_to_text
        from lfx.io import MessageTextInput, Output
        from lfx.schema import Data, JSON, dotdict

        class Records(Component):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="out", method="records")]

            def records(self) -> str:
                first, second = Data(text=self.text, n=1), Data(data={"text": "!", "n": 2})
                both = first + second
                both.extra = [1]
                settings = dotdict({"deep": {"er": 5}})
                checks = [JSON is Data, "n" in both, both.n == 3, both.get_text() == self.text + "!", both.extra == [1],
                          first == Data(text=self.text, n=1), Data(data={}).text == "", settings.deep.er == 5]
                return data_to_text("{n}:{text}{missing}", [first, second], sep=",") + f" {checks}"
    """
    assert await said_by(running_code, code, "a") == f"1:a,2:! {[True] * 8}"


async def test_variables_are_read_by_name_and_credentials_only_for_password_fields(running_code: Application) -> None:
    for name, kind in (("GREETING", "Generic"), ("SECRET", "Credential")):
        made = await running_code.http.post(
            "/api/v1/variables/", json={"name": name, "value": f"the {name.lower()}", "type": kind, "default_fields": []}
        )
        assert made.status_code == 201, made.text
    code = """
        from langflow.custom import Component
        from langflow.io import MessageTextInput, Output, SecretStrInput

        class Variables(Component):
            inputs = [MessageTextInput(name="text"), SecretStrInput(name="key", value="", load_from_db=False)]
            outputs = [Output(name="out", method="variables_there")]

            async def variables_there(self) -> str:
                found = [await self.get_variable("GREETING", "text"), await self.get_variables("SECRET", "key")]
                try:
                    await self.get_variable("SECRET", "text")
                except ValueError as error:
                    found.append("SECRET" in str(error))
                return f"{found} {await self.list_key_names()}"
    """
    assert await said_by(running_code, code) == "['the greeting', 'the secret', True] ['GREETING', 'SECRET']"


async def test_another_flow_of_the_owner_is_found_and_run(running_code: Application) -> None:
    echo = await keep(
        running_code,
        [flows.chat_input(), flows.chat_output()],
        [flows.edge("ChatInput-in", "ChatOutput-out", "input_value")],
        name="Echo",
    )
    code = """
        from langflow.custom import Component
        from langflow.io import MessageTextInput, Output

        class Runner(Component):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="out", method="other")]

            async def other(self) -> str:
                names = [flow.name for flow in await self.alist_flows() if flow.name == "Echo"]
                results = await self.run_flow(inputs={"input_value": self.text}, flow_name="Echo")
                return f"{names} {results[0].text}"
    """
    assert echo and await said_by(running_code, code, "back") == "['Echo'] back"


async def test_an_agent_calls_a_text_in_tool_mode_by_the_name_of_its_method(running_code: Application) -> None:
    tool = """
        from langflow.custom import Component
        from langflow.io import MessageTextInput, Output
        from langflow.schema import Data

        class Weather(Component):
            description = "Tells the weather."
            inputs = [MessageTextInput(name="city", tool_mode=True), MessageTextInput(name="unit", value="C")]
            outputs = [Output(name="weather", method="tell_weather")]

            def tell_weather(self) -> Data:
                return Data(data={"city": self.city, "degrees": "7 " + self.unit})
    """
    answer = await run(running_code, await agent_with(running_code, tool), "Bergen")
    assert texts(answer)["ChatOutput-out"] == 'tell_weather(city) said: {"city": "Bergen", "degrees": "7 C"}'


async def test_tools_that_a_text_makes_itself_are_the_agents_too(running_code: Application) -> None:
    tool = """
        from langchain_core.tools import StructuredTool
        from langflow.custom import Component
        from langflow.io import MessageTextInput, Output

        class Twice(Component):
            inputs = [MessageTextInput(name="sign", value="+")]
            outputs = [Output(name="api", method="nothing")]

            def nothing(self) -> str:
                return ""

            async def _get_tools(self):
                def twice(word: str) -> str:
                    return word + self.sign + word
                return [StructuredTool.from_function(twice, name="twice", description="Says it twice.")]
    """
    answer = await run(running_code, await agent_with(running_code, tool), "ha")
    assert texts(answer)["ChatOutput-out"] == "twice(word) said: ha+ha"


async def test_every_name_that_may_be_imported_is_there_under_both_names(running_code: Application) -> None:
    lines = [
        f"from {prefix}{'.' + path if path else ''} import {name} as n{index}_{prefix}"
        for index, (path, name) in enumerate((path, name) for path, names in table.MODULES.items() for name in names)
        for prefix in table.PREFIXES
    ]
    code = "\n".join(
        [
            *lines,
            "import langflow.schema.message",
            "from lfx import schema, io as inputs_and_outputs",
            "from langchain.schema import Document",
            "class Everything(langflow.custom.Component):",
            "    inputs = [inputs_and_outputs.MessageTextInput(name='text')]",
            "    outputs = [Output(name='out', method='count')]",
            "    def count(self) -> str:",
            "        document = schema.Data(text=self.text, n=1).to_lc_document()",
            f"        same = all(globals()[f'n{{i}}_lfx'] is globals()[f'n{{i}}_langflow'] for i in range({len(lines) // 2}))",
            "        return f'{same} {isinstance(document, Document)} {document.metadata} {langflow.schema.message.Message.__name__}'",
        ]
    )
    assert await said_by(running_code, code) == "True True {'n': 1} Message"


async def test_code_that_blocks_does_not_keep_the_server_from_answering(running_code: Application) -> None:
    code = """
        import time
        from lfx.custom import Component
        from lfx.io import MessageTextInput, Output
        from lfx.utils.async_helpers import run_until_complete

        class Blocks(Component):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="out", method="wait")]

            async def wait(self) -> str:
                ends = time.monotonic() + 60
                while "go on" not in run_until_complete(self.list_key_names()) and time.monotonic() < ends:
                    pass
                return "went on"
    """
    flow = await flow_around(running_code, code)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        blocked = group.create_task(run(running_code, flow))
        made = {"name": "go on", "value": "1", "type": "Generic", "default_fields": []}
        assert (await running_code.http.post("/api/v1/variables/", json=made)).status_code == 201
    assert texts(blocked.result())["ChatOutput-out"] == "went on"


async def test_a_text_derived_from_a_stock_component_adds_its_own_to_what_that_does(running_code: Application) -> None:
    code = """
        from langflow.components.outputs import ChatOutput
        from langflow.schema.message import Message
        from langflow.schema import Data
        from pydantic import BaseModel

        class Kept(BaseModel):
            record: Data

        class Louder(ChatOutput):
            display_name = "Louder"
            inputs = ChatOutput.inputs
            outputs = [Output(name="message", method="louder")]

            async def louder(self) -> Message:
                message = await self.message_response()
                kept = Kept(record=Data(text=message.text.upper()))
                return Message(text=kept.record.text)
    """
    flow = await flow_around(running_code, code, feed="input_value")
    assert texts(await run(running_code, flow, "hey"))["ChatOutput-out"] == "HEY"
    kept = (await running_code.http.get("/api/v1/monitor/messages", params={"flow_id": flow})).json()
    assert [(item["sender"], item["text"]) for item in kept] == [("User", "hey"), ("Machine", "hey"), ("Machine", "HEY")], kept


async def test_inputs_have_their_values_when_a_class_prepares_itself(running_code: Application) -> None:
    code = """
        from lfx.custom import Component
        from lfx.io import *

        class Prepared(Component):
            inputs = [MessageTextInput(name="text"), IntInput(name="times", value=2)]
            outputs = [Output(name="out", method="make")]

            def __init__(self, **given):
                super().__init__(**given)
                self.seen = f"{self.text}*{self.times} in {self.graph.session_id}"

            def make(self) -> str:
                return self.seen
    """
    flow = await flow_around(running_code, code, times=3)
    assert texts(await run(running_code, flow, session_id="s-1"))["ChatOutput-out"] == "hello*3 in s-1"


async def test_a_run_has_a_folder_of_its_own_with_uploads_as_copies_until_it_ends(running_code: Application) -> None:
    code = """
        from pathlib import Path
        from lfx.base.data.utils import parse_text_file_to_data
        from lfx.custom import Component
        from lfx.io import MessageTextInput, Output

        class Reads(Component):
            inputs = [MessageTextInput(name="text"), MessageTextInput(name="upload")]
            outputs = [Output(name="out", method="read")]

            def read(self) -> str:
                note = Path(self.get_full_path("notes/a.txt"))
                note.write_text(self.text)
                upload = self.resolve_path(self.upload)
                with open(upload, "a") as copy:
                    copy.write(" (changed)")
                try:
                    self.get_full_path("../a.txt")
                except ValueError as error:
                    refused = "leads out" in str(error)
                record = parse_text_file_to_data(upload)
                return f"{note.read_text()}|{record.get_text()}|{refused}|{note.parent.parent}"
    """
    flow = await flow_around(running_code, code)
    sent = await running_code.http.post(f"/api/v1/files/upload/{flow}", files={"file": ("up.txt", b"uploaded")})
    path = sent.json()["file_path"]
    answers = [await run(running_code, flow, tweaks={"Text-n": {"upload": path}}) for _ in range(2)]
    said = [texts(answer)["ChatOutput-out"].split("|") for answer in answers]
    assert [each[:3] for each in said] == [["hello", "uploaded (changed)", "True"]] * 2, "each run has a copy of its own"
    gone = [not is_there(each[3]) for each in said]
    assert gone == [True, True]


def is_there(path: str) -> bool:
    return Path(path).exists()
