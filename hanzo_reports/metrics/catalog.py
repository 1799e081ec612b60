"""Every metric, defined once: questions, alerts, pages, exports and the docs all read this catalogue."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import ibis

from hanzo_reports.errors import UnknownNameError
from hanzo_reports.metrics.arguments import parse_names
from hanzo_reports.metrics.dialect import AMOUNT
from hanzo_reports.metrics.metric import (
    Metric,
    count_rows,
    count_where,
    distinct,
    per_second,
    percentile,
    ratio,
    total,
)
from hanzo_reports.units import Direction, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ibis.expr.types as ir

_STATUS = ("status",)
_TOKENS = ("input_tokens", "output_tokens")
PRICE_TOLERANCE = Decimal("0.01")  # a stated cost that deviates from its list price by a larger share differs from it


def _requests(t: ir.Table) -> ir.Value:
    return t.count()


def _available_requests(t: ir.Table) -> ir.Value:
    return t.count() - count_where("status", 500)(t)


def _row_tokens(t: ir.Table) -> ir.Value:
    return _sum_of_known(t.input_tokens, t.output_tokens)


def _sum_of_known(one: ir.Value, other: ir.Value) -> ir.Value:
    """Two numbers added; one that is NULL counts as 0 beside the other, and NULL beside NULL stays NULL."""
    return (one.notnull() | other.notnull()).ifelse(one.fill_null(0) + other.fill_null(0), ibis.null("int64"))


def _tokens(t: ir.Table) -> ir.Value:
    return _sum_of_known(t.input_tokens.sum(), t.output_tokens.sum())


def _bandwidth(t: ir.Table) -> ir.Value:
    return _sum_of_known(t.bytes_in.sum(), t.bytes_out.sum())


def _cost(t: ir.Table) -> ir.Value:
    return t.cost.sum()


def _priced_requests(t: ir.Table) -> ir.Value:
    return t.cost.count()


def _cost_times_million(t: ir.Table) -> ir.Value:
    return _cost(t).cast(AMOUNT) * ibis.literal(1_000_000, "decimal(7, 0)")


def _priced_tokens(t: ir.Table) -> ir.Value:
    return t.cost.notnull().ifelse(_row_tokens(t), ibis.null("int64")).sum()


def is_unpriced(t: ir.Table) -> ir.BooleanValue:
    """Whether a request has tokens and no known cost: what `unpriced_requests` counts, in a load and in a store."""
    return (_row_tokens(t) > 0) & t.cost.isnull()


def is_computed(t: ir.Table) -> ir.BooleanValue:
    """Whether a cost comes from the price list; any other was stated by the log, whatever the log calls its source."""
    return t.cost_source.fill_null("").startswith("computed:")


def price_deviation(t: ir.Table) -> ir.DecimalValue:
    """By how many tolerances a cost deviates from its list price, in USD of that price; exact on every engine."""
    return (t.cost - t.list_cost).abs().cast(AMOUNT) * int(1 / PRICE_TOLERANCE)


def differs_from_list(t: ir.Table) -> ir.BooleanValue:
    """Whether a stated cost deviates from its list price: what `price_differences` counts, in a load and in a store.

    A cost that the log states is compared, whatever the log calls its source (``reported``, ``estimated``, none); one
    that was computed from the list is not. It differs where it is more than 1 % off, in exact decimals: at 101 % of the
    list price it does not. Where the list has no price it does not, and where the list says 0 any other cost does.

    Args:
        t: rows with `cost`, `list_cost` and `cost_source`.
    """
    return (~is_computed(t) & (price_deviation(t) > t.list_cost.abs())).fill_null(False)  # noqa: FBT003  # Ibis takes it by place


def _unpriced_requests(t: ir.Table) -> ir.Value:
    return ibis.ifelse(is_unpriced(t), 1, 0).sum()


def _credits(t: ir.Table) -> ir.Value:
    return (t.cost < 0).ifelse(t.cost, ibis.literal(0).cast(t.cost.type())).sum()


def _cost_over_list(t: ir.Table) -> ir.Value:
    return (t.cost - t.list_cost).sum()


def _requests_with_tokens(t: ir.Table) -> ir.Value:
    return ibis.ifelse(_row_tokens(t) > 0, 1, 0).sum()


def _saturation(t: ir.Table) -> ir.Value:
    return (t.queue_depth.cast("float64") / t.queue_capacity.cast("float64").nullif(0)).max()


REQUESTS = Metric(
    "requests", "Requests", Unit.REQUESTS, Direction.NEUTRAL, "finished requests", _requests, additive=True
)
TOKENS = Metric(
    "tokens", "Tokens", Unit.TOKENS, Direction.NEUTRAL, "input_tokens + output_tokens", _tokens, _TOKENS, additive=True
)

_METRICS = (
    REQUESTS,
    total("input_tokens", "Input tokens", Unit.TOKENS, "input_tokens", "input tokens, cache reads and writes included"),
    total("output_tokens", "Output tokens", Unit.TOKENS, "output_tokens", "output tokens, reasoning included"),
    total("cache_read_tokens", "Cache reads", Unit.TOKENS, "cache_read_tokens", "input tokens read from a cache"),
    total("cache_write_tokens", "Cache writes", Unit.TOKENS, "cache_write_tokens", "input tokens written to a cache"),
    total("reasoning_tokens", "Reasoning", Unit.TOKENS, "reasoning_tokens", "output tokens spent on reasoning"),
    TOKENS,
    total("bytes_in", "Bytes in", Unit.BYTES, "bytes_in", "bytes of the requests"),
    total("bytes_out", "Bytes out", Unit.BYTES, "bytes_out", "bytes of the responses"),
    Metric("bandwidth", "Bandwidth", Unit.BYTES, Direction.NEUTRAL, "bytes_in + bytes_out", _bandwidth,
           ("bytes_in", "bytes_out"), additive=True),
    per_second("requests_per_second", "Requests/s", REQUESTS, "requests / elapsed seconds"),
    per_second("tokens_per_second", "Tokens/s", TOKENS, "tokens / elapsed seconds"),
    distinct("active_keys", "Active keys", "api_key", "distinct API keys"),
    distinct("active_users", "Active users", "user", "distinct users"),
    distinct("active_projects", "Active projects", "project", "distinct projects"),
    Metric("cost", "Cost", Unit.USD, Direction.DOWN, "sum of the known costs", _cost, ("cost",), additive=True),
    Metric("credits", "Credits", Unit.USD, Direction.NEUTRAL, "sum of the negative costs: refunds and credits",
           _credits, ("cost",), additive=True),
    count_rows("unpriced_requests", "Unpriced requests", "requests with tokens and no known cost", is_unpriced,
               ("cost", *_TOKENS)),
    ratio("cost_per_request", "Cost per request", Unit.USD, Direction.DOWN, "cost / requests with a known cost",
          _cost, _priced_requests, ("cost",)),
    ratio("cost_per_million_tokens", "Cost per 1M tokens", Unit.USD, Direction.DOWN,
          "cost / million tokens of the requests with a known cost",
          _cost_times_million, _priced_tokens, ("cost", *_TOKENS)),
    ratio("unpriced_share", "Unpriced share", Unit.SHARE, Direction.DOWN,
          "unpriced_requests / requests with tokens", _unpriced_requests, _requests_with_tokens, ("cost", *_TOKENS)),
    total("input_cost", "Input cost", Unit.USD, "input_cost", "cost of the uncached input tokens"),
    total("output_cost", "Output cost", Unit.USD, "output_cost", "cost of the output tokens"),
    total("cache_read_cost", "Cache read cost", Unit.USD, "cache_read_cost", "cost of reading tokens from a cache"),
    total("cache_write_cost", "Cache write cost", Unit.USD, "cache_write_cost", "cost of writing tokens to a cache"),
    total("unsplit_cost", "Unsplit cost", Unit.USD, "unsplit_cost", "fees, and costs of models without a list price"),
    Metric("cache_savings", "Cache savings", Unit.USD, Direction.UP,
           "cost of the cached tokens at the input price, minus their cost",
           lambda t: t.cache_savings.sum(), ("cache_savings",), additive=True),
    total("list_cost", "List cost", Unit.USD, "list_cost", "cost by the price list"),
    Metric("cost_over_list", "Cost over list", Unit.USD, Direction.DOWN,
           "cost - list_cost, of requests where both are known", _cost_over_list, ("cost", "list_cost"), additive=True),
    count_rows("price_differences", "Price differences",
               "requests whose cost differs from the price list by more than 1%", differs_from_list,
               ("cost", "cost_source", "list_cost")),
    ratio("cache_hit_ratio", "Cache hit ratio", Unit.SHARE, Direction.UP, "cache_read_tokens / input_tokens",
          lambda t: t.cache_read_tokens.sum(), lambda t: t.input_tokens.sum(), ("cache_read_tokens", "input_tokens")),
    ratio("error_rate", "Error rate", Unit.SHARE, Direction.DOWN, "status >= 400 / requests",
          count_where("status", 400), _requests, _STATUS, 0.01),
    ratio("client_error_rate", "Client errors", Unit.SHARE, Direction.DOWN, "400 <= status < 500 / requests",
          count_where("status", 400, 500), _requests, _STATUS),
    ratio("server_error_rate", "Server errors", Unit.SHARE, Direction.DOWN, "status >= 500 / requests",
          count_where("status", 500), _requests, _STATUS),
    ratio("rate_limited_rate", "Rate limited", Unit.SHARE, Direction.DOWN, "status 429 / requests",
          count_where("status", 429, 430), _requests, _STATUS),
    ratio("availability", "Availability", Unit.SHARE, Direction.UP, "status < 500 / requests",
          _available_requests, _requests, _STATUS, 0.999),
    percentile("latency_p50", "Latency p50", "latency_ms", 0.50, 200),
    percentile("latency_p90", "Latency p90", "latency_ms", 0.90),
    percentile("latency_p95", "Latency p95", "latency_ms", 0.95),
    percentile("latency_p99", "Latency p99", "latency_ms", 0.99, 2000),
    percentile("ttft_p50", "First token p50", "time_to_first_token_ms", 0.50),
    percentile("ttft_p95", "First token p95", "time_to_first_token_ms", 0.95),
    percentile("ttft_p99", "First token p99", "time_to_first_token_ms", 0.99),
    Metric("saturation", "Saturation", Unit.SHARE, Direction.DOWN, "largest queue_depth / queue_capacity", _saturation,
           ("queue_depth", "queue_capacity"), default_threshold=0.8),
)  # fmt: skip

CATALOG: dict[str, Metric] = {metric.name: metric for metric in _METRICS}


def select_metrics(names: Iterable[str]) -> list[Metric]:
    """The metrics of those names, each once, in order; `tokens` brings its two parts along.

    Raises:
        UnknownNameError: a name is not in the catalogue; the error names the nearest one.
        UsageError: an argument is not a list of names.
    """
    metrics: dict[str, Metric] = {}
    for name in parse_names(names, "metrics", "['requests', 'cost']"):
        if name not in CATALOG:
            raise UnknownNameError("metric", name, CATALOG)
        for part in (*_TOKENS, name) if name == "tokens" else (name,):
            metrics.setdefault(part, CATALOG[part])
    if not metrics:
        raise UnknownNameError("metric", "", CATALOG)
    return list(metrics.values())
