"""Parsing, converting, splitting and reshaping of text, records and tables."""
