"""What a worker keeps of expired messages and ended connections is bounded."""

import gc
import weakref
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from celery.worker import state
from kombu.asynchronous import Hub

from tasks.worker_restarts import PacedRestart, bound_expired_ids, forget_ended_connections


@pytest.fixture
def _usual_bound() -> Iterator[None]:
    bound = state.revoked.maxlen
    yield
    state.revoked.maxlen = bound
    state.revoked.clear()


@pytest.mark.usefixtures("_usual_bound")
def test_ids_of_the_newest_thousand_expired_messages_are_kept() -> None:
    bound_expired_ids()
    for number in range(5000):
        state.revoked.add(f"{number}")

    assert len(state.revoked) <= 1000
    assert "4999" in state.revoked
    assert "0" not in state.revoked


def test_callbacks_of_others_than_kombus_transport_stay() -> None:
    hub = Hub()

    def of_the_transport() -> None:
        """Stand for what `register_with_event_loop` adds."""

    def of_a_pool() -> None:
        """Stand for what a pool adds."""

    of_the_transport.__module__ = "kombu.transport.redis"
    hub.on_tick.update({of_the_transport, of_a_pool})
    forget_ended_connections(hub)
    forget_ended_connections(None)

    assert hub.on_tick == {of_a_pool}
    hub.close()


class Ended:
    """What keeps itself, as the parts of a connection keep each other."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.usefixtures("_usual_bound")
def test_cycles_of_an_ended_connection_are_freed_at_the_next_start() -> None:
    gc.disable()
    try:
        ended = Ended()
        left = weakref.ref(ended)
        del ended
        assert left() is not None
        PacedRestart(SimpleNamespace()).start(SimpleNamespace())
        assert left() is None
    finally:
        gc.enable()
