"""Clocks that are wrong, and that jump. R8."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text

from storage.database import DatabaseSettings
from storage.tables import Base, Moment
from tests import flow_documents as flows
from tests.chaos.hardship import Place, run_once, three_steps, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

HOUR = timedelta(hours=1)


def start(http: httpx.Client, flow_id: str, count: int) -> list[str]:
    return [http.post("/api/v1/runs", json={"flow": flow_id}).raise_for_status().json()["id"] for _ in range(count)]


def end_well(place: Place, runs: list[str]) -> None:
    """Each once, and nothing took less than no time."""
    assert len(set(runs)) == len(runs)
    assert set(place.wait_until_over(runs, seconds=60).values()) == {"completed"}
    with place.http() as http:
        for run_id in runs:
            vertices = http.get(f"/api/v1/runs/{run_id}").json()["vertices"]
            assert len(vertices) == 5 and all(vertex["duration_seconds"] >= 0 for vertex in vertices)


def test_what_was_kept_by_a_clock_an_hour_ahead_or_behind_is_gone_on_with(place: Place) -> None:
    """A process dies in the middle of its runs, and the next one's clock is another: seen from there, every time that is kept has moved."""
    place.environment |= {"HEADWATER_BACKGROUND_RUNS": "4"}
    server = place.serve()
    flow_id = place.make_flow("steps", three_steps(1.0))
    runs: list[str] = []
    for moved in (HOUR, -HOUR):
        with place.http() as http:
            new = start(http, flow_id, 6)
            runs += new
            wait_for(lambda new=new: any(run_id in new for run_id, _ in place.effects), what="the runs to be going on")  # type: ignore[misc]
        server.kill()
        move_kept_times(place, moved)
        server = place.serve()
        with place.http() as http:
            runs += start(http, flow_id, 2)
        end_well(place, runs)


def move_kept_times(place: Place, by: timedelta) -> None:
    settings = DatabaseSettings(url=place.database_url or f"sqlite:///{place.folder / 'data' / 'headwater.db'}")
    microseconds = round(by.total_seconds() * 1_000_000)
    engine = create_engine(settings.parsed_url.set(drivername="postgresql+psycopg" if place.is_postgresql else "sqlite"))
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            if columns := [column.name for column in table.columns if isinstance(column.type, Moment)]:
                changes = ", ".join(f'"{name}" = "{name}" + {microseconds}' for name in columns)
                connection.execute(text(f'UPDATE "{table.name}" SET {changes}'))
    engine.dispose()


@pytest.mark.usefixtures("only_at_length")
def test_a_clock_that_jumps_forth_and_back_under_a_running_server_costs_nothing(place: Place) -> None:
    library = next(_faketime(), None)
    if library is None:
        pytest.skip("libfaketime is not installed")
    offset = place.folder / "offset"

    def jump(by: str) -> None:
        draft = place.folder / "offset.new"
        draft.write_text(by)
        draft.replace(offset)

    jump("+0")
    place.environment |= {
        "HEADWATER_BACKGROUND_RUNS": "4",
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    server = place.serve()
    flow_id, quick = place.make_flow("steps", three_steps(0.5)), place.make_flow("echo", flows.echo())
    with place.http() as http:
        runs = start(http, flow_id, 4)
        first = created_at(http, runs[0])

        def has_jumped(hours: int) -> bool:
            answer = run_once(http, quick)
            assert answer.status_code == 200, answer.text
            return round((created_at(http, answer.headers["x-headwater-run-id"]) - first) / HOUR) == hours

        for by, hours in (("+3600", 1), ("-3600", -1), ("+0", 0)):
            jump(by)
            wait_for(lambda hours=hours: has_jumped(hours), seconds=20, what="the clock to jump")  # type: ignore[misc]
            runs += start(http, flow_id, 2)
    end_well(place, runs)
    assert server.terminate() == 0
    assert "Traceback" not in server.printed, server.printed


def created_at(http: httpx.Client, run_id: str) -> datetime:
    return datetime.fromisoformat(http.get(f"/api/v1/runs/{run_id}").json()["created_at"])


def _faketime() -> Iterator[Path]:
    yield from sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
