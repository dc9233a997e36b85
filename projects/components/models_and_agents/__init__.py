"""Prompts; models and agents join them when a model can be called."""
