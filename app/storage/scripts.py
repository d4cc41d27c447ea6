"""The Lua scripts that ticks run in Redis, as part of their one transaction."""

from importlib.resources import files


def _source(name: str) -> str:
    return files("app.storage").joinpath("lua", f"{name}.lua").read_text()


EVENTS = _source("events")
TRIM = _source("trim")
