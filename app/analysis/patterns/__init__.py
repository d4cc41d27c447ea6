"""Pattern events (`events.py`), and one detector a file."""
