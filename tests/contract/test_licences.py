"""The licences of the dependencies are listed, and the audit fails for what it found alone."""

import re

import pytest

from tests.contract.documents import program, text_of


def rows() -> dict[str, str]:
    return dict(
        re.findall(r"^\| ([a-z0-9-]+) \| (.+) \|$", text_of("docs/licences.md"), re.MULTILINE)
    )


# Needed before Python 3.11.3 only (Apache-2.0); the page is made by a newer one.
BACKPORTS = {"async-timeout"}


def test_every_dependency_is_listed_with_its_licence() -> None:
    listed = {name: licence for name, licence in rows().items() if name != "package"}

    assert set(listed) == set(program("licences").needed_distributions()) - BACKPORTS
    assert "see there" not in listed.values()
    assert not [name for name, licence in listed.items() if "GPL" in licence]


def answered(**more: object) -> dict[str, object]:
    return {"name": "one", "version": "1", "vulns": []} | more


def test_the_audit_fails_for_a_vulnerability(capsys: pytest.CaptureFixture[str]) -> None:
    fault = {"id": "CVE-1", "fix_versions": ["2"]}

    assert program("audit").report([answered(), answered(vulns=[fault])]) == 1
    assert "one 1: CVE-1, fixed in 2" in capsys.readouterr().out


def test_the_audit_passes_loudly_where_it_could_not_ask(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = {"name": "one", "skip_reason": "not found"}

    assert program("audit").report([unknown]) == 0
    assert program("audit").report([unknown, answered()]) == 0
    assert capsys.readouterr().out.count("SKIPPED") == 2
