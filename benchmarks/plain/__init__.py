"""The plain way to take the same results: one row a reading, a serializer for each of them.

Only the benchmark starts it, beside the portal on the same server.
"""
