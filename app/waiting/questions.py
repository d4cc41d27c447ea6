"""Prepare a wait from the arguments as typed, and archive its answer with where it stopped."""

from collections.abc import Iterable, Iterator

from app.answers.durations import ago
from app.answers.reader import Reader
from app.answers.rendering import RenderedReply, SentReply
from app.answers.session_facts import feed_facts
from app.core import clock
from app.core.arguments import check_count
from app.core.errors import NoAnswer
from app.core.tickers import distinct_names, match_ticker
from app.storage.answer_archive import new_id
from app.waiting.condition import parse_condition
from app.waiting.fallen_ranks import with_pasts, without_fallen
from app.waiting.since import CURSORS, cursors_since, pack_cursors
from app.waiting.wait_answer import WaitAnswer
from app.waiting.watch import Watch

MAX_TICKERS = 10
_PROBED_SECONDS = 10
_RARITY_SECONDS = 1800


def prepare_watch(reader: Reader, tickers: Iterable[str], condition: str, since: str = "") -> Watch:
    """Return what is to be watched.

    Raises `BadQuestion`, `BadTicker`, `BadMoment`; `NoAnswer` with the cause for a ticker that is
    not active, or an answer that is not kept; `StoreUnavailable`.
    """
    parsed = parse_condition(condition)
    typed = distinct_names(tickers)
    check_count("tickers", typed, MAX_TICKERS)
    now_ms = clock.now_ms()
    active = reader.active(now_ms)
    names = dict.fromkeys(_ticker_meant(reader, name, active) for name in typed)
    cursors = cursors_since(reader.archived, since, parsed, names, now_ms)
    return Watch(parsed, names, without_fallen(reader, parsed, cursors))


def _ticker_meant(reader: Reader, typed: str, active: list[str]) -> str:
    if typed in active:
        return typed
    # A snapshot says best why nothing can come of a ticker that is not active.
    return match_ticker(typed, active) or reader.snapshot(typed, _PROBED_SECONDS).ticker


def archive_wait(reader: Reader, watch: Watch, answer: WaitAnswer) -> SentReply:
    """Archive an answer together with where it stopped, so that its id continues it.

    It says what keeps tickers from meeting the condition, as far as that is no lack of events.
    """
    note = "; ".join(_hindrances(reader, watch)) or None
    answer = answer.model_copy(update={"note": note})
    cursors = with_pasts(reader, watch.condition, watch.cursors)
    answer_id = new_id()
    rendered = RenderedReply(answer.with_id(answer_id))
    renderings = {
        "text": rendered.text.encode(),
        "json": rendered.json.encode(),
        CURSORS: pack_cursors(watch.condition, cursors),
    }
    kept = reader.archive(answer_id, renderings)
    return _sent(rendered if kept else RenderedReply(answer))


def _hindrances(reader: Reader, watch: Watch) -> Iterator[str]:
    """Yield why nothing can come of a ticker, or of a part of the condition."""
    needs_rarity = watch.condition.asks_rarity
    seconds = _RARITY_SECONDS if needs_rarity else _PROBED_SECONDS
    for name in watch.tickers:
        try:
            snapshot = reader.snapshot(name, seconds)
        except NoAnswer as error:
            yield str(error)
            continue
        if snapshot.cause is not None:
            yield f"{name}: {snapshot.cause}"
        feed = feed_facts(snapshot.feed, snapshot.now_ms)
        if feed is not None and feed.down and feed.alive_at is not None:
            yield f"{name}: its feed is down, last sign of it {ago(feed.alive_at, snapshot.now_ms)}"
        if needs_rarity and snapshot.warming:
            yield f"{name}: too young for return periods, which need 30 min of its past"
        if watch.condition.ranks and not snapshot.ranks:
            yield f"{name}: too young for ranks, which need 20 min of its past"
        elif missing := watch.without_rank.get(name):
            yield f"{name}: no rank is known of {', '.join(missing)}"


def _sent(rendered: RenderedReply) -> SentReply:
    return SentReply(rendered.text, rendered.structured_content)
