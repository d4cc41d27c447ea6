"""Faults done to a running system, and its published keys held against an undisturbed run."""
