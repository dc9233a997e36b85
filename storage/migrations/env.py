"""Where Alembic starts. `storage/migrate.py` hands over an open transaction; at the command line, `alembic -x url=sqlite:///path …`."""

from alembic import context
from sqlalchemy import Connection

from storage.database import DatabaseSettings
from storage.migrate import is_compared, locked_connection
from storage.tables import Base


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        include_name=is_compared,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with locked_connection(DatabaseSettings(url=context.get_x_argument(as_dictionary=True)["url"])) as connection:
        migrate(connection)
