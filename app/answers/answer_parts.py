"""How much of what may be left out an answer shows, and in which order it is left out."""

from typing import Final, NamedTuple

from app.analysis.metric_table import BRIEF
from app.answers.event_selection import MAX_EVENTS
from app.answers.headline import MOST_NUMBERS, MOST_PARTS
from app.answers.level_selection import MAX_LEVELS_A_SIDE

MAX_FOLLOWED: Final = 1
"""The first events of which an answer says what followed earlier ones."""
MIN_EVENTS: Final = 3
"""Where an answer is too large, events beyond these give way before levels."""
FULL_FROM_EVENTS: Final = 2
"""With ranks, a session and so many events there is no room for details."""
MAX_OTHER_KINDS: Final = 6
MIN_OTHER_KINDS: Final = 3
MAX_OPEN_OTHERS: Final = 2
"""So many of the open events that are not shown are named."""
MAX_LIMIT: Final = 100
"""The most events, and levels a side, that may be asked for."""
FEW_RANKS: Final = 3
"""So many ranks of another time than the history, the farthest from usual, stay beside events."""


class AnswerParts(NamedTuple):
    """How much of what may be left out an answer shows.

    `has_usual_ranks`: where ranks are of another time than the history, also those not far from
    usual; `most_ranks`: at most so many of them. `events_first`: levels give way before any event;
    they are the same over any history.
    `has_old_and_far`: also events that ended in the older half of the history, and levels far off.
    """

    events: int = MAX_EVENTS
    levels_a_side: int = MAX_LEVELS_A_SIDE
    other_kinds: int = MAX_OTHER_KINDS
    open_others: int = MAX_OPEN_OTHERS
    has_details: bool = True
    has_usual_ranks: bool = True
    most_ranks: int = MAX_LIMIT
    has_followed: bool = True
    headline_numbers: int = MOST_NUMBERS
    headline_parts: int = MOST_PARTS
    events_first: bool = False
    has_old_and_far: bool = False

    @classmethod
    def up_to(cls, limit: int) -> "AnswerParts":
        """Return parts with `limit` events and levels a side, and all else whole."""
        return cls(
            events=limit,
            levels_a_side=limit,
            other_kinds=MAX_LIMIT,
            open_others=limit,
            has_old_and_far=True,
        )

    def less(self, excess: int) -> "AnswerParts | None":
        """Return parts that cost about `excess` tokens less; None if nothing is left to leave out.

        Details of the session and of metrics go first, then usual ranks, kinds of others, and what
        followed; then the least rare events, down to three, before levels, and levels before the
        rest. With `events_first` levels, counts of others and most ranks go before any event.
        """
        parts, saved = self, 0
        while saved <= excess:
            step = parts.next_step()
            if step is None:
                return None if parts == self else parts
            parts, tokens = step
            saved += tokens
        return parts

    def next_step(self) -> "tuple[AnswerParts, int] | None":
        """Return the parts with the next piece left out, and about what that saves."""
        if self.has_details:
            return self._replace(has_details=False), 120
        if self.has_usual_ranks:
            return self._replace(has_usual_ranks=False), 60
        if self.other_kinds > MIN_OTHER_KINDS:
            return self._replace(other_kinds=MIN_OTHER_KINDS), 30
        if self.has_followed:
            return self._replace(has_followed=False), 30
        return self._next_of_lists()

    def _next_of_lists(self) -> "tuple[AnswerParts, int] | None":
        if self.events and not self._are_events_kept():
            return self._replace(events=self.events - 1), 55
        if self.levels_a_side:
            return self._replace(levels_a_side=self.levels_a_side - 1), 50
        if self.other_kinds:
            return self._replace(other_kinds=0), 30
        if self.open_others:
            return self._replace(open_others=0), 15
        if self._has_ranks_to_leave_out():
            return self._replace(most_ranks=FEW_RANKS), 40
        return None

    def _has_ranks_to_leave_out(self) -> bool:
        return self.events_first and self.most_ranks > FEW_RANKS

    def _are_events_kept(self) -> bool:
        """Return whether all else gives way before the next event."""
        if self.events_first:
            others = self.other_kinds + self.open_others
            return self.levels_a_side + others > 0 or self._has_ranks_to_leave_out()
        return self.levels_a_side > 0 and self.events <= MIN_EVENTS


class BriefSize(NamedTuple):
    """How many open events a brief answer names, what its first line says, and which metrics."""

    open: int = MAX_EVENTS
    numbers: int = MOST_NUMBERS
    event_parts: int = 1
    metrics: tuple[str, ...] = BRIEF

    def parts(self) -> AnswerParts:
        """Return the parts of the whole answer that a brief one is made from."""
        return AnswerParts(headline_numbers=self.numbers, headline_parts=self.event_parts)


BRIEF_SIZES: Final = (
    BriefSize(),
    BriefSize(open=3, numbers=1),
    BriefSize(open=2, numbers=1, event_parts=0),
    BriefSize(open=2, numbers=0, event_parts=0),
    BriefSize(open=1, numbers=0, event_parts=0),
    BriefSize(open=1, numbers=0, event_parts=0, metrics=("bid_price", "ask_price", "ofi")),
    BriefSize(open=0, numbers=0, event_parts=0, metrics=("bid_price", "ask_price")),
)
