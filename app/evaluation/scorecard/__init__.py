"""How good the detectors are, measured against known truth."""
