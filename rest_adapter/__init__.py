"""Langflow's REST API over projects; its words and its quirks live only here. Imports projects, never storage or mcp_server."""
