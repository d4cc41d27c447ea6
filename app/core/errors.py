"""All errors that this project raises on purpose, as one tree.

OrderFlowError
├── SettingError            the environment holds a value that is not allowed
├── RecordRejected          one broker record can't be used; carries the counted reason
├── TapeError               a tape file can't be read; names file, column and row
├── BadTicker               a text is not a ticker
├── BadHistory              a text is not a history of 10 s to 1 h
├── BadMoment               a text is not a moment of the last hour
├── BadQuestion             another argument is not accepted; lists what is
├── FeedRefused             a venue refuses what a live feed asks for; trying again is no use
├── FeedInterrupted         a venue's connection ended, or is silent; it is opened again
├── StoreUnavailable        Redis does not answer
├── StateOvertaken          another worker advanced the ticker since its state was read
├── StateUnreadable         what is stored as a ticker's state can't be decoded
├── HistoryUnavailable      the history's folder can't be used; names it and says why
├── HistoryFileUnreadable   a file of the history can't be read; names it
│   └── HistoryFileNewer    it was written by a newer version
└── NoAnswer                nothing is known of a ticker now; states why and what to check
    ├── UnknownTicker
    ├── UnknownEvent
    ├── UnknownAnswer
    ├── NotKept             the history holds nothing of the moment asked for
    ├── NoQuotes
    │   └── NoUsableQuotes
    ├── BrokerSilent
    ├── AnalysisNotRunning
    └── AnalysisFailing
"""


class OrderFlowError(Exception):
    """Base of all errors raised on purpose."""


class SettingError(OrderFlowError):
    """Raised when the environment holds a value that is not allowed."""


class RecordRejected(OrderFlowError):
    """Raised when a broker record can't be used; `reason` is the name it is counted by."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TapeError(OrderFlowError):
    """Raised when a tape file can't be read."""


class BadTicker(OrderFlowError):
    """Raised when a text is not a ticker."""


class BadHistory(OrderFlowError):
    """Raised when a text is not a history of 10 seconds to 1 hour."""


class BadMoment(OrderFlowError):
    """Raised when a text is not a moment of the last hour."""


class BadQuestion(OrderFlowError):
    """Raised when an argument is not accepted."""


class FeedRefused(OrderFlowError):
    """Raised when a venue refuses a key, a symbol or a number of them: trying again is no use."""


class FeedInterrupted(OrderFlowError):
    """Raised when a venue's connection ended, or is silent for longer than the venue ever is.

    `is_complete` where all that the venue had sent before has arrived: the venue said goodbye.
    """

    def __init__(self, message: str, *, is_complete: bool = False) -> None:
        super().__init__(message)
        self.is_complete = is_complete


class ArgumentsRefused(OrderFlowError):
    """Raised when the arguments of a message are not those of its task."""


class StoreUnavailable(OrderFlowError):
    """Raised when Redis does not answer."""


class StateOvertaken(OrderFlowError):
    """Raised when another worker advanced the ticker since its state was read."""


class RecordsTooLong(OrderFlowError):
    """Raised when a ticker has more bytes of too long records than one tick can cut."""


class StateUnreadable(OrderFlowError):
    """Raised when what is stored as a ticker's state can't be decoded."""


class HistoryUnavailable(OrderFlowError):
    """Raised when the history's folder is missing, full, read-only or in use by another writer."""


class HistoryFileUnreadable(OrderFlowError):
    """Raised when a file of the history is no whole Parquet file, or not one of the history."""


class HistoryFileNewer(HistoryFileUnreadable):
    """Raised when a file of the history was written by a newer version."""


class NoAnswer(OrderFlowError):
    """Raised when nothing is known of a ticker now."""


class UnknownTicker(NoAnswer):
    """Raised when no record of a ticker is known."""


class UnknownEvent(NoAnswer):
    """Raised when no pattern event with an id is kept."""


class UnknownAnswer(NoAnswer):
    """Raised when no answer with an id is kept."""


class NotKept(NoAnswer):
    """Raised when the history holds nothing of a ticker at the moment asked for."""


class NoQuotes(NoAnswer):
    """Raised when a ticker has trades but no quotes."""


class NoUsableQuotes(NoQuotes):
    """Raised when all quotes of a ticker that arrived are rejected."""


class BrokerSilent(NoAnswer):
    """Raised when a ticker's newest quote is too old for it to be analysed."""


class AnalysisNotRunning(NoAnswer):
    """Raised when records arrive and no tick analyses them."""


class AnalysisFailing(NoAnswer):
    """Raised when every tick of a ticker fails."""
