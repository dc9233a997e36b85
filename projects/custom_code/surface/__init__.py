"""The API that components are written for, in names only: what a text may import under `langflow.` and `lfx.` (see `table.py`)."""
