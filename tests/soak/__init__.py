"""A long run under kills of Redis, after which each process must be as large as after 5 minutes."""
