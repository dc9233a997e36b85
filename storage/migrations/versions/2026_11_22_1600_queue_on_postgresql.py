"""On PostgreSQL the queue of runs is procrastinate's: its tables, and a trigger that gives each queued run a job in its own transaction.

Revision: 2026_11_22_1600
After: 2026_11_22_1500
"""

from typing import Any

from alembic import op

revision = "2026_11_22_1600"
down_revision = "2026_11_22_1500"

# The names of queue and task are those of `storage/queue_procrastinate.py`. A job that nobody has taken is replaced, because procrastinate
# refuses a second one with the same lock, and that would take back the transaction which queues the run.
_FUNCTIONS = """
CREATE FUNCTION headwater_defer_run(run_id text, available_at bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM procrastinate_jobs WHERE queueing_lock = run_id AND status = 'todo';
    PERFORM procrastinate_defer_jobs_v1(ARRAY[ROW(
        'headwater_runs', 'headwater_run', 0, NULL, run_id, jsonb_build_object('run_id', run_id), to_timestamp(available_at / 1e6)
    )::procrastinate_job_to_defer_v1]);
END;
$$;

CREATE FUNCTION headwater_run_is_queued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM headwater_defer_run(NEW.id, NEW.available_at);
    RETURN NULL;
END;
$$;

CREATE TRIGGER headwater_run_is_queued AFTER INSERT OR UPDATE OF state ON runs
    FOR EACH ROW WHEN (NEW.state = 'queued') EXECUTE FUNCTION headwater_run_is_queued();

SELECT headwater_defer_run(id, available_at) FROM runs WHERE state = 'queued' ORDER BY created_at, id;
"""

_BACK = """
DROP TRIGGER headwater_run_is_queued ON runs;
DROP FUNCTION headwater_run_is_queued();
DROP FUNCTION headwater_defer_run(text, bigint);
DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers CASCADE;
DO $$
DECLARE
    ours record;
BEGIN
    FOR ours IN SELECT oid::regprocedure AS name FROM pg_proc WHERE proname LIKE 'procrastinate\\_%' AND pg_function_is_visible(oid) LOOP
        EXECUTE 'DROP FUNCTION ' || ours.name;
    END LOOP;
END;
$$;
DROP TYPE procrastinate_job_to_defer_v1, procrastinate_job_event_type, procrastinate_job_status;
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        from procrastinate.schema import SchemaManager  # only PostgreSQL installations have it

        _run(SchemaManager.get_schema())
        _run(_FUNCTIONS)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _run(_BACK)


def _run(script: str) -> None:
    """Many statements at once, which the driver takes only when there are no parameters."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(script)
