"""Older tool-style types that flows still carry."""
