"""What goes out as packed bytes is what a client would send."""

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.hashes import hset


@given(
    st.text("ab:{}1", min_size=1),
    st.dictionaries(st.text("xyz_", min_size=1), st.text(st.characters(codec="ascii"))),
)
def test_a_hash_is_packed_as_the_client_packs_it(key: str, fields: dict[str, str]) -> None:
    words = [word for pair in fields.items() for word in pair]

    assert hset(key, fields) == hiredis.pack_command(("HSET", key, *words))


@pytest.mark.parametrize("text", ["é", "1.5", "x" * 1000])
def test_what_is_no_ascii_is_left_to_the_client(text: str) -> None:
    command = hset("h", {"a": text})

    expected = hiredis.pack_command(("HSET", "h", "a", text))
    assert (command if isinstance(command, bytes) else hiredis.pack_command(command)) == expected
