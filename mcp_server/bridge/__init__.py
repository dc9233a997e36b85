"""`headwater connect`: a client's standard input and output on one side, a server's streamable HTTP address on the other.

`standard_streams.py` reads and writes lines, `messages.py` knows what a line is, `remote.py` speaks HTTP, `relay.py` joins them.
A client starts this often and waits for it, so nothing here imports the server or the MCP SDK.
"""
