"""Runs components' texts in processes that can reach nothing: bubblewrap's namespaces around, a list of allowed system calls inside.

`pool.py` is the runner the server holds, `process.py` one process from outside, `worker.py` the program inside, `protocol.py` what they say
to each other. These are namespaces of one kernel, not a virtual machine.
"""
