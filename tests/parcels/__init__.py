"""A desk that exists only in tests: parcels that are looked up (READ) and sent (ONCE)."""
