"""The process and the MCP face of every project: command line, settings, wiring, transports, tools.

Imports `projects` for everything it answers; only `app.py` imports `rest_adapter`, only `wiring.py` imports `storage`.
"""
