"""The Lua scripts that ticks run in Redis, as part of their one transaction."""

from importlib.resources import files


def _source(name: str) -> str:
    return files("app.storage").joinpath("lua", f"{name}.lua").read_text()


UPDATE_EVENTS = _source("events")
TRIM_RECORDS = _source("trim")
