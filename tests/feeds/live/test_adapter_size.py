"""An adapter goes from the wire to records; what is more belongs to all of them."""

import ast
from pathlib import Path

import pytest

from app.feeds.live.sources import SOURCES
from tests.processes import ROOT

LEAST, MOST = 15, 60
ADAPTERS = sorted({source.module for source in SOURCES.values()})


def code_lines(path: Path) -> int:
    """Count a file's lines that are code, other than imports."""
    text = path.read_text()
    left_out = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom) or _is_docstring(node)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    return sum(1 for number, line in lines if line and line[0] != "#" and number not in left_out)


def _is_docstring(node: ast.AST) -> bool:
    is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_constant and isinstance(node.value.value, str)


@pytest.mark.parametrize("module", ADAPTERS)
def test_an_adapter_holds_nothing_but_its_venue(module: str) -> None:
    path = ROOT / (module.replace(".", "/") + ".py")

    assert LEAST <= code_lines(path) <= MOST
