"""The steps to add a live venue are those by which one was added: their code is in its files."""

import re

from tests.contract.documents import ROOT, text_of

FILES = (
    "app/feeds/live/okx.py",
    "app/feeds/live/sources.py",
    "tests/venues/okx.py",
    "tests/feeds/live/vendors.py",
)


def test_each_example_of_a_live_venue_is_in_the_venues_files() -> None:
    page = text_of("docs/how-to/add-a-feed.md")
    section = page.split("## A live venue")[1].split("## Another source")[0]
    examples = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    code = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in FILES)

    assert len(examples) == 7
    assert [example for example in examples if example not in code] == []
