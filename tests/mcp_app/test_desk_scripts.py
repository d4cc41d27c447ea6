"""What the page's scripts compute, by Node where it is installed; no browser is needed."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.answers.ticker_text import PARTLY_RANKED, RAREST_FIRST, UNRANKED

FOLDER = Path(__file__).parents[2] / "mcp_app" / "desk"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed")


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """Give a folder with the scripts as modules."""
    for script in FOLDER.glob("*.js"):
        shutil.copy(script, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


def computed(scripts: Path, module: str, names: str, expression: str) -> Any:
    """Return the value of an expression over names that a module exports."""
    assert NODE is not None
    code = f'import {{ {names} }} from "./{module}.js"; console.log(JSON.stringify({expression}));'
    command = [NODE, "--input-type=module", "--eval", code]
    done = subprocess.run(command, cwd=scripts, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("prices", "decimals"),
    [
        ([588.98, 589.0], 2),
        ([60000.1], 1),
        ([1.23e-9, 1e-8], 11),
        ([0.00000812], 8),
        ([100, 1e21], 0),
        ([None], 0),
    ],
)
def test_prices_have_all_of_their_decimals(
    scripts: Path, prices: list[float | None], decimals: int
) -> None:
    told = computed(scripts, "format", "decimalsOf", f"decimalsOf({json.dumps(prices)})")

    assert told == decimals


BUSY = """(() => {
  const data = new TickerData("SPY");
  for (let second = 1; second <= 200; second++) {
    const end = second * 1000;
    const rows = Array.from({ length: 1000 }, (_, place) => [end, 100 + place / 100, 1, "buy", 1]);
    const columns = ["end", "price", "size", "side", "count"];
    const prints = { from: end - 1000, complete_from: end - 1000, columns, rows };
    data.take({ as_of: end, levels: [], order: [], answer: {}, prints });
  }
  const model = data.model(900, []);
  return { shown: model.trades.length, from: model.printsFrom, profile: model.profile.rows.length };
})()"""


def test_a_very_busy_ticker_is_drawn_from_its_newest_prints_which_is_said(scripts: Path) -> None:
    told = computed(scripts, "ticker_data", "TickerData", BUSY)

    assert 0 < told["shown"] <= 20_000
    assert told["from"] == 200_000 - told["shown"]
    assert 0 < told["profile"] <= 41


@pytest.mark.parametrize(
    ("asked_at", "spread", "window"),
    [
        (None, "spread now", "over the last"),
        (1_340_287_000_000, "spread at 14:03:10", "up to 14:03:10, over"),
    ],
)
def test_a_number_of_an_earlier_moment_is_not_said_to_be_of_now(
    scripts: Path, asked_at: int | None, spread: str, window: str
) -> None:
    answer = json.dumps({"as_of": 1_340_287_390_000, "asked_at": asked_at})
    labels = f"[spreadLabel({answer}), windowLabel({answer})]"

    assert computed(scripts, "ticker_head", "spreadLabel, windowLabel", labels) == [spread, window]


@pytest.mark.parametrize(
    ("minutes", "order"),
    [
        ([30, 20], RAREST_FIRST),
        ([30, None], PARTLY_RANKED),
        ([None, None], UNRANKED),
    ],
)
def test_the_order_of_events_is_said_in_the_words_of_an_answer(
    scripts: Path, minutes: list[float | None], order: str
) -> None:
    events = json.dumps([{"return_minutes": it} for it in minutes])

    assert computed(scripts, "events_list", "orderText", f"orderText({events})") == order


def test_new_answers_come_before_the_known_ones_and_old_ones_are_forgotten(scripts: Path) -> None:
    fresh = [{"id": "d", "at": 400}, {"id": "c", "at": 300}]
    known = [{"id": "c", "at": 300}, {"id": "b", "at": 200}, {"id": "a", "at": 100}]
    merging = f"merged({json.dumps(fresh)}, {json.dumps(known)}, 150)"

    told = computed(scripts, "panels", "merged", merging)

    assert [it["id"] for it in told] == ["d", "c", "b"]
