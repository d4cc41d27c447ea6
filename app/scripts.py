"""The Lua scripts that ticks run in Redis."""

import hashlib
from importlib.resources import files


class Script:
    """One of app/lua's scripts and the name by which a server that has it knows it."""

    def __init__(self, name: str) -> None:
        self.text = files("app").joinpath("lua", f"{name}.lua").read_text()
        self.sha = hashlib.sha1(self.text.encode()).hexdigest()  # noqa: S324 - Redis names scripts so


READ = Script("read")
EVENTS = Script("events")
TRIM = Script("trim")
