"""What is kept: one file a table, the database it lies in, and its migrations.

Knows no rule and no protocol, and imports nothing from above.
"""
