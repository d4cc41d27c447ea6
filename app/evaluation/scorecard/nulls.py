"""Null tapes: tapes without a pattern, so that each of its events is a false alarm."""

import math
from collections.abc import Sequence
from random import Random

from app.analysis.records import BUY, SELL, Quote, Record, Trade

BLOCK_MS = 10_000.0
TICK = 1_000_000
HALF_SPREAD = 3 * TICK
START_PRICE = 10_000_000_000
LOTS = 100.0


def sign_randomised(records: Sequence[Record], seed: int) -> list[Record]:
    """Mirror prices in a random half of the blocks of 10 s; the mid stays continuous.

    That removes the tape's drift and keeps everything else.
    """
    draw = Random(seed)  # noqa: S311 - a market, no secret
    made: list[Record] = []
    block, is_mirrored, about = -1, False, 0
    before: Quote | None = None
    shift = 0
    for record in records:
        now = math.floor(record.stamp / BLOCK_MS)
        if now != block:
            block, was = now, is_mirrored
            is_mirrored = draw.random() < 0.5  # noqa: PLR2004 - a coin
            if before is not None and was != is_mirrored:
                mid2 = before.bid_price + before.ask_price
                shown = (2 * about - mid2) if was else mid2 + 2 * shift
                if is_mirrored:
                    about = (shown + mid2) // 2
                else:
                    shift = (shown - mid2) // 2
        made.append(_mirrored(record, about) if is_mirrored else _raised(record, shift))
        if isinstance(record, Quote) and record.is_valid:
            before = record
    return made


def takers_randomised(records: Sequence[Record], seed: int) -> list[Record]:
    """Swap the aggressors in a random half of the blocks of 10 s; prices stay unchanged.

    That removes the relation between flow and price. `sign_randomised` would keep it: an absorbed
    flow stays an absorbed flow when it is mirrored.
    """
    draw = Random(seed)  # noqa: S311 - a market, no secret
    made: list[Record] = []
    block, sign = -1, 1
    for record in records:
        now = math.floor(record.stamp / BLOCK_MS)
        if now != block:
            block, sign = now, draw.choice((-1, 1))
        if isinstance(record, Trade):
            taker = sign * record.aggressor
            made.append(Trade(record.stamp, record.seq, record.price, record.size, taker))
        else:
            made.append(record)
    return made


def _mirrored(record: Record, about: int) -> Record:
    if isinstance(record, Quote):
        bid, ask = about - record.ask_price, about - record.bid_price
        return Quote(record.stamp, record.seq, bid, record.ask_size, ask, record.bid_size)
    return Trade(record.stamp, record.seq, about - record.price, record.size, -record.aggressor)


def _raised(record: Record, shift: int) -> Record:
    if isinstance(record, Quote):
        bid, ask = record.bid_price + shift, record.ask_price + shift
        return Quote(record.stamp, record.seq, bid, record.bid_size, ask, record.ask_size)
    return Trade(record.stamp, record.seq, record.price + shift, record.size, record.aggressor)


def price_follows_flow(start_ms: int, seconds: int, seed: int) -> list[Record]:
    """Return a tape of autocorrelated flow whose price follows the flow with noise."""
    draw = Random(seed)  # noqa: S311 - a market, no secret
    made: list[Record] = []
    mid, sign, seq = float(START_PRICE), 1, 0
    at = float(start_ms)
    while at < start_ms + 1000.0 * seconds:
        at += draw.expovariate(1 / 700.0)
        sign = sign if draw.random() < 0.7 else -sign  # noqa: PLR2004 - orders are split
        size = LOTS * (1 + int(draw.expovariate(0.8)))
        quote = _around(mid, at, draw)
        price = quote.ask_price if sign > 0 else quote.bid_price
        mid += sign * size / LOTS * 0.8 * TICK + draw.gauss(0.0, 1.5 * TICK)
        made += [
            quote,
            Trade(at, 0, price, size, BUY if sign > 0 else SELL),
            _around(mid, at, draw),
        ]
    for seq, record in enumerate(made):
        record.seq = seq
    return made


def _around(mid: float, at: float, draw: Random) -> Quote:
    center = round(mid / TICK) * TICK
    sizes = [LOTS * (1 + int(draw.expovariate(0.5))) for _ in range(2)]
    return Quote(at, 0, center - HALF_SPREAD, sizes[0], center + HALF_SPREAD, sizes[1])
