"""The bridge that goes into a project's bundle: a client starts it, it speaks to the project's server over HTTP.

It runs outside this package, on a person's machine, with whatever Python is there: only the standard library, nothing newer than
Python 3.9, and imports among its own files are relative.
"""
