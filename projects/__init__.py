"""What a project is and does: flows, runs, tools, access, components. No protocol and no SQL.

Imports `storage`; never a face, never `mcp` or starlette. The engine and the components do not import `storage` either.
"""
