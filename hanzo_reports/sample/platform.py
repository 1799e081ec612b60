"""The catalogue of the synthetic platform: its users, its routes, their load, their speed and their failures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from itertools import accumulate
from math import exp
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Numbers: TypeAlias = "NDArray[np.int64]"
Mask: TypeAlias = "NDArray[np.bool_]"

PROJECTS = {"platform": 38, "bot": 27, "commerce": 17, "internal": 11, "research": 7}  # percent of all requests
TEAMS_PER_PROJECT, USERS_PER_TEAM = 2, 40
KEYS = (
    ("a", "production", "us-east", 7),
    ("b", "production", "eu-west", 4),
    ("c", "staging", "us-east", 1),
)  # each team's
WEEK = (112, 114, 115, 114, 108, 70, 67)  # percent of the average day, from Monday
NIGHT, MORNING = (104, 100, 98, 97, 98, 102), (108, 116, 132, 156, 205, 265)  # load at the start of each hour, UTC
AFTERNOON, EVENING = (312, 322, 325, 322, 324, 312), (268, 244, 222, 176, 132, 118)
BY_KEY = ("project", "team", "environment", "region", "api_key")
BY_ROUTE = ("service", "endpoint", "operation", "provider", "model")
STEPS = 4096  # a distribution is a table of this many quantiles


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route of the platform: the model or service behind it, its latency and its tokens.

    Args:
        share: of 1,000 requests of each project, how many take it, in the order of PROJECTS.
        first: median microseconds to the first token, or to the whole response where it does not stream.
        spread: the lognormal sigma of that time.
        token: microseconds for each further token.
        reads: median input tokens.
        writes: median output tokens.
        cached: percent of requests that read a prompt cache; None: it has no cache.
        reasons: whether part of its output is reasoning.
        price: the cost that it reports, in billionths of a dollar per input and output token; None: it reports none.
    """

    service: str
    endpoint: str
    operation: str | None = None
    provider: str | None = None
    model: str | None = None
    share: tuple[int, ...]
    first: int
    spread: float = 0.3
    token: int = 0
    reads: int = 0
    writes: int = 0
    cached: int | None = None
    reasons: bool = False
    price: tuple[int, int] | None = None


_chat = partial(Route, service="gateway", endpoint="/v1/chat/completions", operation="chat")
ROUTES = (
    _chat(provider="anthropic", model="claude-sonnet-4-5", share=(190, 110, 160, 120, 210),
          first=210_000, token=5_200, reads=1500, writes=64, cached=55),
    _chat(provider="anthropic", model="claude-haiku-4-5", share=(40, 90, 40, 30, 20),
          first=120_000, token=3_100, reads=640, writes=46, cached=35),
    _chat(provider="openai", model="gpt-4o", share=(130, 80, 150, 140, 60),
          first=170_000, token=4_600, reads=900, writes=58, cached=25),
    _chat(provider="openai", model="gpt-4o-mini", share=(20, 110, 40, 50, 20),
          first=130_000, token=3_000, reads=520, writes=40, cached=25),
    _chat(provider="google", model="gemini-2.5-pro", share=(40, 20, 30, 60, 130),
          first=260_000, token=4_200, reads=1100, writes=90, cached=30, reasons=True),
    _chat(provider="groq", model="llama-3.1-70b-versatile", share=(60, 70, 50, 40, 60),
          first=70_000, token=1_900, reads=600, writes=52, price=(590, 790)),
    Route(service="embeddings", endpoint="/v1/embeddings", operation="embeddings", provider="openai",
          model="text-embedding-3-small", share=(150, 140, 170, 130, 280), first=42_000, reads=380, price=(20, 0)),
    Route(service="rerank", endpoint="/v1/rerank", operation="rerank", provider="hanzo", model="hanzo-rerank-1",
          share=(60, 60, 90, 50, 70), first=55_000, reads=720),
    Route(service="search-tool", endpoint="/tools/search", operation="execute_tool",
          share=(130, 140, 120, 180, 90), first=64_000, spread=0.42),
    Route(service="auth", endpoint="/oauth/token", share=(180, 180, 150, 200, 60), first=9_000, spread=0.35),
)  # fmt: skip

OUTCOMES = (
    (200, None),
    (429, "rate_limit_exceeded"),
    (499, "client_cancelled"),
    (400, "invalid_request"),
    (500, "internal_error"),
    (503, "overloaded"),
    (504, "timeout"),
)
LIMITED, CANCELLED, INVALID, SERVER = 1, 2, 3, 4  # positions in OUTCOMES; the last three are server errors


@dataclass(frozen=True)
class Tables:
    """The catalogue as lookup arrays, indexed by random draws."""

    minutes: Numbers  # cumulative load of the day, by minute
    load: Numbers  # the load by minute, per mille of its peak
    key: Numbers  # per mille -> key
    route: Numbers  # project, per mille -> route
    user: Numbers  # draw -> the number of the user in a team; few are busy
    first: Numbers  # route, quantile -> microseconds to the first token, or to the whole response
    reads: Numbers  # route, quantile -> tokens
    writes: Numbers
    jitter: Numbers  # quantile -> per mille of the usual time
    sizes: Numbers  # quantile -> bytes
    token: Numbers  # route -> microseconds for each output token
    capacity: Numbers  # route -> requests that its queue can hold
    chats: Mask  # route -> whether it streams its response
    models: Mask  # route -> whether it calls a model
    pays_writes: Mask  # route -> whether the provider reports cache writes
    reasons: Mask  # route -> whether part of its output is reasoning
    cached: Numbers  # route -> percentage of requests that read a cache, -1 if it has no cache
    prices: Numbers  # route, (input, output) -> billionths of a dollar per token, 0 if it reports no cost
    status: NDArray[np.int16]  # outcome -> HTTP status
    names: dict[str, pa.Array]  # column -> the strings of its routes, keys or users


def _quantiles(median: int, sigma: float) -> list[int]:
    normal = NormalDist(0, sigma)
    return [round(median * exp(normal.inv_cdf((step + 0.5) / STEPS))) for step in range(STEPS)]


def _spread(weights: Sequence[int], length: int) -> list[int]:
    """The positions 0, 1, 2 ..., each repeated by its share of the length."""
    edges = [round(length * edge / sum(weights)) for edge in accumulate(weights)]
    return [place for place, (low, high) in enumerate(zip([0, *edges], edges, strict=False)) for _ in range(high - low)]


@cache
def build_tables() -> Tables:
    """The lookup arrays, computed once."""
    hours = [*NIGHT, *MORNING, *AFTERNOON, *EVENING, NIGHT[0]]
    rhythm = np.interp(np.arange(1440), np.arange(25) * 60, hours).astype(np.int64)
    teams = [(project, f"{project}-{place + 1}") for project in PROJECTS for place in range(TEAMS_PER_PROJECT)]
    keys = [(*team, where, region, f"key-{team[1]}-{key}") for team in teams for key, where, region, _ in KEYS]
    weights = [share * part * key[-1] for share in PROJECTS.values() for part in (60, 40) for key in KEYS]
    columns = dict(zip(BY_KEY, zip(*keys, strict=True), strict=True))
    columns |= {name: tuple(getattr(route, name) for route in ROUTES) for name in BY_ROUTE}
    columns["user"] = tuple(f"{team}-u{number:02}" for _, team in teams for number in range(USERS_PER_TEAM))
    columns["error_type"] = tuple(name for _, name in OUTCOMES)
    return Tables(
        minutes=np.cumsum(rhythm),
        load=rhythm * 1000 // rhythm.max(),
        key=np.array(_spread(weights, 1000)),
        route=np.array([_spread(shares, 1000) for shares in zip(*(route.share for route in ROUTES), strict=True)]),
        user=np.array(_spread([1000 // (rank + 2) for rank in range(USERS_PER_TEAM)], STEPS)),
        first=np.array([_quantiles(route.first, route.spread) for route in ROUTES]),
        reads=np.array([_quantiles(route.reads, 0.7) for route in ROUTES]),
        writes=np.array([_quantiles(route.writes, 0.55) for route in ROUTES]),
        jitter=np.array(_quantiles(1000, 0.2)),
        sizes=np.array(_quantiles(700, 0.5)),
        token=np.array([route.token for route in ROUTES]),
        capacity=np.array([64 if route.operation == "chat" else 256 for route in ROUTES]),
        chats=np.array([route.operation == "chat" for route in ROUTES]),
        models=np.array([route.model is not None for route in ROUTES]),
        pays_writes=np.array([route.provider == "anthropic" for route in ROUTES]),
        reasons=np.array([route.reasons for route in ROUTES]),
        cached=np.array([-1 if route.cached is None else route.cached for route in ROUTES]),
        prices=np.array([route.price or (0, 0) for route in ROUTES]),
        status=np.array([status for status, _ in OUTCOMES], np.int16),
        names={name: pa.array(values, pa.string()) for name, values in columns.items()},
    )
