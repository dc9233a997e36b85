"""Components that flows bring as Python text: read, offered the API they were written for, and run where the operator allows it.

`policy.py` decides, `component.py` is what the engine sees, `running.py` runs a text (here, or in a worker of the sandbox) and asks the
world through `host.py` alone.
"""
