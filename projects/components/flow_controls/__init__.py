"""Routing: which branch of a flow goes on."""
