"""An older database under newer servers: R13."""

import pytest

from storage import migrate
from storage.database import DatabaseSettings
from tests import flow_documents as flows
from tests.chaos.hardship import Place, run_once, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def test_two_starts_at_once_bring_an_older_database_to_the_newest_shape_once(place: Place) -> None:
    """R13: the first shape there was, with two servers racing."""
    (place.folder / "data").mkdir(mode=0o700)
    _first_shape(DatabaseSettings(url=place.database_url or f"sqlite:///{place.folder / 'data' / 'headwater.db'}"))
    racing = [place.run("worker") for _ in range(2)]
    wait_for(lambda: all("takes runs" in each.printed or each.running.poll() is not None for each in racing), what="both to start")
    assert [each.running.poll() for each in racing] == [None, None], [each.printed for each in racing]
    assert [each.terminate() for each in racing] == [0, 0]
    place.serve()
    flow_id = place.make_flow("echo", flows.echo())
    with place.http() as http:
        assert run_once(http, flow_id).status_code == 200


def _first_shape(settings: DatabaseSettings) -> None:
    from alembic.command import upgrade
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    config.set_main_option("path_separator", "os")
    (first,) = ScriptDirectory.from_config(config).get_bases()
    with migrate.locked_connection(settings) as connection:
        config.attributes["connection"] = connection
        upgrade(config, first)
