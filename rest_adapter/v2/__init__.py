"""Routes below /api/v2; the table of contents is `rest_adapter/v1/__init__.py`."""
