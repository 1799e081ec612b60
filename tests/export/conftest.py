"""Events and an empty store for the tests of exports."""

from event_fixtures import arrow, lake, now

__all__ = ["arrow", "lake", "now"]
