"""The protocol's own conformance suite against a project of ours, whose flows carry the names that the suite calls.

`components.py` and `content.py` come in by the plugin door (`plugin/` names them), `project.py` builds the flows, `suite.py` runs the
suite, `results.py` counts what it found. `python -m tests.conformance` puts them together.
"""
