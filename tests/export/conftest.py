"""Events to plant, and a store for them."""

from event_fixtures import arrow, lake, now

__all__ = ["arrow", "lake", "now"]
