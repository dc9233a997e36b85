"""Every kept secret under another key, on both databases."""

import json

from sqlalchemy import select

from storage.database import Database
from storage.encryption import SecretBox
from storage.ids import new_id
from storage.secret_rotation import renew_all
from storage.tables import McpServerRow, ProjectRow, VariableRow
from tests.storage.rows import NOW, add_flow

# More than are read at once.
MANY = 501


async def test_all_of_many_values_are_renewed_and_what_no_key_opens_stays(database: Database) -> None:
    old, new = SecretBox("old"), SecretBox("new", older_keys=["old"])
    lost = SecretBox("lost long ago").encrypt("x")
    settings = {"auth_type": "oauth", "oauth_client_secret": old.encrypt("of the client"), "oauth_mcp_scope": "mcp"}
    async with database.transaction() as session:
        owner_id, _ = await add_flow(session)
        values = [*(old.encrypt(f"value {number}") for number in range(MANY)), lost]
        for number, value in enumerate(values):
            name = f"V{number:04}"
            session.add(VariableRow(id=new_id(), owner_id=owner_id, name=name, type="Generic", value=value, created_at=NOW, updated_at=NOW))
        session.add(McpServerRow(id=new_id(), owner_id=owner_id, name="s", config=old.encrypt("{}"), created_at=NOW, updated_at=NOW))
        project = (await session.execute(select(ProjectRow))).scalar_one()
        project.auth_settings = json.dumps(settings)
    async with database.transaction() as session:
        assert await renew_all(session, new) == MANY + 2
    only_new = SecretBox("new")
    async with database.reading() as session:
        rows = (await session.execute(select(VariableRow.value).order_by(VariableRow.name))).scalars().all()
        assert [only_new.decrypt(value) for value in rows[:-1]] == [f"value {number}" for number in range(MANY)]
        assert rows[-1] == lost
        assert only_new.decrypt((await session.execute(select(McpServerRow.config))).scalar_one()) == "{}"
        kept = json.loads((await session.execute(select(ProjectRow.auth_settings))).scalar_one() or "")
    assert only_new.decrypt(kept.pop("oauth_client_secret")) == "of the client"
    assert kept == {name: value for name, value in settings.items() if name != "oauth_client_secret"}
