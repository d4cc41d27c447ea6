"""The event machine, and one file a family of patterns."""
