"""Coverage-guided fuzzing of all that strangers write: `python -m tests.fuzz`."""
