"""What the engine can say, the reader knows: each word is looked up where it is made.

`app/storage/published.py` lets through no word that it does not list, so that a new one would reach
nobody; and a word on its list that nothing emits is one that readers wait for in vain.
"""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from app.analysis.dispatch import DETECTOR_NAMES
from app.analysis.engine import Engine
from app.analysis.patterns.events import Event
from app.analysis.record_schemas import quote_checks, trade_checks
from app.analysis.records import Batch, Record
from app.analysis.results import TickResult
from app.analysis.windows import WINDOWS
from app.feeds.simulation import profile_of, simulate
from app.storage import published
from app.storage.tick import codec

APP = Path(__file__).parent.parent.parent / "app"
START_MS = 1_704_205_800_000
TICKER = "AAPL"


def trees(*patterns: str) -> list[ast.Module]:
    paths = [path for pattern in patterns for path in sorted(APP.glob(pattern))]
    return [ast.parse(path.read_text(encoding="utf-8")) for path in paths]


def texts_in(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def results_of(node: ast.expr | None) -> Iterator[str]:
    """Texts that an expression may come to; not the ones that it only compares with."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from results_of(body)
            yield from results_of(orelse)


def called(node: ast.AST, *names: str) -> bool:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in names


def evidence_in(tree: ast.Module) -> Iterator[ast.Dict]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(returns=ast.Name(id="Evidence")):
                yield from (
                    part.value
                    for part in ast.walk(node)
                    if isinstance(part, ast.Return) and isinstance(part.value, ast.Dict)
                )
            case ast.AnnAssign(target=ast.Name(id="evidence"), value=ast.Dict() as value):
                yield value
            case ast.keyword(arg="evidence", value=ast.Dict() as value):
                yield value


def added_evidence(tree: ast.Module) -> Iterator[str]:
    """Names set one at a time: `evidence["ticks"] = …`."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id="evidence"), slice=ast.Constant() as name)]
            ):
                yield str(name.value)


def emitted_evidence() -> set[str]:
    names: set[str] = set()
    for tree in trees("analysis/patterns/*.py"):
        names.update(added_evidence(tree))
        for facts in evidence_in(tree):
            names.update(str(key.value) for key in facts.keys if isinstance(key, ast.Constant))
    return names


def emitted_reasons() -> set[str]:
    reasons: set[str] = set()
    for tree in trees("analysis/patterns/*.py", "analysis/engine.py", "analysis/dispatch.py"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(
                node, "schedule_close", "close_all", "_close", "_end", "_suspend"
            ):
                reasons.update(text for argument in node.args[1:] for text in results_of(argument))
            match node:
                case ast.Assign(targets=[ast.Name(id="reason")], value=value):
                    reasons.update(results_of(value))
                case ast.FunctionDef(name="_reason"):
                    for part in ast.walk(node):
                        if isinstance(part, ast.Return):
                            reasons.update(results_of(part.value))
    return reasons


def faults_in(call: ast.Call) -> Iterator[str]:
    """Names in (stamp, name), as faults are added, and in numpy's choice of them."""
    for node in ast.walk(call):
        match node:
            case ast.Tuple(elts=[_, ast.Constant(value=str(name))]):
                yield name
            case ast.List(elts=[ast.Constant(value=str()), *_] as names):
                yield from (text for name in names for text in results_of(name))


def emitted_oddities() -> set[str]:
    checks = quote_checks(1.0, 1.0, 1.0, 1.0) + trade_checks(1.0, 1.0)
    names = {reason for reason, _ in checks}
    for tree in trees(
        "analysis/record_parser.py",
        "feeds/tape.py",
        "analysis/bars.py",
        "analysis/engine.py",
        "analysis/results.py",
        "storage/tick/fold.py",
    ):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node, "RecordRejected", "fault"):
                names.update(text for argument in node.args for text in results_of(argument))
            if isinstance(node, ast.Call) and called(node, "append", "extend", "select"):
                names.update(faults_in(node))
            match node:
                case ast.FunctionDef(name="_oddity"):
                    for part in ast.walk(node):
                        if isinstance(part, ast.Return):
                            names.update(results_of(part.value))
                case ast.Assign(
                    targets=[
                        ast.Subscript(value=ast.Name(id="quality"), slice=ast.Constant() as name)
                    ]
                ):
                    names.add(str(name.value))
    return names


def unknown_states() -> list[str]:
    """Return what a behaviour may say when it can't be told, 12 in place of computed numbers."""
    [tree] = trees("analysis/behaviors.py")
    found = []
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        match node:
            case ast.JoinedStr(values=parts):
                text = "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "12" for part in parts
                )
            case ast.Constant(value=str(text)):
                pass
            case _:
                continue
        if text.startswith("unknown"):
            found.append(text)
    return found


@dataclass
class Told:
    """Everything that one engine published over a tape."""

    fields: list[dict[str, str]]
    events: list[Event]
    last: TickResult


@cache
def told() -> Told:
    """Fold ten simulated minutes, one-sided, crossed and empty books among them."""
    engine = Engine.new(TICKER)
    fields: list[dict[str, str]] = []
    events: dict[str, Event] = {}
    last: TickResult | None = None
    seconds = simulate(TICKER, 3, START_MS, 600, profile_of(TICKER))
    for number, (records, _) in enumerate(seconds, 1):
        last = engine.advance(Batch(_twisted(number, records), []), START_MS + 1000 * number)
        events.update((event.id, event) for event in last.changed_events)
        if number % 20 == 1 or number == 600:
            fields += [codec.window_fields(last, window) for window in WINDOWS]
    assert last is not None
    return Told(fields, list(events.values()), last)


def _twisted(number: int, records: list[Record]) -> list[Record]:
    """Let some seconds show an empty side, and a locked book."""
    for record in records:
        if number % 97 == 0 and hasattr(record, "ask_size"):
            record.ask_size = 0.0
        if number % 101 == 0 and hasattr(record, "ask_price"):
            record.ask_price = record.bid_price
    return records


def test_every_pattern_type_is_known_and_no_other() -> None:
    types = {
        text
        for tree in trees("analysis/patterns/*.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node, "Opening")
        for keyword in node.keywords
        if keyword.arg == "type"
        for text in results_of(keyword.value)
    }

    assert types == set(get_args(published.PatternType))


def test_every_detector_finds_a_known_pattern_type() -> None:
    engine = Engine.new(TICKER)
    detectors = engine.state.detectors
    found = {getattr(detectors, name).pattern_type for name in DETECTOR_NAMES}

    assert found == set(get_args(published.PatternType))


def test_every_name_of_evidence_is_known_and_no_other() -> None:
    assert emitted_evidence() == published.EVIDENCE_NAMES


def test_every_close_reason_is_known_and_no_other() -> None:
    assert emitted_reasons() == published.CLOSE_REASONS


def test_every_oddity_is_known_and_no_other() -> None:
    aside = {"gaps", "rebuilt_at", "failed_detectors"}

    assert emitted_oddities() - aside == published.QUALITY_COUNTS


@pytest.mark.parametrize("state", unknown_states())
def test_a_reason_for_not_knowing_a_behavior_is_passed_on(state: str) -> None:
    assert state.startswith("unknown: ")
    read = published.read_behaviors(json.dumps({"quote_pressure": state}).encode())

    assert read == {"quote_pressure": state}


def test_each_reason_for_not_knowing_a_behavior_was_found() -> None:
    assert {state.partition(",")[0] for state in unknown_states()} >= {
        "unknown: warming",
        "unknown: no trades come",
        "unknown: no valid spread in all of the last 10 s",
    }


def test_the_behaviors_that_the_engine_tells_are_those_that_are_read() -> None:
    behaviors = set(told().last.behaviors)

    assert behaviors - set(published.DIRECTIONS) == set(published.BEHAVIORS)


def test_every_field_of_a_fold_comes_through_the_reader() -> None:
    of_their_own = {"behaviors", "last_sweep", "quality", "engine"}
    for fields in told().fields:
        stored = {name.encode(): _stored(value) for name, value in fields.items()}

        assert set(published.read_metrics(stored)) == set(fields) - of_their_own
        assert published.read_engine(stored[b"engine"]) is not None
        states = json.loads(str(fields["behaviors"]))
        assert published.read_behaviors(stored[b"behaviors"]) == states


def test_a_fold_tells_every_number_and_word_that_is_read() -> None:
    told_of = {name for fields in told().fields for name in fields}

    assert told_of >= published.NUMBERS | set(published.WORDS)


def test_every_event_of_a_fold_comes_through_the_reader_whole() -> None:
    assert {event.type for event in told().events} >= {"sweep", "iceberg", "wall", "stacking"}
    for event in told().events:
        read = published.read_event(codec.event_json(event), TICKER)

        assert read is not None
        assert read.evidence == event.evidence
        assert read.close_reason == event.close_reason


def test_every_quality_of_a_fold_comes_through_the_reader() -> None:
    counted = {
        name
        for fields in told().fields
        for name in published.read_quality(_stored(fields["quality"])).counts
    }

    assert counted == {"one_sided", "locked"}


def _stored(value: float | str) -> bytes:
    return (value if isinstance(value, str) else repr(value)).encode()
