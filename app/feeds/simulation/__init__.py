"""A simulated market: order book, matching engine, background flow and planted patterns."""

from app.feeds.simulation.market import Label
from app.feeds.simulation.profiles import PROFILES, Profile, profile_of
from app.feeds.simulation.run import simulate

__all__ = ["PROFILES", "Label", "Profile", "profile_of", "simulate"]
