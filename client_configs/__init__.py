"""How each MCP client is told about a server: where its configuration lives and what an entry looks like.

A file a client and one list of them (`registry.py`). Imports none of the other folders, and never reads the process's environment:
the machine is passed in.
"""
