"""Voice: a person speaks with a flow, by way of a realtime model that hears and speaks.

Above: the face's sockets, as a `Client`. Below: `outgoing` for the realtime model and for speech, `builds.py` for the flow's runs.
"""
