"""`make bench`: what a call costs here, beside a bare SDK server and a bare Starlette route measured in the same minutes.

Figures of a busy machine swing; the ratios swing less. Imports nothing of ours: the server is started as a person starts it.
"""
