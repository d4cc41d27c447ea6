"""The Celery app, whose worker tells on a signal how many transports of Redis it keeps."""

import gc
import signal
from types import FrameType

import click
from kombu.asynchronous import Hub
from kombu.transport.redis import Transport

from tasks import app

__all__ = ["app"]


def _tell(_: int, __: FrameType | None) -> None:
    gc.collect()
    kept = gc.get_objects()
    transports = sum(isinstance(one, Transport) for one in kept)
    callbacks = sum(len(one.on_tick) for one in kept if isinstance(one, Hub))
    click.echo(f"keeps {transports} transports, {callbacks} callbacks")


signal.signal(signal.SIGRTMIN, _tell)
