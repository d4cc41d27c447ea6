"""Precision and recall of the detectors against known truth."""
