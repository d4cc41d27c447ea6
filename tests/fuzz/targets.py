"""What is fuzzed: each target takes any bytes, and fails where they do what they must not."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import astuple
from functools import cache
from pathlib import Path

from mcp.server.mcpserver.tools import Tool
from pydantic import ValidationError

from app.analysis.record_parser import parse_quote, parse_trade
from app.answers.as_of_argument import parse_moment
from app.answers.history_argument import MAX_SECONDS, MIN_SECONDS, parse_history
from app.core.errors import BadHistory, BadMoment, BadTicker, RecordRejected, StateUnreadable
from app.core.tickers import is_ticker, parse_ticker
from app.storage.keys import Keys
from app.storage.published import read_behaviors, read_event, read_levels, read_quality
from app.storage.tick import codec
from mcp_app.strict_tools import StrictTool
from mcp_app.tools import tools

CORPUS = Path(__file__).parent / "corpus"
SCORE = 1_700_000_000_000.0
LONGEST_LINE = 2_000
REASONS = frozenset({
    "not_json", "missing_number", "boolean_number", "not_finite", "negative_size",
    "non_positive_price", "out_of_range", "zero_size", "too_long",
})  # fmt: skip
"""Every reason that a record may be refused for (contract, section 1)."""


def record(data: bytes) -> None:
    """Read a broker's record: finite numbers, or a reason that is counted."""
    for parse in (parse_quote, parse_trade):
        try:
            found, _ = parse(data, SCORE)
        except RecordRejected as rejected:
            assert rejected.reason in REASONS
            continue
        numbers = [*map(float, astuple(found))]
        assert all(map(math.isfinite, numbers))
        assert abs(found.stamp - SCORE) <= 1.0


def ticker(data: bytes) -> None:
    """Read a ticker, and a key that holds one."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        assert is_ticker(parse_ticker(text))
    except BadTicker as error:
        assert not is_ticker(text.strip())
        assert len(str(error)) < LONGEST_LINE
    for names in (Keys(), Keys(cluster=True)):
        name = names.ticker_of_quotes(f"orderflow:quotes:{text}")
        assert name is None or names.quotes(name) == f"orderflow:quotes:{text}"


def history(data: bytes) -> None:
    """Read a history, and a moment of the last hour."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        assert MIN_SECONDS <= parse_history(text) <= MAX_SECONDS
        assert text.strip().isascii()
    except BadHistory as error:
        assert len(str(error)) < LONGEST_LINE
    try:
        parse_moment(text, SCORE)
    except BadMoment as error:
        assert len(str(error)) < LONGEST_LINE


def state(data: bytes) -> None:
    """Read stored state: whole, or refused by name."""
    for decode in (
        lambda blob: codec.decode_state(codec.PackedState(blob)),
        codec.decode_bars,
        codec.decode_bar,
    ):
        try:
            decode(data)
        except StateUnreadable as error:
            assert str(error)


def published(data: bytes) -> None:
    """Take back what a tick publishes: known words and finite numbers, or nothing."""
    read_event(data, "SPY")
    read_levels([data])
    read_behaviors(data)
    read_quality(data, SCORE)


def arguments(data: bytes) -> None:
    """Check a tool's arguments: accepted, or refused in one line that is not long."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return
    for tool in _tools():
        try:
            tool.fn_metadata.validate_arguments(given if isinstance(given, dict) else {"a": given})
        except ValidationError as error:
            line = tool._describe_faults(error)  # noqa: SLF001 - what a client is shown
            assert "\n" not in line


@cache
def _tools() -> list[StrictTool]:
    found: list[Tool] = tools()
    return [tool for tool in found if isinstance(tool, StrictTool)]


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (record, ticker, history, state, published, arguments)
}
