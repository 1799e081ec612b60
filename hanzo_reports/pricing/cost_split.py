"""Costs split by kind of token, by the price list of the time when the request was made.

The parts of a request are in the proportion of its list prices and add up to its cost to the last digit, so a reported
cost is split together with any discount in it. Nothing is priced again: the cost of a request does not change.
"""

from __future__ import annotations

from dataclasses import astuple, fields
from decimal import Decimal
from typing import TYPE_CHECKING

import ibis

from hanzo_reports.events import MONEY
from hanzo_reports.metrics.catalog import is_computed
from hanzo_reports.metrics.dialect import epoch_seconds, money, small_table
from hanzo_reports.pricing.price_cards import AMOUNTS, DAY, Card, price_cards
from hanzo_reports.pricing.price_list import has_valid_tokens, is_free_failure

if TYPE_CHECKING:
    import ibis.expr.types as ir

COLUMNS = (
    "input_cost",
    "output_cost",
    "cache_read_cost",
    "cache_write_cost",
    "unsplit_cost",
    "cache_savings",
    "list_cost",
)
_TEXTS = ("provider", "model")
_CARD_TYPES = {
    f"_card_{field.name}": "float64" if field.name in AMOUNTS else "string" if field.name in _TEXTS else "int64"
    for field in fields(Card)
}


def split_costs(events: ibis.Table) -> ibis.Table:
    """Add what each kind of token costs, in USD; NULL where the cost is not known.

    Args:
        events: the columns of the event, on any engine.

    Returns:
        The events and further columns, all decimal(18, 9). `input_cost` (tokens not read from a cache), `output_cost`,
        `cache_read_cost`, `cache_write_cost` and `unsplit_cost` add up to `cost`; `unsplit_cost` is a fee for the
        request itself, or the cost of a model that the list does not know. `cache_savings` is what the same tokens
        would cost more without a cache; below 0 where writing to it costs more than reading from it saves. `list_cost`
        is the list price, of a computed cost the cost itself; as `price_list.price_events` has it, within rounding.

    Source: FOCUS ListCost.
    """
    pairs = events.filter(events["model"].notnull()).select("provider", "model").distinct().to_pyarrow().to_pylist()
    cards = [astuple(card) for pair in pairs for card in price_cards(pair["provider"], pair["model"])]
    rows = [[float(cell) if isinstance(cell, Decimal) else cell for cell in card] for card in cards]
    card = small_table(rows, _CARD_TYPES, events)
    second, read = epoch_seconds(events["timestamp"]), events["input_tokens"].fill_null(0)
    conditions = [
        events["model"] == card["_card_model"],
        events["provider"].identical_to(card["_card_provider"]),
        second >= card["_card_since"],
        second < card["_card_until"],
        second % DAY >= card["_card_opens"],
        second % DAY < card["_card_closes"],
        read > card["_card_above"],
        read <= card["_card_upto"],
    ]
    return _split(events.left_join(card, conditions)).drop(*_CARD_TYPES)


def _split(joined: ibis.Table) -> ibis.Table:
    """Add the columns to events that are joined to their cards."""
    read, written, cached, stored = (
        joined[name].fill_null(0).cast("float64")
        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    )
    price = {name: joined[f"_card_{name}"] for name in AMOUNTS}
    savings = -(cached * price["cache_read"] + stored * price["cache_write"])
    list_parts = {
        "input_cost": (read - cached - stored) * price["input"],
        "output_cost": written * price["output"],
        "cache_read_cost": cached * (price["input"] + price["cache_read"]),
        "cache_write_cost": stored * (price["input"] + price["cache_write"]),
    }
    total = price["request"] + sum(list_parts.values(), ibis.literal(0.0))
    valid = has_valid_tokens(joined)
    rate = (valid & (total > 0)).ifelse(joined["cost"].cast("float64") / total.nullif(0), ibis.null("float64"))
    nothing = ibis.literal(0).cast(MONEY)

    def part(amount: ir.Value) -> ir.Value:
        amount = (amount * rate).fill_null(0.0)
        return joined["cost"].isnull().ifelse(ibis.null(), money(amount))

    parts = {name: part(amount) for name, amount in list_parts.items() if name != "input_cost"}
    parts["unsplit_cost"] = (rate.isnull() & joined["cost"].notnull()).ifelse(joined["cost"], part(price["request"]))
    rest = joined["cost"] - sum(parts.values(), nothing)
    parts["input_cost"] = rest.cast(MONEY)
    has_card = joined["_card_since"].notnull()  # without one, texts of a card are empty on ClickHouse, not NULL
    list_cost = ibis.cases(
        (is_computed(joined), joined["cost"]),
        (is_free_failure(joined) & has_card, nothing),
        (valid, money(total)),
        else_=ibis.null(MONEY),
    )
    return joined.mutate(**parts, cache_savings=part(savings), list_cost=list_cost)
