"""Where data comes from; so far only what needs no network."""
