"""The files of the desk's page: allowed by its own policy, neutral, and complete."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.contract.words import forbidden_in_answer

FOLDER = Path(__file__).parents[2] / "mcp_app" / "desk"
PAGES = sorted(FOLDER.glob("*.html"))
SCRIPTS = sorted(FOLDER.glob("*.js"))
ALL = sorted(file for file in FOLDER.iterdir() if file.is_file())
# Ways to turn text into markup or code.
INJECTS = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function|srcdoc)\b"
)
COMMENT = re.compile(r"^\s*//.*$|(?<=[;{}\s])//\s.*$", re.MULTILINE)
# Texts of a script; the parts of a template that are code are left out.
TEXT = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')
CODE_IN_TEMPLATE = re.compile(r"\$\{[^{}]*\}")
IMPORT = re.compile(r'from "\./([a-z_]+\.js)"')


class Page(HTMLParser):
    """Collects what a page asks for, its ids, its texts, and what a strict policy refuses."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.texts: list[str] = []
        self._within: str | None = None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element's addresses, id and texts."""
        self._within = tag if tag in ("script", "style") else None
        for name, value in attrs:
            if name.startswith("on") or name == "style" or tag == "style":
                self.inline.append(f"{tag} {name}")
            if name in ("src", "href", "action"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name in ("title", "placeholder", "aria-label"):
                self.texts.append(value or "")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - of the base
        """Leave a script or a style, in which no element is."""
        self._within = None

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if self._within and data.strip():
            self.inline.append(data.strip()[:40])
        self.texts.append(data)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_holds_no_script_style_or_address_of_another_origin(path: Path) -> None:
    page = Page(path)

    assert page.inline == []
    assert page.addresses
    for address in page.addresses:
        assert address.startswith("/desk/"), address
        assert (FOLDER / address.removeprefix("/desk/")).is_file() or address == "/desk/login"
    assert len(page.ids) == len({*page.ids})


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_puts_no_text_into_the_page_as_markup(path: Path) -> None:
    assert INJECTS.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_no_file_names_another_origin(path: Path) -> None:
    found = re.findall(r"\bhttps?://[^\s\"'`)]+|[\"'(]//\w", path.read_text(encoding="utf-8"))

    assert [address for address in found if address != "http://www.w3.org/2000/svg"] == []


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_no_text_of_the_page_advises(path: Path) -> None:
    assert [text for text in texts_of(path) if forbidden_in_answer(text)] == []


def texts_of(path: Path) -> list[str]:
    """List the texts that a person may read."""
    if path.suffix == ".html":
        return Page(path).texts
    if path.suffix != ".js":
        return []
    found = TEXT.findall(COMMENT.sub("", path.read_text(encoding="utf-8")))
    return [CODE_IN_TEMPLATE.sub(" ", plain or template) for plain, template in found]


def test_texts_of_scripts_are_found() -> None:
    texts = [text for path in SCRIPTS for text in texts_of(path)]

    assert "find a ticker; Enter takes the first one" in texts
    assert any("no connection for" in text for text in texts)


def test_every_module_is_there_and_every_id_that_a_script_asks_for() -> None:
    ids = {name for path in PAGES for name in Page(path).ids}
    for path in SCRIPTS:
        text = path.read_text(encoding="utf-8")
        assert all((FOLDER / name).is_file() for name in IMPORT.findall(text)), path.name
        assert {*re.findall(r'byId\("([^"]+)"\)', text)} <= ids, path.name


def test_every_module_is_used() -> None:
    imported = {name for path in SCRIPTS for name in IMPORT.findall(path.read_text("utf-8"))}

    assert {path.name for path in SCRIPTS} == imported | {"app.js"}
