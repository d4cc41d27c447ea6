"""The keys of a ticker as a release left them in Redis, in a file."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from app.analysis.records import Record
from app.analysis.windows import WINDOWS
from app.core.settings import Settings
from app.feeds.simulation import profile_of, simulate
from app.storage.keys import Keys
from app.storage.tick_store import TickStore
from tests.broker import publish

FOLDER = Path(__file__).parent
TICKER = "AAPL"
SEED = 3
# A Thursday, 10:00 in New York: the session has begun, and the ticker is seen since.
START_MS = 1_340_287_200_000
# Ranks are known after 20 minutes.
SECONDS = 21 * 60
# After what is kept, the release ticked on, over records that are kept as well.
SECONDS_AFTER = 12
# Ticks need no older records, and answers about five minutes no older bars: the file stays small.
RECORDS_SECONDS = 30
BARS_SECONDS = 330
AS_OF = START_MS + SECONDS * 1000
AS_OF_AFTER = AS_OF + SECONDS_AFTER * 1000
# Bytes of keys are no UTF-8; this way each is a character, and a diff of them can be read.
_ENCODING = "latin-1"

Kept = dict[str, Any]


def path_of(release: str) -> Path:
    """Return the file of a release."""
    return FOLDER / f"{release}.keys.json.gz"


def releases() -> list[str]:
    """Return the releases of which keys are kept."""
    return sorted(path.name.removesuffix(".keys.json.gz") for path in FOLDER.glob("*.keys.json.gz"))


def load(release: str) -> Kept:
    """Read what is kept of a release."""
    kept: Kept = json.loads(gzip.decompress(path_of(release).read_bytes()))
    return kept


def save(release: str, kept: Kept) -> int:
    """Write what is to be kept of a release; return the file's size."""
    text = json.dumps(kept, indent=0, ensure_ascii=False).encode()
    # Without the time of writing, equal keys make equal files.
    return path_of(release).write_bytes(gzip.compress(text, mtime=0))


def play(client: redis.Redis, settings: Settings) -> Kept:
    """Simulate a ticker, tick it, and return its keys, and what further ticks published."""
    store = TickStore(settings)
    made = simulate(TICKER, SEED, START_MS, SECONDS + SECONDS_AFTER, profile_of(TICKER))
    seconds = [records for records, _ in made]
    for number, records in enumerate(seconds[:SECONDS], start=1):
        publish(client, TICKER, records)
        store.run_tick(TICKER, START_MS + number * 1000)
    _leave_out_old(client)
    keys = {name: _value(client, name) for name in _names(client)}
    publish(client, TICKER, _flat(seconds[SECONDS:]))
    names = Keys().quotes(TICKER), Keys().trades(TICKER)
    later = {name: _members(client, name, f"({AS_OF}") for name in names}
    tick_on(store)
    return {"keys": keys, "later": later, "published_later": published(client)}


def tick_on(store: TickStore) -> list[str]:
    """Tick over the records that follow; return the outcomes."""
    ends = range(AS_OF + 1000, AS_OF_AFTER + 1, 1000)
    return [store.run_tick(TICKER, end).outcome for end in ends]


def restore(client: redis.Redis, kept: Kept) -> None:
    """Write the keys of a release."""
    for name, (kind, value) in kept["keys"].items():
        if kind == "hash":
            client.hset(name, mapping={_bytes(key): _bytes(text) for key, text in value.items()})
        elif kind == "zset":
            _add(client, name, value)
        else:
            for number, fields in value:
                written = {_bytes(key): _bytes(text) for key, text in fields.items()}
                client.xadd(name, written, number)


def add_later_records(client: redis.Redis, kept: Kept) -> None:
    """Write the records that came after what is kept."""
    for name, members in kept["later"].items():
        _add(client, name, members)


def _add(client: redis.Redis, name: str, members: list[tuple[str, float]]) -> None:
    client.zadd(name, {_bytes(member): score for member, score in members})


def published(client: redis.Redis) -> Kept:
    """Return what readers of the ticker's keys find: windows, events, levels, session, outcomes."""
    names = Keys()
    hashes = {window: names.metrics(TICKER, window) for window in WINDOWS}
    hashes |= {"session": names.session(TICKER), "outcomes": names.outcomes(TICKER)}
    sets = {"events": names.patterns(TICKER)}
    sets |= {f"{side} levels": names.levels(TICKER, side) for side in ("bid", "ask")}
    found: Kept = {what: _decoded(client.hgetall(name)) for what, name in hashes.items()}
    for what, name in sets.items():
        found[what] = [json.loads(member) for member in client.zrange(name, 0, -1)]
    return found


def _decoded(fields: dict[bytes, bytes]) -> Kept:
    return {name.decode(): _read(value.decode()) for name, value in fields.items()}


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _leave_out_old(client: redis.Redis) -> None:
    names = Keys()
    for name in (names.quotes(TICKER), names.trades(TICKER)):
        client.zremrangebyscore(name, "-inf", AS_OF - RECORDS_SECONDS * 1000)
    client.xtrim(names.bars(TICKER), minid=AS_OF - BARS_SECONDS * 1000, approximate=False)


def _flat(seconds: list[list[Record]]) -> list[Record]:
    return [record for records in seconds for record in records]


def _names(client: redis.Redis) -> Iterator[str]:
    yield from sorted(name.decode() for name in client.scan_iter(f"orderflow:*{TICKER}*"))


def _value(client: redis.Redis, name: str) -> tuple[str, Any]:
    kind = client.type(name).decode()
    if kind == "hash":
        return kind, _texts(client.hgetall(name))
    if kind == "zset":
        return kind, _members(client, name, "-inf")
    assert kind == "stream", f"{name} is a {kind}"
    return kind, [(_text(number), _texts(fields)) for number, fields in client.xrange(name)]


def _members(client: redis.Redis, name: str, least: str) -> list[tuple[str, float]]:
    found = client.zrangebyscore(name, least, "+inf", withscores=True)
    return [(_text(member), score) for member, score in found]


def _texts(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in fields.items()}


def _text(value: bytes) -> str:
    return value.decode(_ENCODING)


def _bytes(text: str) -> bytes:
    return text.encode(_ENCODING)
