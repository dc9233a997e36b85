"""How each MCP client is told about a server: where its configuration lives and what an entry looks like.

Imports none of the other folders.
"""
