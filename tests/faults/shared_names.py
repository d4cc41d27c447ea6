"""Names that the processes under faults and the plan share."""

BY = "faults:by"
REFUSED_FAN_OUTS = "refused fan-outs"
REFUSED_WRITES = "refused writes"
UP = "up "
