"""What a flow is: its document, the graph compiled from it, tweaks, the import report, and the library that keeps flows.

Imports `projects.engine`, `projects.components` and `projects.access`; `library.py` and `prepared.py` also `storage`.
"""
