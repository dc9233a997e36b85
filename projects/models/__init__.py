"""Language and embedding models: what a component asks of one, and the providers behind it.

Imports nothing of ours but `errors` and `outgoing`.
"""
