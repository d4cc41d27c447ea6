"""The screen of `orderflow top`: all active tickers, live, and the answer about a chosen one."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.coordinate import Coordinate
from textual.events import Key, MouseEvent
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Static

from app.answers.ask import ask
from app.answers.board import Board, BoardReader, BoardRow
from app.answers.reader import TIMEOUT_SECONDS, Reader
from app.answers.sparks import SparkKeeper
from app.cli.top_rows import COLUMNS, cells, headline
from app.core import clock
from app.core.errors import NoAnswer, OrderFlowError, StoreUnavailable
from app.core.settings import Settings
from app.storage.redis_client import connect

READ_SECONDS: Final = 1.0
ORDER_HELD_SECONDS: Final = 10.0
"""Rows keep their places for so long after a key: none moves away under somebody's hand."""


class BoardSource:
    """Reads boards with the mids before them, and answers about one ticker."""

    def __init__(self, settings: Settings) -> None:
        client = connect(settings, timeout_seconds=TIMEOUT_SECONDS)
        self._boards = BoardReader(client, settings)
        self._sparks = SparkKeeper(client, settings)
        self._reader = Reader.from_settings(settings)

    def read(self) -> Board:
        """Return the newest board.

        Raises `NoAnswer` with the cause if no ticker is active; `StoreUnavailable` without Redis.
        """
        board = self._boards.read()
        self._sparks.take(board)
        return board

    def mids(self, ticker: str) -> Sequence[float | None]:
        """Return a ticker's mids of the last minutes, oldest first."""
        return self._sparks.mids(ticker)

    def answer(self, ticker: str) -> str:
        """Return what the MCP tool answers about a ticker, or why it can't."""
        try:
            return ask(self._reader, ticker).reply.text
        except OrderFlowError as error:
            return str(error)

    def close(self) -> None:
        """Close the connections."""
        self._boards.close()
        self._reader.close()


class AnswerScreen(ModalScreen[None]):
    """The answer about one ticker, as an agent gets it, renewed each second."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "dismiss", "Back"),
        Binding("q", "app.quit", "Quit"),
    ]

    def __init__(self, source: BoardSource, ticker: str) -> None:
        super().__init__()
        self._source, self._ticker = source, ticker
        self._is_reading = False

    def compose(self) -> ComposeResult:
        """Lay out the text, which may be longer than the terminal."""
        with VerticalScroll():
            yield Static(Text(self._ticker), id="answer")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to read."""
        self._read()
        self.set_interval(READ_SECONDS, self._read)

    def _read(self) -> None:
        # A slow answer is waited for, not asked for again.
        if not self._is_reading:
            self.run_worker(self._show())

    async def _show(self) -> None:
        self._is_reading = True
        said = await asyncio.to_thread(self._source.answer, self._ticker)
        self._is_reading = False
        # Not parsed as markup, which names and words might look like.
        self.query_one("#answer", Static).update(Text(said))


class TopApp(App[None]):
    """The list of all active tickers, the most unusual first."""

    TITLE = "orderflow"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #headline { height: 1; text-style: bold; }
    #trouble { height: auto; background: $error; color: $text; display: none; }
    DataTable { height: 1fr; }
    AnswerScreen VerticalScroll { height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "show_answer", "Answer", priority=True),
        Binding("p", "pause", "Pause"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, source: BoardSource) -> None:
        super().__init__()
        self._source = source
        self._board: Board | None = None
        self._shown: list[str] = []
        self._trouble = ""
        self._is_paused = self._is_reading = False
        self._held_until_ms = 0.0

    def compose(self) -> ComposeResult:
        """Lay out the lines above the list, the list and the keys."""
        yield Static("reading …", id="headline", markup=False)
        yield Static(id="trouble", markup=False)
        yield DataTable(cursor_type="row", zebra_stripes=True)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to read."""
        self._table.add_columns(*COLUMNS)
        self._read()
        self.set_interval(READ_SECONDS, self._read)

    @property
    def _table(self) -> "DataTable[Text]":
        return self.screen_stack[0].query_one(DataTable)

    def on_key(self, _: Key) -> None:
        """Keep the rows where they are for a while."""
        self._hold_order()

    def on_mouse_scroll_down(self, _: MouseEvent) -> None:
        """Keep the rows where they are for a while."""
        self._hold_order()

    def on_click(self, _: MouseEvent) -> None:
        """Keep the rows where they are for a while."""
        self._hold_order()

    def _hold_order(self) -> None:
        self._held_until_ms = clock.now_ms() + ORDER_HELD_SECONDS * 1000

    def action_pause(self) -> None:
        """Renew nothing until the same key is pressed again."""
        self._is_paused = not self._is_paused
        self._say()

    def action_show_answer(self) -> None:
        """Show the answer about the ticker under the cursor, or go back from it."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
        elif self._shown:
            self.push_screen(AnswerScreen(self._source, self._shown[self._table.cursor_row]))

    def _read(self) -> None:
        # A slow Redis is waited for, not asked again.
        if not (self._is_paused or self._is_reading):
            self.run_worker(self._renew())
        self._say()

    async def _renew(self) -> None:
        self._is_reading = True
        try:
            self._board = await asyncio.to_thread(self._source.read)
        except NoAnswer as error:
            # Nobody is active: what was shown is no longer so.
            self._board, self._trouble = None, str(error)
            self._fill([])
        except StoreUnavailable as error:
            self._trouble = str(error)
            # The ages of what was read last go on.
            self._fill(self._ordered(self._board.tickers if self._board else []))
        else:
            self._trouble = self._board.cause or ""
            self._fill(self._ordered(self._board.tickers))
        finally:
            self._is_reading = False
        self._say()

    def _ordered(self, rows: list[BoardRow]) -> list[BoardRow]:
        """Return the rows in their new order, or in the one shown while that is held."""
        if clock.now_ms() >= self._held_until_ms:
            return rows
        places = {ticker: place for place, ticker in enumerate(self._shown)}
        return sorted(rows, key=lambda row: places.get(row.ticker, len(places)))

    def _fill(self, rows: list[BoardRow]) -> None:
        """Write the rows into the table, and keep the cursor on its ticker."""
        table, now_ms = self._table, clock.now_ms()
        chosen = self._shown[table.cursor_row] if self._shown else ""
        if len(rows) < table.row_count:
            table.clear()
        for place, row in enumerate(rows):
            texts = [Text(cell) for cell in cells(row, self._source.mids(row.ticker), now_ms)]
            if place >= table.row_count:
                table.add_row(*texts)
            else:
                self._update_row(place, texts)
        self._shown = [row.ticker for row in rows]
        if chosen in self._shown:
            table.move_cursor(row=self._shown.index(chosen), animate=False)

    def _update_row(self, place: int, texts: Sequence[Text]) -> None:
        table = self._table
        for column, (old, new) in enumerate(zip(table.get_row_at(place), texts, strict=True)):
            if old != new:
                table.update_cell_at(Coordinate(place, column), new, update_width=True)

    def _say(self) -> None:
        """Say how old what is shown is, and what is wrong."""
        screen, now_ms = self.screen_stack[0], clock.now_ms()
        paused = " · PAUSED" if self._is_paused else ""
        if self._board is not None:
            line = headline(self._board, now_ms)
        else:
            line = "no ticker" if self._trouble else "reading …"
        screen.query_one("#headline", Static).update(Text(line + paused))
        trouble = screen.query_one("#trouble", Static)
        trouble.update(Text(self._trouble))
        trouble.display = bool(self._trouble)
