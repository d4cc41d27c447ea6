"""Feeds: records written to Redis exactly as a broker would write them."""
