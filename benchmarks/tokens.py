"""Count the model tokens of answers and the tool list, over the busiest second of a tape.

    python benchmarks/tokens.py --quotes Q.csv.gz --trades T.csv.gz [--node-modules DIR]

With `--node-modules`, a directory in which `npm install gpt-tokenizer` was run, counts are those of
o200k. Without, they are the upper estimate that the server cuts answers by
(app/answers/token_estimate.py), 0 to 6 % above o200k on its answers. Exits with 1 if a budget is
exceeded.
"""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
from mcp import Client

from app.answers.ask import MAX_BRIEF_TOKENS, MAX_JSON_TOKENS, MAX_TEXT_TOKENS, ask
from app.answers.reader import Reader
from app.answers.rendering import compact
from app.answers.ticker_text import as_text
from app.answers.token_estimate import tokens_at_most
from app.core.settings import Settings
from app.storage.answer_archive import new_id
from benchmarks.busiest import busiest_moment
from mcp_app.server import make_server

MAX_TOOL_LIST_TOKENS = 1300
MAX_OUTPUT_SCHEMA_TOKENS = 2500


class BudgetedText(NamedTuple):
    """A text and the model tokens that it may cost."""

    name: str
    text: str
    budget: int


def answer_texts(reader: Reader, ticker: str) -> list[BudgetedText]:
    """Return a ticker's answers, full and brief, as text and JSON, each with an id."""
    full = ask(reader, ticker).answer.with_id(new_id())
    brief = ask(reader, ticker, detail="brief").answer.with_id(new_id())
    return [
        BudgetedText("full text", as_text(full), MAX_TEXT_TOKENS),
        BudgetedText("full JSON", compact(full.as_json()), MAX_JSON_TOKENS),
        BudgetedText("brief text", as_text(brief), MAX_BRIEF_TOKENS),
        BudgetedText("brief JSON", compact(brief.as_json()), MAX_BRIEF_TOKENS),
    ]


def tool_texts(settings: Settings) -> list[BudgetedText]:
    """Return the tool list that a model receives, and each tool's output schema."""

    async def list_texts() -> list[BudgetedText]:
        async with Client(make_server(settings)) as client:
            tools = (await client.list_tools()).tools
        seen = [tool for tool in tools if (tool.meta or {}).get("ui", {}).get("visibility") is None]
        inputs = [
            {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
            for tool in seen
        ]
        outputs = [
            BudgetedText(f"output of {t.name}", compact(t.output_schema), MAX_OUTPUT_SCHEMA_TOKENS)
            for t in tools
        ]
        return [BudgetedText("tool list", compact(inputs), MAX_TOOL_LIST_TOKENS), *outputs]

    return asyncio.run(list_texts())


def count_tokens(texts: Sequence[str], node_modules: Path | None) -> list[int]:
    """Count tokens with o200k's vocabulary, or estimate them from above."""
    if node_modules is None:
        return [tokens_at_most(text) for text in texts]
    script = node_modules.parent / "o200k.mjs"
    shutil.copyfile(Path(__file__).with_name("o200k.mjs"), script)
    node = shutil.which("node") or sys.exit("node is not on the PATH")
    done = subprocess.run(  # noqa: S603 - our own script
        [node, script], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    counts: list[int] = json.loads(done.stdout)
    return counts


@click.command()
@click.option("--quotes", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--trades", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--node-modules", type=click.Path(exists=True, path_type=Path))
def main(quotes: Path, trades: Path, node_modules: Path | None) -> None:
    """Print what each form costs, its estimate and its budget."""
    with busiest_moment(quotes, trades) as moment:
        budgeted = [*answer_texts(moment.reader, moment.ticker), *tool_texts(moment.settings)]
        print(budgeted[0].text, end="\n\n")
    tokens = count_tokens([one.text for one in budgeted], node_modules)
    for one, count in zip(budgeted, tokens, strict=True):
        estimate = tokens_at_most(one.text)
        print(f"{one.name:34} {count:6} tokens, estimate {estimate:6}, budget {one.budget:6}")
    if any(count > one.budget for one, count in zip(budgeted, tokens, strict=True)):
        sys.exit(1)


if __name__ == "__main__":
    main()
