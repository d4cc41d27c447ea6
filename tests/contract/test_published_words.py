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

import pytest

from app.analysis.engine import Engine
from app.analysis.pattern_table import ANY_CLOSE_REASONS, PATTERNS, Pattern
from app.analysis.patterns.events import Event
from app.analysis.quality_table import REJECTED_TOTAL
from app.analysis.record_parser import INEXACT_PRICE
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


def tree_of(pattern: Pattern) -> ast.Module:
    [tree] = trees(f"analysis/patterns/{pattern.detector.partition(':')[0]}.py")
    return tree


def evidence_of(pattern: Pattern) -> set[str]:
    tree = tree_of(pattern)
    names = set(added_evidence(tree))
    for facts in evidence_in(tree):
        names.update(str(key.value) for key in facts.keys if isinstance(key, ast.Constant))
    return names


def reasons_in(tree: ast.Module) -> set[str]:
    reasons: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(
            node, "schedule_close", "close_all", "_close", "_end", "_suspend"
        ):
            reasons.update(text for argument in node.args[1:] for text in results_of(argument))
        match node:
            case ast.Assign(targets=[ast.Name(id="reason")], value=value):
                reasons.update(results_of(value))
            case ast.FunctionDef(name="_close_reason"):
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
    names = {reason for reason, _ in checks} | {INEXACT_PRICE}
    for tree in trees(
        "analysis/record_parser.py",
        "feeds/tape.py",
        "analysis/bars.py",
        "analysis/engine.py",
        "analysis/results.py",
        "storage/tick/fold.py",
        "storage/tick/declared_gaps.py",
    ):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node, "RecordRejected", "fault"):
                names.update(text for argument in node.args for text in results_of(argument))
            if isinstance(node, ast.Call) and called(node, "append", "extend", "select"):
                names.update(faults_in(node))
            match node:
                case ast.FunctionDef(name="_invalid_quote_fault"):
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


PER_PATTERN = pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.type)


@PER_PATTERN
def test_a_detector_opens_the_pattern_of_its_row_and_no_other(pattern: Pattern) -> None:
    types = {
        text
        for node in ast.walk(tree_of(pattern))
        if isinstance(node, ast.Call) and called(node, "Opening")
        for keyword in node.keywords
        if keyword.arg == "type"
        for text in results_of(keyword.value)
    }

    assert types == {pattern.type}


def test_each_file_of_a_detector_has_its_row() -> None:
    files = {path.stem for path in (APP / "analysis" / "patterns").glob("*.py")}

    rows = {pattern.detector.partition(":")[0] for pattern in PATTERNS}
    assert files - {"__init__", "detector", "events", "noticed_seconds"} == rows


def test_detectors_are_called_in_the_order_of_their_turns() -> None:
    found = [detector.pattern_type for detector in Engine.new(TICKER).state.detectors]

    assert found == [row.type for row in sorted(PATTERNS, key=lambda row: row.turn)]
    assert len({row.turn for row in PATTERNS}) == len(PATTERNS)


@PER_PATTERN
def test_every_name_of_evidence_has_its_row_and_no_other(pattern: Pattern) -> None:
    assert evidence_of(pattern) == {field.name for field in pattern.evidence}


@PER_PATTERN
def test_every_close_reason_has_its_row_and_no_other(pattern: Pattern) -> None:
    assert reasons_in(tree_of(pattern)) == set(pattern.close_reasons)


def test_every_reason_that_closes_all_patterns_has_its_row_and_no_other() -> None:
    trees_of_all = trees("analysis/engine.py", "analysis/dispatch.py")

    assert set().union(*map(reasons_in, trees_of_all)) == set(ANY_CLOSE_REASONS)


def test_every_oddity_is_known_and_no_other() -> None:
    aside = {"gaps", "rebuilt_at", "clock_corrected_at", "failed_detectors"}

    assert (emitted_oddities() - aside) | {REJECTED_TOTAL} == published.QUALITY_COUNTS


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
    of_their_own |= {"ranks", "ranks_status", "rank_windows"}
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
    sides = {row.type: row.sides for row in PATTERNS}
    assert {event.type for event in told().events} >= {"sweep", "iceberg", "wall", "stacking"}
    for event in told().events:
        read = published.read_event(codec.event_json(event), TICKER)

        assert read is not None
        assert read.side in sides[read.type]
        assert read.evidence == event.evidence
        assert read.close_reason == event.close_reason


def test_the_kind_of_an_iceberg_follows_from_its_counts() -> None:
    icebergs = [event.evidence for event in told().events if event.type == "iceberg"]

    assert {it["kind"] for it in icebergs} == {"native", "synthetic"}
    for it in icebergs:
        is_native = float(it["through_refills"]) >= 1 or float(it["native_refills"]) >= 3
        assert it["kind"] == ("native" if is_native else "synthetic")


def test_every_quality_of_a_fold_comes_through_the_reader() -> None:
    counted = {
        name
        for fields in told().fields
        for name in published.read_quality(_stored(fields["quality"])).counts
    }

    assert counted == {"one_sided", "locked"}


def _stored(value: float | str) -> bytes:
    return (value if isinstance(value, str) else repr(value)).encode()
