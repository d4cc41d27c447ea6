"""Figures that tell what a whole tape is like, from its rows alone (no detector is asked)."""
