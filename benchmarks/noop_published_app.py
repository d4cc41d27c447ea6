"""The app of no-op ticks, published as ours are: the part that is not Celery's is left out."""

from benchmarks.noop_app import app
from tasks import fanout, messages

__all__ = ["app"]

fanout.publish_ticks = messages.publish_ticks
