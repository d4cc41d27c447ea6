"""Measure what answers show first against what was rarest, or planted.

    python -m benchmarks.relevance --quotes Q.csv.gz --trades T.csv.gz --ticker AAPL
    python -m benchmarks.relevance --simulated SPY --seed 1

Every few seconds of the tape the events are selected as for an answer of then. Printed are the
shares of events that were among the first three within 10 s of being noticed: of those that were
the rarest of their five minutes by a ranking in hindsight; of those that were planted (medium and
large, into the tape, every ten minutes) and found; and of those of them that can be among the first
three at all where the rarest stand first: that were among the three rarest of their five minutes.
Apart are those that are rare: that come less often than every ten minutes, by the ranking in
hindsight, and as known at an answer within the 10 s; what comes more often is counted, not shown.
Of each rare one that was not shown it is told what stood before it. Then the share of moments whose
rarest event of the last five minutes is shown first. `--answers` asks the tool itself, over a
private Redis.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import click

from app.analysis.bars import SECOND_MS
from app.analysis.patterns.events import Event
from app.analysis.records import Quote, Record
from app.answers.event_selection import MIN_RETURN_MINUTES
from app.core.settings import Settings
from app.evaluation.relevance import (
    SHOWN,
    Hindsight,
    PastEvent,
    ShownFirst,
    SoonAnswered,
    fold_events,
    rarest_events,
    share_of_moments,
    share_shown,
    soon_answered,
)
from app.evaluation.scorecard.ground_truth import TrueEvent
from app.evaluation.scorecard.planting import KINDS, PlantingKind, TapeSection, plant
from app.evaluation.scorecard.planting.planter import shift_prices
from app.evaluation.scorecard.simulated_books import simulated_day
from app.evaluation.tape_answers import answers_over
from app.feeds.tape import Tape, read_tape

WARM_SECONDS = 1800
"""From here on return periods are known."""
PLANTED_EVERY_SECONDS = 600
TAIL_MS = 12_000.0


class Planted(NamedTuple):
    """A true event that was planted, and the kind that it is of."""

    kind: PlantingKind
    size: str
    truth: TrueEvent


def plant_throughout(
    tape: Tape, every_seconds: int, from_seconds: int = WARM_SECONDS
) -> tuple[Tape, list[Planted]]:
    """Plant all kinds in turn, medium and large, into a tape from its warm part on."""
    draw = Random("relevance")  # noqa: S311 - a market, no secret
    records, planted = list(tape.records), []
    at_ms = int(records[0].stamp // SECOND_MS + from_seconds) * SECOND_MS
    turns = [(kind, size) for size in ("medium", "large") for kind in KINDS if kind.needs_trades]
    turn = 0
    while at_ms + every_seconds * SECOND_MS < records[-1].stamp:
        kind, size = turns[turn % len(turns)]
        turn += 1
        section = TapeSection(records, at_ms)
        strength = kind.strengths[("small", "medium", "large").index(size)]
        found = plant(section, kind.planter, strength, draw, float(at_ms), TAIL_MS)
        if found is not None:
            planted += [Planted(kind, size, truth) for truth in found.truths]
            records = _stitched(section, records, float(at_ms), found.records, found.end_ms)
        at_ms += every_seconds * SECOND_MS
    return Tape(records, list(tape.faults), tape.digits), planted


def _stitched(
    section: TapeSection,
    records: Sequence[Record],
    from_ms: float,
    planted: Sequence[Record],
    end_ms: float,
) -> list[Record]:
    """Replace a section; prices behind it move as the section's last price did."""
    last = next(it for it in reversed(planted) if isinstance(it, Quote))
    shift = last.bid_price - section.standing_quote(end_ms).bid_price
    before = [it for it in records if it.stamp <= from_ms]
    after = [shift_prices(it, shift) for it in records if it.stamp > end_ms]
    return [*before, *planted, *after]


def shown_over(ticker: str, tape: Tape, every_seconds: int) -> Iterator[ShownFirst]:
    """Yield the events that each answer over a tape shows first."""
    for one in answers_over(ticker, tape, Settings(), every_seconds):
        said = {} if one.reply is None else one.reply.structured_content
        events = said.get("events") or []
        yield ShownFirst(one.as_of_ms, [event["id"] for event in events[:SHOWN]])


def report(
    hindsight: Hindsight, shown: Sequence[ShownFirst], planted: Sequence[Planted], warm_ms: float
) -> Iterator[str]:
    """Yield the lines of a tape's figures, and of each rare event that was not shown."""
    yield f"{len(shown)} answers, {len(hindsight.events)} events"
    rarest = [*soon_answered(shown, hindsight, rarest_events(shown, hindsight, warm_ms))]
    yield from _shares("rarest in hindsight", rarest)
    if planted:
        events = {it.event.id: it for one in planted for it in _explained(hindsight, one)}
        found = [*soon_answered(shown, hindsight, events.values())]
        yield f"planted: {len(planted)}"
        yield from _shares("planted and found", found)
        yield from _shares("planted, can be first", [it for it in found if it.is_among_rarest])
        rarest += found
    yield f"moments with the rarest first: {share_of_moments(shown, hindsight, warm_ms)}"
    for one in {it.event.id: it for it in rarest}.values():
        if not one.is_shown and one.return_minutes >= MIN_RETURN_MINUTES:
            yield f"  not shown: {_missed(one, hindsight)}"


def _shares(name: str, events: Sequence[SoonAnswered]) -> Iterator[str]:
    rare = (it for it in events if it.return_minutes >= MIN_RETURN_MINUTES)
    known = (it for it in events if it.known_minutes >= MIN_RETURN_MINUTES)
    for which, of_them in (("", events), (", rare in hindsight", rare), (", known rare", known)):
        yield f"{name}{which}: {share_shown(of_them)}"


def _missed(one: SoonAnswered, hindsight: Hindsight) -> str:
    """Return what an event was, and what the last answer in time showed instead."""
    by_id = {it.event.id: it for it in hindsight.events}
    stood = (
        f"{_kind(it.event)} {it.known_minutes(one.last.as_of_ms):.1f}"
        for it in (by_id[name] for name in one.last.ids)
    )
    rarity = f"{one.return_minutes:.1f} min, then {one.known_minutes:.1f}"
    return f"{_kind(one.event)}, {rarity}; before it {', '.join(stood) or 'none'}"


def _kind(event: Event) -> str:
    return f"{event.type} {event.side}"


def _explained(hindsight: Hindsight, one: Planted) -> list[PastEvent]:
    return [
        it
        for it in hindsight.events
        if it.event.type == one.kind.pattern and one.truth.explains(it.event, one.kind.grace_ms)
    ][:1]


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--quotes", type=_FILE, help="Tape of quotes.")
@click.option("--trades", type=_FILE, help="Its trades.")
@click.option("--ticker", default="TAPE", show_default=True)
@click.option("--simulated", help="Instead of a tape: a simulated ticker.")
@click.option("--seed", default=1, show_default=True)
@click.option("--seconds", type=int, help="Only so much of the tape, from its start.")
@click.option("--every", default=5, show_default=True, help="Seconds from answer to answer.")
@click.option(
    "--warm", default=WARM_SECONDS, show_default=True, help="Seconds of past before any counts."
)
@click.option(
    "--plant-every",
    default=PLANTED_EVERY_SECONDS,
    show_default=True,
    help="Seconds from planting to planting.",
)
@click.option("--plain", is_flag=True, help="Plant nothing.")
@click.option("--answers", is_flag=True, help="Ask the tool itself.")
def main(  # noqa: PLR0913, PLR0917 - the options
    quotes: Path | None,
    trades: Path | None,
    ticker: str,
    simulated: str | None,
    seed: int,
    seconds: int | None,
    every: int,
    warm: int,
    plant_every: int,
    *,
    plain: bool,
    answers: bool,
) -> None:
    """Print how often what is rarest, or planted, is among the first three events shown."""
    if simulated is not None:
        ticker, tape = simulated, Tape(simulated_day(simulated, seed, seconds or 23_400), [])
    elif quotes is not None:
        tape = _first(read_tape(quotes, trades), seconds)
    else:
        raise click.UsageError("give --quotes or --simulated")
    planted: list[Planted] = []
    if not plain:
        tape, planted = plant_throughout(tape, plant_every, warm)
    shown, hindsight = fold_events(ticker, tape, every)
    if answers:
        shown = [*shown_over(ticker, tape, every)]
    for line in report(hindsight, shown, planted, tape.records[0].stamp + warm * SECOND_MS):
        click.echo(f"{ticker}: {line}")


def _first(tape: Tape, seconds: int | None) -> Tape:
    if seconds is None:
        return tape
    end_ms = tape.records[0].stamp + seconds * SECOND_MS
    return Tape([it for it in tape.records if it.stamp <= end_ms], [], tape.digits)


if __name__ == "__main__":
    main()
