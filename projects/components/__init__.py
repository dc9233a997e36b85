"""The component library: a folder a category, a file a component.

Imports the engine's component door and values, never storage or a face. `registry.py` lists what there is.
"""
