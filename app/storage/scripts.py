"""Load the Lua scripts of ticks and fan-outs, without their comments: some are sent each time."""

import hashlib
from importlib.resources import files


def _source(name: str) -> str:
    text = files("app.storage").joinpath("lua", f"{name}.lua").read_text()
    lines = (line.strip() for line in text.splitlines())
    return "".join([f"{line}\n" for line in lines if line and not line.startswith("--")])


SHORTEN_RECORDS = _source("shorten")
"""Functions for scripts that read the broker's records; goes before them."""
UPDATE_EVENTS = _source("events")
TRIM_RECORDS = SHORTEN_RECORDS + _source("trim")
COUNT_RECORDS = _source("counts")
READ_RECORDS = SHORTEN_RECORDS + _source("read")
READ_RECORDS_SHA = hashlib.sha1(READ_RECORDS.encode()).hexdigest()  # noqa: S324 - Redis' name of it
KEEP_STATE = _source("keep_state")
STEP_BACK = _source("step_back")
CLAIM_AGAIN = _source("claim_again")
