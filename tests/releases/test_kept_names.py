"""No name of an earlier release that programs of others rely on is gone."""

import pytest

from tests.releases import kept_names


@pytest.fixture(scope="module")
def now() -> kept_names.Names:
    """Give today's names."""
    return kept_names.current()


@pytest.mark.parametrize("release", kept_names.releases())
@pytest.mark.parametrize("kind", ["keys", "metrics", "patterns", "tools", "settings", "commands"])
def test_every_name_of_the_release_is_still_there(
    now: kept_names.Names, release: str, kind: str
) -> None:
    then = kept_names.load(release)[kind]
    assert then
    gone = [
        f"{name} {part}".strip()
        for name, parts in then.items()
        for part in (parts if name in now[kind] else [""])
        if part not in now[kind].get(name, [])
    ]
    assert not gone, f"{kind} of {release} that are gone: {', '.join(gone)}"


@pytest.mark.parametrize("release", kept_names.releases())
def test_a_tool_of_the_release_needs_no_argument_that_it_did_not_have(release: str) -> None:
    then = kept_names.load(release)["tools"]
    required = kept_names.required_arguments()["tools"]
    added = {name: set(required[name]) - set(arguments) for name, arguments in then.items()}
    assert not {name: more for name, more in added.items() if more}
