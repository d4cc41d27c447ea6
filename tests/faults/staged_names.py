"""Names that the staged processes and the plan share."""

BY = "faults:by"
REFUSED_FAN_OUTS = "refused fan-outs"
REFUSED_WRITES = "refused writes"
UP = "up "
