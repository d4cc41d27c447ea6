"""Define every Redis key: name, type, content, lifetime. No other module builds a key.

Written by the broker:

    ZSET   orderflow:quotes:{ticker}            JSON quotes by epoch ms; trimmed to the retention
    ZSET   orderflow:trades:{ticker}            JSON trades by epoch ms; trimmed to the retention
    ZSET   orderflow:gaps:{ticker}              optional: JSON gaps, times whose records were lost,
                                                by their end; trimmed to the retention
    HASH   orderflow:feed:{ticker}              optional: what a feed says of itself

Written by a tick (lifetimes in seconds beside the names below):

    HASH   orderflow:metrics:{ticker}:{window}  the window's metrics at `as_of`
    ZSET   orderflow:patterns:{ticker}          JSON events by `opened_at`, one member an event
    ZSET   orderflow:levels:{ticker}:{side}     JSON levels by significance, one member a price
    STREAM orderflow:bars:{ticker}              one packed second an entry, id = its end in ms
    HASH   orderflow:state:{ticker}             `version`, `as_of`, `engine`, `blob`, `recent`,
                                                `recent_count`, `journal`, `behind`, `lost_to`,
                                                `open`: the open events, a line each,
                                                `tick`: the tick size in price units, if known,
                                                `digits`: the unit is 10^-digits, 1e-8 if absent,
                                                `quote_at`: stamp of the quote in the windows,
                                                `rejected`: JSON, newest records rejected,
                                                `corrected_at`: when ticks ahead were taken back;
                                                `version` begins with the newest tick's time, by its
                                                clock, of a delayed feed after `as_of`,
                                                `gaps`: times that cut the stored bars
    HASH   orderflow:kept:{ticker}              the state before a tick that was far ahead of it

    HASH   orderflow:session:{ticker}           the market's session so far, and its bounds
    HASH   orderflow:ended:{ticker}             the market's last session, as of its end
    HASH   orderflow:outcomes:{ticker}          what followed events: JSON by type:side:seconds

Written by the tasks and servers:

    HASH   orderflow:failures:{ticker}          failed ticks: `count`, `as_of`, `error`
    ZSET   orderflow:tickers                    tickers seen by discovery, by their newest
                                                quote or when their records last arrived
    HASH   orderflow:pulse                      time of the last `fanout` and `tick`, and tick in
                                                an `outdated` worker; of the last meeting of
                                                `shards:{n}:{m}` that differ; `clock:beat` and
                                                `clock:worker`: when such a clock was last
                                                found to be wrong by Redis's; `birth` is the
                                                database id, `emptied_at` when it last changed;
                                                `memory`: bytes that Redis uses, as of 10 s ago
    ZSET   orderflow:workers                    worker processes by when they last did work
    HASH   orderflow:counters                   totals since Redis started: ticks done, failed …
    HASH   orderflow:homes                      new shard by ticker, moved from a late worker's
    HASH   orderflow:lags                       settle time in s by ticker, of feeds that are behind
    HASH   orderflow:feeds                      what the feed of each active ticker last said
    HASH   orderflow:history                    what the writer of the history last did
    HASH   orderflow:withheld                   new tickers whose lag discovery measures first
    ZSET   orderflow:newcomers                  tickers that discovery let in and that have no
                                                state yet, by when they entered
    ZSET   orderflow:entered                    tickers that entered in the last 300 s, by when
    ZSET   orderflow:waiting                    new tickers that may not enter yet, by since when
    HASH   orderflow:sightings                  newest scores and numbers of records of keys whose
                                                newest quote is old, as discovery last saw them
    STRING orderflow:guard:{as_of}:{shard}      lock: one fan-out for each `as_of` and shard; the
                                                number of shards where the shard is -2
    STRING orderflow:scan                       progress of discovery's SCAN
    STRING orderflow:trimming                   progress of the trimming of records
    HASH   orderflow:answers:{id}               an answer as sent: `text`, `json`, `png`
    ZSET   orderflow:answers:newest             their ids by time; the only keys a server writes
    none   orderflow:answers:probe              never set: a write that changes nothing names it
    any    orderflow:bad:{key}                  a quarantined key that had the wrong type

With `ORDERFLOW_CLUSTER=1` the ticker is in braces, so that all of its keys share a slot.
"""

import re

from app.analysis.touch import SIDE_NAMES
from app.analysis.windows import WINDOWS
from app.core.tickers import is_ticker

PREFIX = "orderflow:"
DIFFERING_SHARDS = re.compile(r"shards:([0-9]{1,2}):([0-9]{1,2})")
# The fields of the heartbeat that hold when the clock of such a process's host was wrong.
WRONG_CLOCKS = {"beat": "clock:beat", "worker": "clock:worker"}
# The field of the heartbeat that holds how many bytes Redis uses.
USED_MEMORY = "memory"
_PLACEHOLDER = "\0"  # in no ticker's name

FEED_LIFETIME_SECONDS = 120
METRICS_LIFETIME_SECONDS = dict(zip(WINDOWS, (60, 300, 600), strict=True))
PATTERNS_LIFETIME_SECONDS = 3600
LEVELS_LIFETIME_SECONDS = 3600
BARS_LIFETIME_SECONDS = 2 * 3600 + 600
STATE_LIFETIME_SECONDS = 7 * 86400
SESSION_LIFETIME_SECONDS = 7 * 86400
ENDED_LIFETIME_SECONDS = 7 * 86400
OUTCOMES_LIFETIME_SECONDS = 7 * 86400
KEPT_STATE_LIFETIME_SECONDS = 600
FAILURES_LIFETIME_SECONDS = 3600
TICKERS_LIFETIME_SECONDS = 7 * 86400
HEARTBEAT_LIFETIME_SECONDS = 86400
WORKERS_LIFETIME_SECONDS = 60
COUNTERS_LIFETIME_SECONDS = 7 * 86400
MOVED_SHARDS_LIFETIME_SECONDS = 86400
LAGS_LIFETIME_SECONDS = 7 * 86400
FEEDS_LIFETIME_SECONDS = 86400
HISTORY_LIFETIME_SECONDS = 86400
WITHHELD_LIFETIME_SECONDS = 60
NEWCOMERS_LIFETIME_SECONDS = 300
ENTERED_LIFETIME_SECONDS = 300
WAITING_LIFETIME_SECONDS = 60
SIGHTINGS_LIFETIME_SECONDS = 300
GUARD_LIFETIME_SECONDS = 60
SCAN_LIFETIME_SECONDS = 60
TRIMMING_LIFETIME_SECONDS = 3600
QUARANTINE_LIFETIME_SECONDS = 86400
ANSWERS_LIFETIME_SECONDS = 3600

TICKERS = PREFIX + "tickers"
HEARTBEAT = PREFIX + "pulse"
WORKERS = PREFIX + "workers"
COUNTERS = PREFIX + "counters"
MOVED_SHARDS = PREFIX + "homes"
LAGS = PREFIX + "lags"
FEEDS = PREFIX + "feeds"
HISTORY = PREFIX + "history"
WITHHELD = PREFIX + "withheld"
NEWCOMERS = PREFIX + "newcomers"
ENTERED = PREFIX + "entered"
WAITING = PREFIX + "waiting"
SIGHTINGS = PREFIX + "sightings"
SCAN = PREFIX + "scan"
TRIMMING = PREFIX + "trimming"
NEWEST_ANSWERS = PREFIX + "answers:newest"
# Under the names that a server may write.
WRITE_PROBE = PREFIX + "answers:probe"
# The field of the state that holds the open events: a reader need not search an hour of events.
OPEN_EVENTS = "open"
# The fields of the state that hold the price tick in units of 10^-digits, and these digits (absent:
# 8), for readers that measure in ticks.
TICK_SIZE, PRICE_DIGITS = "tick", "digits"
# The field of the state that holds the stamp, in ms, of the quote that stands in the published
# windows at `as_of`; absent before the first usable quote.
QUOTE_AT = "quote_at"
# The field of the state that tells which records were rejected and are newer than the newest usable
# one of their kind: {"quotes": {"since": ms, "count": n, "reasons": {name: n}}, "trades": {…}}.
# Absent while there are none.
REJECTED = "rejected"
# The field of the state that holds the past that the published ranks come from.
RANK_PAST = "ranks"
# The field of the state that holds when, in ms, `as_of` last went back: a clock had been ahead.
CORRECTED_AT = "corrected_at"
# The field of the state that holds the gaps found after bars were stored; absent without any.
GAPS = "gaps"


class Keys:
    """Names of one ticker's keys, with or without the braces of a Redis Cluster."""

    def __init__(self, *, cluster: bool = False) -> None:
        self._cluster = cluster
        self._ticker_format = "{%s}" if cluster else "%s"
        self.quotes_pattern = f"{PREFIX}quotes:*"
        # Matches quotes, trades and gaps, and little else: one SCAN instead of three.
        self.records_pattern = f"{PREFIX}[qtg][ura][oap]*s:*"
        self._quotes_prefix = f"{PREFIX}quotes:"
        self._trades_prefix = f"{PREFIX}trades:"
        self._gaps_prefix = f"{PREFIX}gaps:"
        self._tick_keys_template = "\n".join(self._tick_key_names(_PLACEHOLDER))

    def _name(self, kind: str, ticker: str) -> str:
        return f"{PREFIX}{kind}:{self._ticker_format % ticker}"

    def quotes(self, ticker: str) -> str:
        """Return the name of the ZSET of the broker's quotes."""
        return self._name("quotes", ticker)

    def trades(self, ticker: str) -> str:
        """Return the name of the ZSET of the broker's trades."""
        return self._name("trades", ticker)

    def gaps(self, ticker: str) -> str:
        """Return the name of the ZSET of the gaps that a ticker's feed declares."""
        return self._name("gaps", ticker)

    def feed(self, ticker: str) -> str:
        """Return the name of the HASH of what a ticker's feed says of itself."""
        return self._name("feed", ticker)

    def metrics(self, ticker: str, window: str) -> str:
        """Return the name of the HASH of a window's metrics."""
        return f"{self._name('metrics', ticker)}:{window}"

    def patterns(self, ticker: str) -> str:
        """Return the name of the ZSET of events by `opened_at`."""
        return self._name("patterns", ticker)

    def levels(self, ticker: str, side: str) -> str:
        """Return the name of the ZSET of price levels by significance."""
        return f"{self._name('levels', ticker)}:{side}"

    def bars(self, ticker: str) -> str:
        """Return the name of the STREAM of packed bars that late records can no longer change."""
        return self._name("bars", ticker)

    def state(self, ticker: str) -> str:
        """Return the name of the HASH of a ticker's stored state."""
        return self._name("state", ticker)

    def session(self, ticker: str) -> str:
        """Return the name of the HASH of the market's session so far."""
        return self._name("session", ticker)

    def ended(self, ticker: str) -> str:
        """Return the name of the HASH of the market's last session that ended."""
        return self._name("ended", ticker)

    def outcomes(self, ticker: str) -> str:
        """Return the name of the HASH of what followed a ticker's events."""
        return self._name("outcomes", ticker)

    def kept_state(self, ticker: str) -> str:
        """Return the name of the HASH of a state before a tick far ahead of it."""
        return self._name("kept", ticker)

    def failures(self, ticker: str) -> str:
        """Return the name of the HASH of a ticker's failed ticks."""
        return self._name("failures", ticker)

    def of_tick(self, ticker: str) -> list[str]:
        """Return all keys that a tick reads or writes: state first, metrics last."""
        return self._tick_keys_template.replace(_PLACEHOLDER, ticker).split("\n")

    def _tick_key_names(self, ticker: str) -> list[str]:
        return [
            self.state(ticker),
            self.quotes(ticker),
            self.trades(ticker),
            self.bars(ticker),
            self.patterns(ticker),
            *(self.levels(ticker, side) for side in SIDE_NAMES),
            self.session(ticker),
            self.outcomes(ticker),
            self.ended(ticker),
            self.gaps(ticker),
            *(self.metrics(ticker, window) for window in WINDOWS),
        ]

    def ticker_of_quotes(self, key: str) -> str | None:
        """Return the ticker of a quotes key, None for any other key.

        >>> Keys().ticker_of_quotes("orderflow:quotes:O:SPY")
        'O:SPY'
        >>> Keys(cluster=True).ticker_of_quotes("orderflow:quotes:{SPY}")
        'SPY'
        >>> Keys().ticker_of_quotes("orderflow:quotes:{SPY}") is None
        True
        """
        if not key.startswith(self._quotes_prefix):
            return None
        text = key[len(self._quotes_prefix) :]
        if self._cluster:
            if not (text.startswith("{") and text.endswith("}")):
                return None
            text = text[1:-1]
        return text if is_ticker(text) else None

    def ticker_of_records(self, key: str) -> str | None:
        """Return the ticker of a key of quotes or trades, None for any other key.

        >>> Keys().ticker_of_records("orderflow:trades:SPY")
        'SPY'
        >>> Keys().ticker_of_records("orderflow:traces:SPY") is None
        True
        """
        kind = key.removeprefix(self._trades_prefix)
        return self.ticker_of_quotes(key if kind == key else self._quotes_prefix + kind)

    def ticker_of_trimmed(self, key: str) -> str | None:
        """Return the ticker of a key of quotes, trades or gaps, None for any other key.

        >>> Keys().ticker_of_trimmed("orderflow:gaps:SPY")
        'SPY'
        """
        name = key.removeprefix(self._gaps_prefix)
        return self.ticker_of_records(key if name == key else self._quotes_prefix + name)


def ticked_channels(database: int) -> str:
    """Return what the names of the channels begin with on which each tick publishes its `as_of`.

    Channels belong to the server, not to a database of it: another one may have the same tickers.
    """
    return f"{PREFIX}ticked:{database}:"


def guard(as_of_ms: int, shard: int) -> str:
    """Return the name of the STRING that allows one fan-out for an `as_of` and shard."""
    return f"{PREFIX}guard:{as_of_ms}:{shard}"


def guard_of_shards(as_of_ms: int) -> str:
    """Return the name of the STRING that holds the number of shards of an `as_of`."""
    return guard(as_of_ms, -2)


def differing_shards(less: int, more: int) -> str:
    """Return the field of the heartbeat that tells when two numbers of shards were last met.

    >>> DIFFERING_SHARDS.fullmatch(differing_shards(3, 5)).groups()
    ('3', '5')
    """
    return f"shards:{less}:{more}"


def answer(answer_id: str) -> str:
    """Return the name of the HASH of an answer."""
    return f"{PREFIX}answers:{answer_id}"


def quarantined(key: str) -> str:
    """Return the name to which a key of the wrong type is moved."""
    return f"{PREFIX}bad:{key.removeprefix(PREFIX)}"
