"""Load the Lua scripts that ticks and fan-outs run."""

from importlib.resources import files


def _source(name: str) -> str:
    return files("app.storage").joinpath("lua", f"{name}.lua").read_text()


UPDATE_EVENTS = _source("events")
TRIM_RECORDS = _source("trim")
COUNT_RECORDS = _source("counts")
KEEP_STATE = _source("keep_state")
STEP_BACK = _source("step_back")
CLAIM_AGAIN = _source("claim_again")
