"""Every call that leaves the server goes through here: which addresses may be reached, and how much and how long an answer may be."""
