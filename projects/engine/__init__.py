"""Runs a graph: which vertices, in which order, with which values. Knows no database and no concrete component.

Imports `projects.errors` and nothing else of ours.
"""
