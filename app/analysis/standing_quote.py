"""Track the standing quote, and sign trades: infer the aggressor where the feed gives none."""

from dataclasses import dataclass

from app.analysis.records import BUY, SELL, UNSIGNED, Quote, Trade


@dataclass(slots=True, init=False)
class TradeSign:
    """A trade's aggressor, whether the feed gave it, and whether its price is inside the spread."""

    aggressor: int
    is_given: bool
    is_inside: bool

    def __init__(self, aggressor: int, *, is_given: bool, is_inside: bool) -> None:
        self.aggressor = aggressor
        self.is_given = is_given
        self.is_inside = is_inside


@dataclass(slots=True, init=False)
class StandingQuote:
    """The newest quote, and what the tick rule needs: the last trade price and direction.

    `last_valid` is the newest two-sided quote that was neither locked nor crossed. `spread` is that
    of `valid`, 0 where there is none. `is_old`: a gap came after the quote, and nothing is compared
    with it.
    """

    quote: Quote | None
    last_valid: Quote | None
    spread: int
    last_price: int
    last_direction: int
    is_old: bool

    def __init__(  # noqa: PLR0913, PLR0917 - written out, as in `records`
        self,
        quote: Quote | None = None,
        last_valid: Quote | None = None,
        spread: int = 0,
        last_price: int = 0,
        last_direction: int = UNSIGNED,
        is_old: bool = False,  # noqa: FBT001, FBT002 - unpacked by place
    ) -> None:
        self.quote = quote
        self.last_valid = last_valid
        self.spread = spread
        self.last_price = last_price
        self.last_direction = last_direction
        self.is_old = is_old

    def pass_gap(self) -> None:
        """Compare nothing that follows with what was before."""
        self.is_old = self.quote is not None
        self.last_price, self.last_direction = 0, UNSIGNED

    def forget(self) -> None:
        """Forget the quote, as before the first one."""
        self.quote = self.last_valid = None
        self.spread = self.last_price = 0
        self.last_direction = UNSIGNED

    def add_quote(self, quote: Quote) -> None:
        """Replace the standing quote."""
        self.quote = quote
        if self.is_old:
            self.is_old, self.last_valid = False, None
        if quote.bid_size > 0 and quote.ask_size > 0:
            spread = quote.ask_price - quote.bid_price
            if spread > 0:
                self.last_valid, self.spread = quote, spread
            else:
                last_valid = self.last_valid
                self.spread = (
                    0 if last_valid is None else last_valid.ask_price - last_valid.bid_price
                )
        else:
            self.spread = 0

    @property
    def valid(self) -> Quote | None:
        """Return the newest valid quote, None while a side is empty, and after a gap."""
        return self.last_valid if self.spread and not self.is_old else None

    def sign_trade(self, trade: Trade) -> TradeSign:
        """Sign a trade by its given aggressor, else the quote rule, else the tick rule."""
        is_inside = False
        quote = self.quote
        if quote is not None and quote.bid_size > 0 and quote.ask_size > 0 and not self.is_old:
            is_inside = quote.bid_price < trade.price < quote.ask_price
        if trade.price != self.last_price:
            if self.last_price:
                self.last_direction = BUY if trade.price > self.last_price else SELL
            self.last_price = trade.price
        if trade.aggressor != UNSIGNED:
            return TradeSign(trade.aggressor, is_given=True, is_inside=is_inside)
        valid = self.valid
        if valid is not None:
            distance = 2 * trade.price - valid.bid_price - valid.ask_price
            if distance:
                return TradeSign(BUY if distance > 0 else SELL, is_given=False, is_inside=is_inside)
        return TradeSign(self.last_direction, is_given=False, is_inside=is_inside)
