"""A synthetic platform: seeded events with the shape of real traffic, for demos, tests and benchmarks.

Services, people, keys and numbers are invented; the model names are real, so that they have prices. The arithmetic is
on integers, so the same arguments give the same rows on every machine. The data end with two stories: an incident of 45
minutes, 15 hours before the end, and a project whose prompts grow over the last day.
"""

from hanzo_reports.sample.stream import SCHEMA, sample, write_sample

__all__ = ["SCHEMA", "sample", "write_sample"]
