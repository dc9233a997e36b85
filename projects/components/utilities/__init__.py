"""Small things a flow or an agent needs at hand."""
