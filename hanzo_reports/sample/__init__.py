"""A synthetic platform: seeded events with the shape of real traffic, for demos, tests and benchmarks.

Everything is made up: services, people, keys and numbers. Only the model names are real, so that prices are found.
The arithmetic is on integers, so the same arguments give the same rows on every machine. The story, told backwards
from its end: an incident of 45 minutes 15 hours before, and one project whose prompts grow over the last day.
"""

from hanzo_reports.sample.stream import SCHEMA, sample, write_sample

__all__ = ["SCHEMA", "sample", "write_sample"]
