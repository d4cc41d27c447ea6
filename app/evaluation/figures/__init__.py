"""Descriptive statistics of a whole tape, computed from its rows without the detectors."""
