"""Of a window, exactly what would be written differently is sent."""

from hypothesis import given
from hypothesis import strategies as st

from app.storage.tick.codec import WindowValues, changed_places, texts_at

values = (
    st.sampled_from([0, 0.0, -0.0, 1, 1.0, -1.0, 0.1, "STABLE", "INCREASING", "{}"])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(0, 10**15)
)
pairs = st.lists(st.tuples(values, values), min_size=1)


@given(pairs)
def test_places_have_changed_where_the_texts_have(
    found: list[tuple[float | str, float | str]],
) -> None:
    was, is_now = ([*one] for one in zip(*found, strict=True))
    every = [*range(len(found))]

    def texts(of: list[float | str]) -> list[str]:
        return texts_at(WindowValues(("x",) * len(of), of, len(of)), every)

    changed = [place for place in every if texts(was)[place] != texts(is_now)[place]]

    assert changed_places(is_now, was) == changed


def test_metrics_and_json_are_written_at_their_places() -> None:
    published = WindowValues(("a", "b", "c", "d"), [1.5, "STABLE", '{"x":1,"y":"z"}', "7"], 2)

    assert texts_at(published, [0, 2]) == ["1.5", '{"x":1,"y":"z"}']
    assert texts_at(published, [1, 3]) == ["STABLE", "7"]
    assert texts_at(published, [3]) == ["7"]
