"""Lists of flows: quick ones, that are right all the same."""

import json

from rest_adapter.stored_json import StoredJson, stored_json, write_json
from tests import flow_documents as flows
from tests.application import Application

HEADERS = "/api/v1/flows/?get_all=true&header_flows=true"


def test_stored_json_goes_into_an_answer_as_it_is_and_in_its_place() -> None:
    first, second = '{"a": [1, 2]}', '"text \\u00e9"'
    written = write_json({"one": StoredJson(first), "between": "x", "list": [StoredJson(second), None, StoredJson("[]")]})
    assert json.loads(written) == {"one": {"a": [1, 2]}, "between": "x", "list": ["text é", None, []]}
    assert first.encode() in written


def test_numbers_that_json_does_not_know_never_reach_an_answer() -> None:
    written = write_json([stored_json('{"a": NaN, "b": [-Infinity, 1]}'), stored_json('{"a": "no NaN here"}')])
    assert json.loads(written) == [{"a": None, "b": [None, 1]}, {"a": "no NaN here"}]


async def test_the_headers_follow_every_change_at_once_and_are_each_users_own(application: Application) -> None:
    http = application.http

    async def names() -> set[str]:
        return {flow["name"] for flow in (await http.get(HEADERS)).json()}

    before = await names()
    made = (await http.post("/api/v1/flows/", json={"name": "one", "data": flows.echo()})).json()
    assert await names() == before | {"one"}
    assert (await http.patch(f"/api/v1/flows/{made['id']}", json={"name": "two"})).status_code == 200
    assert await names() == before | {"two"} == await names()
    assert not any(flow["name"] == "two" for flow in (await application.stranger.get(HEADERS)).json())
    assert (await http.delete(f"/api/v1/flows/{made['id']}")).status_code == 200
    assert await names() == before


async def test_headers_hold_the_document_of_a_component_alone(application: Application) -> None:
    http = application.http
    for name, is_component in (("whole", False), ("part", True)):
        await http.post("/api/v1/flows/", json={"name": name, "data": flows.echo(), "is_component": is_component})
    listed = {flow["name"]: flow["data"] for flow in (await http.get(HEADERS)).json()}
    assert listed["whole"] is None and listed["part"] == flows.echo()


async def test_a_page_holds_the_documents_newest_first_as_reading_one_does(application: Application) -> None:
    http = application.http
    made = [(await http.post("/api/v1/flows/", json={"name": f"flow {number}", "data": flows.echo()})).json() for number in range(3)]
    page = (await http.get("/api/v1/flows/?get_all=false&page=1&size=2")).json()
    assert [flow["id"] for flow in page["items"]] == [made[2]["id"], made[1]["id"]]
    assert page["items"][0] == (await http.get(f"/api/v1/flows/{made[2]['id']}")).json()
