"""A small market: an order book with a matching engine, a crowd, planted happenings."""

from app.feeds.simulation.market import Label
from app.feeds.simulation.profiles import PROFILES, Profile, profile_of
from app.feeds.simulation.run import simulate

__all__ = ["PROFILES", "Label", "Profile", "profile_of", "simulate"]
