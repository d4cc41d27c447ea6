"""Load the Lua scripts that ticks run within their transactions."""

from importlib.resources import files


def _source(name: str) -> str:
    return files("app.storage").joinpath("lua", f"{name}.lua").read_text()


UPDATE_EVENTS = _source("events")
TRIM_RECORDS = _source("trim")
COUNT_RECORDS = _source("counts")
