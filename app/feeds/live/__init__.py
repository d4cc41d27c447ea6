"""Live feeds: quotes and trades of venues, published as they arrive."""
